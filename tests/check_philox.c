/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "base/philox.h"
#include "base/philox_lanes.h"

#include <string.h>

/* Random123's own known answers (tests/kat_vectors, philox4x32 10). */
static const struct {
    uint32_t ctr[4];
    uint32_t key[2];
    uint32_t out[4];
} known[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
     {0xffffffff, 0xffffffff},
     {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
     {0xa4093822, 0x299f31d0},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
};

/* Ten rounds, from the paper's section 4.3. */
static void philox_by_the_paper(const uint32_t key[2], const uint32_t ctr[4],
                                uint32_t out[4])
{
    uint32_t c[4] = {ctr[0], ctr[1], ctr[2], ctr[3]};
    uint32_t k0 = key[0];
    uint32_t k1 = key[1];

    for (int round = 0; round < 10; round++) {
        uint64_t a = (uint64_t)0xD2511F53 * c[0];
        uint64_t b = (uint64_t)0xCD9E8D57 * c[2];
        uint32_t next[4] = {(uint32_t)(b >> 32) ^ c[1] ^ k0, (uint32_t)b,
                            (uint32_t)(a >> 32) ^ c[3] ^ k1, (uint32_t)a};

        for (int i = 0; i < 4; i++) {
            c[i] = next[i];
        }
        k0 += 0x9E3779B9;
        k1 += 0xBB67AE85;
    }
    for (int i = 0; i < 4; i++) {
        out[i] = c[i];
    }
}

START_TEST(known_answers_are_met)
{
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        uint32_t out[4];

        moe_philox(known[i].key[0], known[i].key[1], known[i].ctr, out);
        ck_assert_mem_eq(out, known[i].out, sizeof(out));
    }
}
END_TEST

START_TEST(each_word_of_key_and_counter_counts)
{
    uint32_t last[4] = {0, 0, 0, 0};

    for (unsigned bit = 0; bit < 192; bit++) {
        uint32_t word[6] = {0, 0, 0, 0, 0, 0};
        uint32_t out[4];
        uint32_t again[4];

        word[bit / 32] = UINT32_C(1) << bit % 32;
        moe_philox(word[4], word[5], word, out);
        philox_by_the_paper(&word[4], word, again);
        ck_assert_mem_eq(out, again, sizeof(out));
        ck_assert_mem_ne(out, last, sizeof(out));
        memcpy(last, out, sizeof(out));
    }
}
END_TEST

/* Counters of both kinds, over the end of what 32 bits count. */
enum {
    TIMES = 3
};

static void check_rows(moe_philox_rows_func_t *rows)
{
    uint32_t out[TIMES][4][MOE_PHILOX_LANES];

    for (uint32_t first = 0; first < 40; first++) {
        const uint32_t key[2] = {first * 77777777u, ~first};
        const uint32_t ctr[4] = {0xfffffff0u + first, 0xfffffffeu, 5 * first,
                                 9};

        rows(key[0], key[1], ctr, TIMES, out);
        for (uint32_t i = 0; i < TIMES * MOE_PHILOX_LANES; i++) {
            const uint32_t lane = i % MOE_PHILOX_LANES;
            const uint32_t call = i / MOE_PHILOX_LANES;
            const uint32_t at[4] = {ctr[0] + lane, ctr[1] + call, ctr[2],
                                    ctr[3]};
            uint32_t word[4];

            moe_philox(key[0], key[1], at, word);
            for (int w = 0; w < 4; w++) {
                ck_assert_uint_eq(out[call][w][lane], word[w]);
            }
        }
    }
}

static void check_calls(moe_philox_calls_func_t *calls)
{
    uint32_t out[TIMES][MOE_PHILOX_LANES][4];

    for (uint32_t first = 0; first < 40; first++) {
        const uint32_t key[2] = {first * 77777777u, ~first};
        uint32_t ctr[4] = {first, 0xfffffff0u + first, 5 * first, 9};

        calls(key[0], key[1], ctr, TIMES, out);
        for (int i = 0; i < TIMES * MOE_PHILOX_LANES; i++, ctr[1]++) {
            uint32_t word[4];

            moe_philox(key[0], key[1], ctr, word);
            ck_assert_mem_eq(out[i / MOE_PHILOX_LANES][i % MOE_PHILOX_LANES],
                             word, sizeof(word));
        }
    }
}

START_TEST(every_version_of_the_lanes_makes_the_same_words)
{
    check_rows(moe_philox_rows);
    check_rows(moe_philox_rows_plain);
    check_calls(moe_philox_calls);
    check_calls(moe_philox_calls_plain);
    if (moe_philox_has_avx2()) {
        check_rows(moe_philox_rows_avx2);
        check_calls(moe_philox_calls_avx2);
    }
    if (moe_philox_has_avx512()) {
        check_rows(moe_philox_rows_avx512);
        check_calls(moe_philox_calls_avx512);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("philox");
    TCase *t = tcase_create("philox");

    tcase_add_test(t, known_answers_are_met);
    tcase_add_test(t, each_word_of_key_and_counter_counts);
    tcase_add_test(t, every_version_of_the_lanes_makes_the_same_words);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
