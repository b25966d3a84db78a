/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/permute.h"
#include "ref/sort.h"
#include "ref/swizzle.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

enum {
    EXPERTS = 12,
    TOPK = 4,
    MAX_ROWS = 200,
    COLS = 96 /* six blocks of nvfp4 */
};

static const int64_t row_counts[] = {0, 1, 2, 17, MAX_ROWS};

enum {
    ROW_COUNTS = sizeof(row_counts) / sizeof(row_counts[0])
};

static int32_t ids[MAX_ROWS * TOPK];

/* Distinct experts a row; none goes to expert 5, some pairs are -1. */
static void draw_ids(int64_t rows, unsigned seed)
{
    for (int64_t i = 0; i < rows; i++) {
        int32_t first = (int32_t)((i * 7 + seed) % EXPERTS);

        for (int j = 0; j < TOPK; j++) {
            int32_t id = (first + 3 * j) % EXPERTS;

            ids[i * TOPK + j] = id == 5 || (i + j) % 11 == 3 ? -1 : id;
        }
    }
}

static moe_ref_index_t make(int64_t rows, int64_t first, int64_t n_experts)
{
    moe_ref_index_t index;

    ck_assert_int_eq(
        moe_ref_index_init(ids, rows, TOPK, first, n_experts, &index), MOE_OK);
    return index;
}

START_TEST(each_local_pair_has_one_grouped_row_and_back)
{
    int64_t rows = row_counts[_i];
    int64_t pairs = 0;
    moe_ref_index_t index;

    draw_ids(rows, 3);
    index = make(rows, 2, 7);
    for (int64_t i = 0; i < rows * TOPK; i++) {
        bool local = ids[i] >= 2 && ids[i] < 9;

        ck_assert_int_eq(index.place[i] >= 0, local);
        if (local) {
            int64_t at = index.place[i];
            int64_t e = ids[i] - 2;

            ck_assert_int_eq(index.row[at], i / TOPK);
            ck_assert(at >= index.offset[e] && at < index.offset[e + 1]);
            pairs++;
        }
    }
    ck_assert_int_eq(index.n, pairs);
    ck_assert_int_eq(index.offset[0], 0);
    ck_assert_int_eq(index.offset[7], pairs);
    moe_ref_index_fini(&index);
}
END_TEST

START_TEST(rows_of_an_expert_keep_their_order)
{
    moe_ref_index_t index;

    draw_ids(MAX_ROWS, 1);
    index = make(MAX_ROWS, 0, EXPERTS);
    for (int64_t e = 0; e < EXPERTS; e++) {
        for (int64_t i = index.offset[e] + 1; i < index.offset[e + 1]; i++) {
            ck_assert_int_lt(index.row[i - 1], index.row[i]);
        }
    }
    ck_assert_int_eq(index.offset[5], index.offset[6]);
    moe_ref_index_fini(&index);
}
END_TEST

START_TEST(shards_of_experts_together_have_every_pair_once)
{
    int64_t total = 0;
    moe_ref_index_t index;

    draw_ids(MAX_ROWS, 2);
    for (int64_t first = 0; first < EXPERTS; first += 5) {
        index =
            make(MAX_ROWS, first, EXPERTS - first < 5 ? EXPERTS - first : 5);
        total += index.n;
        moe_ref_index_fini(&index);
    }
    index = make(MAX_ROWS, 0, EXPERTS);
    ck_assert_int_eq(total, index.n);
    moe_ref_index_fini(&index);
}
END_TEST

START_TEST(no_experts_means_no_rows)
{
    moe_ref_index_t index;

    draw_ids(3, 0);
    index = make(3, 0, 0);
    ck_assert_int_eq(index.n, 0);
    moe_ref_index_fini(&index);
    moe_ref_index_fini(NULL);
}
END_TEST

START_TEST(impossible_sizes_are_refused)
{
    moe_ref_index_t index;

    ck_assert_int_eq(moe_ref_index_init(ids, INT64_MAX / 2, TOPK, 0, 4, &index),
                     MOE_ERR_RANGE);
    moe_error_clear();
}
END_TEST

/* Every byte of a row's codes and scales tells the row. */
static void stamp(const moe_rows_t *rows, uint8_t *linear)
{
    int64_t blocks = moe_format_scale_cols(rows->storage.format, COLS);
    int64_t bytes = moe_format_code_bytes(rows->storage.format, COLS);

    for (int64_t i = 0; i < rows->rows; i++) {
        for (int64_t j = 0; j < bytes; j++) {
            moe_rows_codes(rows, i)[j] = (uint8_t)(i * 31 + j);
        }
        for (int64_t b = 0; b < blocks; b++) {
            linear[i * blocks + b] = (uint8_t)(i * 17 + b * 5 + 1);
        }
    }
    if (blocks > 0) {
        moe_scales_swizzle(rows->layout, rows->rows, blocks, linear,
                           rows->scales);
    }
}

static moe_rows_t rows_of(moe_format_t format, moe_scale_layout_t layout,
                          int64_t rows)
{
    moe_rows_t r = {.storage = {.format = format},
                    .rows = rows,
                    .cols = COLS,
                    .layout = layout};

    r.codes =
        calloc((size_t)rows + 1, (size_t)moe_format_code_bytes(format, COLS));
    if (format == MOE_FORMAT_nvfp4) {
        r.scales =
            calloc(1, (size_t)moe_scales_bytes(layout, rows + 1, COLS / 16));
    }
    ck_assert_ptr_nonnull(r.codes);
    return r;
}

static void rows_free(moe_rows_t *rows)
{
    free(rows->codes);
    free(rows->scales);
}

static void expect_gathered(const moe_ref_index_t *index, const moe_rows_t *src,
                            const moe_rows_t *dst, const uint8_t *linear)
{
    size_t bytes = (size_t)moe_rows_code_bytes(src);
    size_t blocks =
        (size_t)moe_format_scale_cols(src->storage.format, src->cols);

    for (int64_t i = 0; i < index->source_rows * TOPK; i++) {
        int64_t at = index->place[i];

        if (at >= 0) {
            ck_assert_int_eq(memcmp(moe_rows_codes(dst, at),
                                    moe_rows_codes(src, i / TOPK), bytes),
                             0);
            ck_assert(blocks == 0 ||
                      memcmp((const uint8_t *)dst->scales + (size_t)at * blocks,
                             linear + (size_t)(i / TOPK) * blocks,
                             blocks) == 0);
        }
    }
}

static void gather_case(moe_format_t format, moe_scale_layout_t layout)
{
    uint8_t linear[MAX_ROWS * COLS / 16];
    moe_rows_t src = rows_of(format, layout, MAX_ROWS);
    moe_rows_t dst;
    moe_ref_index_t index;

    draw_ids(MAX_ROWS, 5);
    index = make(MAX_ROWS, 1, 9);
    dst = rows_of(format, MOE_SCALES_linear, index.n);
    stamp(&src, linear);
    moe_ref_gather_rows(&src, &index, &dst);
    expect_gathered(&index, &src, &dst, linear);
    moe_ref_index_fini(&index);
    rows_free(&src);
    rows_free(&dst);
}

START_TEST(gathered_rows_are_those_of_the_index_in_every_layout)
{
    gather_case(MOE_FORMAT_nvfp4, (moe_scale_layout_t)_i);
}
END_TEST

START_TEST(plain_rows_are_gathered_too)
{
    gather_case(MOE_FORMAT_bf16, MOE_SCALES_linear);
    gather_case(MOE_FORMAT_fp32, MOE_SCALES_linear);
}
END_TEST

/* Member of a pair's expert: four experts each, the last two none's. */
static int64_t member_of(int64_t row, int slot)
{
    const int32_t id = ids[row * TOPK + slot];

    return id < 0 || id >= 10 ? -1 : id / 4;
}

/* The slot of a row where a member first occurs, or -1. */
static int first_slot(int64_t row, int64_t member)
{
    for (int s = 0; s < TOPK; s++) {
        if (member_of(row, s) == member) {
            return s;
        }
    }
    return -1;
}

/* Members of 3 ranks of 4, by member, then row; each once a row, listed in
 * order or in its first slot. */
START_TEST(a_row_has_each_member_once_in_order_or_in_its_first_slot)
{
    const bool in_slots = _i % 2 == 1;
    const int64_t rows = row_counts[_i / 2];
    int64_t of_expert[EXPERTS];
    moe_ref_members_t members = {
        .of_expert = of_expert, .n_experts = EXPERTS, .n = 3};
    moe_ref_index_t index;
    int64_t at = 0;

    members.in_slots = in_slots;
    draw_ids(rows, 5);
    for (int e = 0; e < EXPERTS; e++) {
        of_expert[e] = e < 10 ? e / 4 : -1;
    }
    ck_assert_int_eq(moe_ref_sort_members(ids, rows, TOPK, &members, &index),
                     MOE_OK);
    for (int64_t m = 0; m < 3; m++) {
        ck_assert_int_eq(index.offset[m], at);
        for (int64_t i = 0; i < rows; i++) {
            int slot = 0;

            if (first_slot(i, m) < 0) {
                continue;
            }
            for (int64_t b = 0; b < m; b++) {
                slot += first_slot(i, b) >= 0;
            }
            slot = in_slots ? first_slot(i, m) : slot;
            ck_assert_int_eq(index.row[at], i);
            ck_assert_int_eq(index.place[i * TOPK + slot], at++);
        }
    }
    ck_assert_int_eq(index.n, at);
    for (int64_t p = 0; p < rows * TOPK; p++) {
        at -= index.place[p] >= 0;
    }
    ck_assert_int_eq(at, 0);
    moe_ref_index_fini(&index);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("permute");
    TCase *tests = tcase_create("permute");

    tcase_add_loop_test(tests, each_local_pair_has_one_grouped_row_and_back, 0,
                        ROW_COUNTS);
    tcase_add_test(tests, rows_of_an_expert_keep_their_order);
    tcase_add_test(tests, shards_of_experts_together_have_every_pair_once);
    tcase_add_test(tests, no_experts_means_no_rows);
    tcase_add_test(tests, impossible_sizes_are_refused);
    tcase_add_loop_test(tests,
                        gathered_rows_are_those_of_the_index_in_every_layout, 0,
                        MOE_SCALES_COUNT);
    tcase_add_test(tests, plain_rows_are_gathered_too);
    tcase_add_loop_test(
        tests, a_row_has_each_member_once_in_order_or_in_its_first_slot, 0,
        2 * ROW_COUNTS);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
