/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/layer.h"

#include "ref/formats.h"
#include "tests/support.h"
#include "tests/tiny_layer.h"

#include <math.h>
#include <string.h>
#include <time.h>

static const moe_format_t dispatches[] = {MOE_FORMAT_bf16, MOE_FORMAT_nvfp4,
                                          MOE_FORMAT_fp8_1x128};

/* The tiny layer's inputs are of seed 1, its weights of 7667. */
static void start(const tiny_t *tiny, moe_range_t experts,
                  moe_ref_layer_t *layer)
{
    const moe_ref_case_t about = {.model = &tiny->model,
                                  .chain = tiny->chain,
                                  .seed = 1,
                                  .tokens = {0, TINY_TOKENS},
                                  .experts = experts};

    ck_assert_int_eq(moe_ref_layer_init(&about, layer), MOE_OK);
    layer->weights[MOE_W13].seed = layer->weights[MOE_W2].seed =
        tiny->layer.seed;
}

static uint32_t code_at(const moe_rows_t *rows, int64_t i)
{
    return moe_float_load(rows->storage.format, rows->codes, i);
}

START_TEST(the_output_is_the_oracles)
{
    static tiny_t tiny;
    static tiny_result_t want;
    moe_ref_layer_t layer;

    tiny_init(&tiny, dispatches[_i]);
    ck_assert_int_eq(tiny_oracle(&tiny, &want), MOE_OK);
    start(&tiny, (moe_range_t){0, TINY_EXPERTS}, &layer);
    ck_assert_int_eq(moe_ref_layer_make(&layer, MOE_ROLE_output), MOE_OK);
    for (int i = 0; i < TINY_TOKENS * TINY_HIDDEN; i++) {
        ck_assert_uint_eq(code_at(&layer.at[MOE_ROLE_output], i),
                          want.output[i]);
    }
    ck_assert_int_eq(memcmp(layer.at[MOE_ROLE_topk_ids].codes, want.ids,
                            sizeof(int32_t) * TINY_TOKENS * 3),
                     0);
    moe_ref_layer_fini(&layer);
}
END_TEST

START_TEST(a_given_tensor_takes_the_place_of_the_computed_one)
{
    static tiny_t tiny;
    moe_ref_layer_t layer;
    moe_ref_layer_t other;
    moe_rows_t given;
    size_t bytes;

    tiny_init(&tiny, MOE_FORMAT_nvfp4);
    start(&tiny, (moe_range_t){0, TINY_EXPERTS}, &layer);
    start(&tiny, (moe_range_t){0, TINY_EXPERTS}, &other);
    ck_assert_int_eq(moe_ref_layer_make(&layer, MOE_ROLE_output), MOE_OK);
    given = layer.at[MOE_ROLE_gemm2_out];
    bytes = (size_t)(given.rows * given.cols) * 2;
    ck_assert_int_eq(moe_ref_layer_give(&other, MOE_ROLE_gemm2_out, &given),
                     MOE_ERR_RANGE); /* pairs are not known yet */
    ck_assert_int_eq(moe_ref_layer_give(&other, MOE_ROLE_topk_ids,
                                        &layer.at[MOE_ROLE_topk_ids]),
                     MOE_OK);
    moe_error_clear();
    memset(given.codes, 0, bytes);
    ck_assert_int_eq(moe_ref_layer_give(&other, MOE_ROLE_gemm2_out, &given),
                     MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&other, MOE_ROLE_output), MOE_OK);
    for (int i = 0; i < TINY_TOKENS * TINY_HIDDEN; i++) {
        ck_assert_uint_eq(code_at(&other.at[MOE_ROLE_output], i), 0);
    }
    ck_assert(!other.held[MOE_ROLE_gemm1_out]);
    moe_ref_layer_fini(&other);
    moe_ref_layer_fini(&layer);
}
END_TEST

START_TEST(a_share_of_the_experts_has_its_pairs_and_no_output)
{
    static tiny_t tiny;
    moe_ref_layer_t all;
    moe_ref_layer_t part;
    int64_t at;

    tiny_init(&tiny, MOE_FORMAT_nvfp4);
    start(&tiny, (moe_range_t){0, TINY_EXPERTS}, &all);
    start(&tiny, (moe_range_t){2, 5}, &part);
    ck_assert_int_eq(moe_ref_layer_make(&all, MOE_ROLE_gemm2_out), MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&part, MOE_ROLE_combine), MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&part, MOE_ROLE_output), MOE_ERR_RANGE);
    at = all.index.offset[2];
    ck_assert_int_eq(part.index.n, all.index.offset[5] - at);
    ck_assert_int_gt(part.index.n, 0);
    for (int64_t i = 0; i < part.index.n; i++) {
        ck_assert_int_eq(part.pairs.token[i], all.pairs.token[at + i]);
        ck_assert_int_eq(part.pairs.slot[i], all.pairs.slot[at + i]);
        ck_assert_int_eq(part.pairs.expert[i], all.pairs.expert[at + i]);
        ck_assert_int_eq(
            memcmp(moe_rows_codes(&part.at[MOE_ROLE_gemm2_out], i),
                   moe_rows_codes(&all.at[MOE_ROLE_gemm2_out], at + i),
                   2 * TINY_HIDDEN),
            0);
    }
    moe_ref_layer_fini(&part);
    moe_ref_layer_fini(&all);
}
END_TEST

/* sum |a||b| of an element of a matmul, one product at a time. */
static double magnitudes(const tiny_t *tiny, moe_weight_t weight,
                         const moe_rows_t *x, int64_t row, int64_t expert,
                         int64_t col)
{
    const int64_t k = moe_weight_cols(&tiny->model, weight);
    uint8_t codes[TINY_HIDDEN];
    uint8_t scales[TINY_HIDDEN];
    double sum = 0.0;

    moe_fill_weight_codes(tiny->layer.seed, weight, expert, col, 1, 0, k,
                          codes);
    moe_fill_weight_scales(tiny->layer.seed, weight, expert, col, 1, 0, k / 16,
                           scales);
    for (int64_t i = 0; i < k; i++) {
        uint8_t code = (uint8_t)(codes[i / 2] >> (4 * (i % 2)) & 15);
        double w = (double)moe_e2m1_to_f32(code) *
                   (double)moe_e4m3_to_f32(scales[i / 16]) *
                   (double)moe_fill_weight_global(k);

        sum += fabs(w * moe_rows_value(x, row, i));
    }
    return sum;
}

static void hold_abs(const tiny_t *tiny, moe_ref_layer_t *layer,
                     moe_role_t role)
{
    static float out[TINY_TOKENS * 3 * TINY_HIDDEN * 2];
    const bool first = role == MOE_ROLE_gemm1_out;
    const moe_weight_t weight = first ? MOE_W13 : MOE_W2;
    const moe_role_t in = first ? MOE_ROLE_expert_in : MOE_ROLE_gemm2_in;
    const int64_t n = moe_weight_rows(&tiny->model, weight);

    ck_assert_int_eq(moe_ref_layer_abs(layer, role, out), MOE_OK);
    for (int64_t i = 0; i < layer->index.n; i += 5) {
        for (int64_t c = 0; c < n; c += 7) {
            double want = magnitudes(tiny, weight, &layer->at[in], i,
                                     layer->pairs.expert[i], c);

            ck_assert_double_le(want, (double)out[i * n + c]);
            ck_assert_double_ge(8.0 * want, (double)out[i * n + c]);
        }
    }
}

START_TEST(bounds_lie_above_the_sum_of_magnitudes_and_near_it)
{
    static tiny_t tiny;
    moe_ref_layer_t layer;

    tiny_init(&tiny, MOE_FORMAT_nvfp4);
    start(&tiny, (moe_range_t){0, TINY_EXPERTS}, &layer);
    hold_abs(&tiny, &layer, MOE_ROLE_gemm1_out);
    hold_abs(&tiny, &layer, MOE_ROLE_gemm2_out);
    moe_ref_layer_fini(&layer);
}
END_TEST

START_TEST(ids_that_are_no_experts_are_refused)
{
    static tiny_t tiny;
    moe_ref_layer_t layer;
    int32_t ids[TINY_TOKENS * 3] = {0, 1, TINY_EXPERTS};
    const moe_rows_t rows = {.storage = {.format = MOE_FORMAT_i32},
                             .rows = TINY_TOKENS,
                             .cols = 3,
                             .codes = ids};

    tiny_init(&tiny, MOE_FORMAT_nvfp4);
    start(&tiny, (moe_range_t){0, TINY_EXPERTS}, &layer);
    ck_assert_int_eq(moe_ref_layer_give(&layer, MOE_ROLE_topk_ids, &rows),
                     MOE_ERR_RANGE);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "token 0, slot 2"));
    ids[2] = -1;
    ck_assert_int_eq(moe_ref_layer_give(&layer, MOE_ROLE_topk_ids, &rows),
                     MOE_OK);
    ck_assert_int_eq(layer.index.n, TINY_TOKENS * 3 - 1);
    moe_ref_layer_fini(&layer);
}
END_TEST

/* 1.09375 (bf16 0x3f8c) times 0x1.c0ea0ep-4 lies by a tie of bf16, to which
 * fp32 rounds it. */
START_TEST(a_product_is_rounded_once_or_to_fp32_first)
{
    const float weight = 0x1.c0ea0ep-4f;
    uint16_t y = 0x3f8c;
    uint16_t product;
    const moe_rows_t in = {.storage = {.format = MOE_FORMAT_bf16},
                           .rows = 1,
                           .cols = 1,
                           .codes = &y};
    moe_rows_t out = in;

    out.codes = &product;
    for (int fp32 = 0; fp32 < 2; fp32++) {
        moe_rows_weigh(&in, &weight, fp32 != 0, &out);
        ck_assert(moe_rows_value(&out, 0, 0) == (fp32 ? 0x1.ecp-4 : 0x1.eap-4));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("layer");
    TCase *tcase = tcase_create("layer");

    tcase_add_loop_test(tcase, the_output_is_the_oracles, 0,
                        (int)(sizeof(dispatches) / sizeof(dispatches[0])));
    tcase_add_test(tcase, a_product_is_rounded_once_or_to_fp32_first);
    tcase_add_test(tcase, a_given_tensor_takes_the_place_of_the_computed_one);
    tcase_add_test(tcase, a_share_of_the_experts_has_its_pairs_and_no_output);
    tcase_add_test(tcase, bounds_lie_above_the_sum_of_magnitudes_and_near_it);
    tcase_add_test(tcase, ids_that_are_no_experts_are_refused);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
