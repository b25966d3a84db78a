/* SPDX-License-Identifier: Apache-2.0 */
/* A layer whose experts are placed: shares of slots, held to the layer of
 * experts in order. */
#include "moe/placed.h"
#include "ref/judge.h"
#include "tests/support.h"
#include "tests/tiny_layer.h"

#include <string.h>

static const moe_format_t dispatches[] = {MOE_FORMAT_bf16, MOE_FORMAT_nvfp4,
                                          MOE_FORMAT_fp8_1x128};

static void start(const tiny_t *tiny, moe_range_t experts,
                  const moe_placed_t *placed, moe_ref_layer_t *layer)
{
    const moe_ref_case_t about = {.model = &tiny->model,
                                  .chain = tiny->chain,
                                  .seed = 1,
                                  .tokens = {0, TINY_TOKENS},
                                  .experts = experts,
                                  .placed = placed};

    ck_assert_int_eq(moe_ref_layer_init(&about, layer), MOE_OK);
}

/* Experts 3 and 7 are held twice, 7 by one rank: a token's copy
 * goes by its number. */
static const int32_t holds[] = {3, 0, 7, 7, 1, 2, 5, 3, 6, 4};

enum {
    SLOTS = sizeof(holds) / sizeof(holds[0])
};

static void place(const tiny_t *tiny, moe_placed_t *placed)
{
    static const int64_t tokens = TINY_TOKENS;
    const moe_placing_t rule = {.replica = MOE_REPLICA_round_robin,
                                .redundant = SLOTS - TINY_EXPERTS};
    const moe_model_t slots = moe_placed_model(&tiny->model, &rule);
    const moe_layer_t layer = {.model = &slots,
                               .layout = {1, 1, 1, 1},
                               .tokens = &tokens,
                               .place = rule};

    ck_assert_int_eq(moe_layer_place_as(&layer, holds, placed), MOE_OK);
}

/* The slot of a token's expert, by counting. */
static int64_t slot_of(int64_t token, int32_t expert)
{
    int64_t n = 0;
    int64_t found[SLOTS];

    for (int64_t p = 0; p < SLOTS; p++) {
        if (holds[p] == expert) {
            found[n++] = p;
        }
    }
    return found[token % n];
}

static void hold_pair(const moe_ref_layer_t *part, int64_t i,
                      const moe_ref_layer_t *all)
{
    const moe_ref_pairs_t *p = &part->pairs;
    const int64_t place = all->index.place[p->token[i] * 3 + p->slot[i]];

    ck_assert_int_eq(p->expert[i], all->pairs.expert[place]);
    ck_assert_int_eq(p->physical[i], slot_of(p->token[i], p->expert[i]));
    ck_assert(i == 0 || p->physical[i] > p->physical[i - 1] ||
              (p->physical[i] == p->physical[i - 1] &&
               p->token[i] > p->token[i - 1]));
    ck_assert_mem_eq(moe_rows_codes(&part->at[MOE_ROLE_gemm2_out], i),
                     moe_rows_codes(&all->at[MOE_ROLE_gemm2_out], place),
                     2 * TINY_HIDDEN);
}

/* Bounds of what an expert's weights give are those of each of its copies. */
static void hold_bounds(moe_ref_layer_t *part, moe_ref_layer_t *all)
{
    static float own[TINY_TOKENS * 3 * TINY_HIDDEN];
    static float whole[TINY_TOKENS * 3 * TINY_HIDDEN];
    const moe_ref_pairs_t *p = &part->pairs;

    ck_assert_int_eq(moe_ref_layer_abs(part, MOE_ROLE_gemm2_out, own), MOE_OK);
    ck_assert_int_eq(moe_ref_layer_abs(all, MOE_ROLE_gemm2_out, whole), MOE_OK);
    for (int64_t i = 0; i < part->index.n; i++) {
        const int64_t place = all->index.place[p->token[i] * 3 + p->slot[i]];

        ck_assert_mem_eq(&own[i * TINY_HIDDEN], &whole[place * TINY_HIDDEN],
                         TINY_HIDDEN * sizeof(*own));
    }
}

START_TEST(shares_of_placed_experts_have_the_rows_of_experts_in_order)
{
    static tiny_t tiny;
    moe_placed_t placed;
    moe_ref_layer_t all;
    moe_ref_layer_t part;
    int64_t n = 0;

    tiny_init(&tiny, dispatches[_i]);
    place(&tiny, &placed);
    start(&tiny, (moe_range_t){0, TINY_EXPERTS}, NULL, &all);
    ck_assert_int_eq(moe_ref_layer_make(&all, MOE_ROLE_output), MOE_OK);
    for (int64_t begin = 0; begin < SLOTS; begin += SLOTS / 2) {
        start(&tiny, (moe_range_t){begin, begin + SLOTS / 2}, &placed, &part);
        ck_assert_int_eq(moe_ref_layer_make(&part, MOE_ROLE_combine), MOE_OK);
        ck_assert_int_gt(part.index.n, 0);
        for (int64_t i = 0; i < part.index.n; i++) {
            hold_pair(&part, i, &all);
            ck_assert_int_ge(part.pairs.physical[i], begin);
            ck_assert_int_lt(part.pairs.physical[i], begin + SLOTS / 2);
        }
        n += part.index.n;
        hold_bounds(&part, &all);
        moe_ref_layer_fini(&part);
    }
    ck_assert_int_eq(n, all.index.n);
    start(&tiny, (moe_range_t){0, SLOTS}, &placed, &part);
    ck_assert_int_eq(moe_ref_layer_make(&part, MOE_ROLE_output), MOE_OK);
    ck_assert_mem_eq(part.at[MOE_ROLE_output].codes,
                     all.at[MOE_ROLE_output].codes,
                     2 * TINY_TOKENS * TINY_HIDDEN);
    moe_ref_layer_fini(&part);
    moe_ref_layer_fini(&all);
    moe_placed_fini(&placed);
}
END_TEST

/* Slots 2 and 3 hold the same expert: nothing in either is right. */
START_TEST(rows_of_each_copy_are_judged_as_those_of_an_expert)
{
    static tiny_t tiny;
    moe_placed_t placed;
    moe_ref_layer_t part;
    moe_judge_t judge;
    moe_rows_t zeros;

    tiny_init(&tiny, MOE_FORMAT_nvfp4);
    place(&tiny, &placed);
    start(&tiny, (moe_range_t){2, 4}, &placed, &part);
    ck_assert_int_eq(
        moe_judge_init(&part.about, MOE_ACCUMULATOR_fp32, 1000, &judge),
        MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&part, MOE_ROLE_gemm1_out), MOE_OK);
    ck_assert_int_gt(part.index.offset[1], 0);
    ck_assert_int_gt(part.index.n, part.index.offset[1]);
    zeros = part.at[MOE_ROLE_gemm1_out];
    memset(zeros.codes, 0, (size_t)(2 * zeros.rows * zeros.cols));
    ck_assert_int_eq(moe_ref_layer_make(&judge.layer, MOE_ROLE_topk_ids),
                     MOE_OK);
    ck_assert_int_eq(moe_judge_give(&judge, MOE_ROLE_gemm1_out, &zeros),
                     MOE_OK);
    ck_assert_int_eq(moe_judge_run(&judge), MOE_OK);
    ck_assert_int_eq(judge.verdict[MOE_ROLE_gemm1_out].experts_beyond, 2);
    ck_assert_int_eq(judge.verdict[MOE_ROLE_gemm1_out].worst.expert, 7);
    ck_assert_int_ge(judge.verdict[MOE_ROLE_gemm1_out].worst.physical, 2);
    moe_judge_fini(&judge);
    moe_ref_layer_fini(&part);
    moe_placed_fini(&placed);
}
END_TEST

START_TEST(placed_experts_are_no_more_than_slots)
{
    static tiny_t tiny;
    moe_placed_t placed;
    moe_ref_layer_t part;

    tiny_init(&tiny, MOE_FORMAT_nvfp4);
    place(&tiny, &placed);
    start(&tiny, (moe_range_t){0, TINY_EXPERTS}, &placed, &part);
    ck_assert_int_eq(moe_ref_layer_make(&part, MOE_ROLE_output), MOE_ERR_RANGE);
    part.about.experts.end = SLOTS + 1;
    ck_assert_int_eq(moe_ref_layer_init(&part.about, &part), MOE_ERR_RANGE);
    part.about.experts.end = TINY_EXPERTS;
    moe_error_clear();
    moe_ref_layer_fini(&part);
    moe_placed_fini(&placed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layer_placed");
    TCase *tcase = tcase_create("layer_placed");

    tcase_add_loop_test(
        tcase, shares_of_placed_experts_have_the_rows_of_experts_in_order, 0,
        (int)(sizeof(dispatches) / sizeof(dispatches[0])));
    tcase_add_test(tcase, rows_of_each_copy_are_judged_as_those_of_an_expert);
    tcase_add_test(tcase, placed_experts_are_no_more_than_slots);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
