/* SPDX-License-Identifier: Apache-2.0 */
/* Data that are exact by construction (moe/grid.h, ref/grid.h). */
#include "tests/support.h"

#include "moe/draw.h"
#include "ref/formats.h"
#include "ref/grid.h"
#include "ref/oracle.h"
#include "ref/quantize.h"
#include "tests/fused_kernel.h"

#include <stdlib.h>
#include <string.h>

/* Shapes of the models, with experts for a few tokens only. */
static const moe_model_t shapes[] = {
    {.name = "gpt-oss-120b",
     .hidden = 2880,
     .intermediate = 2880,
     .experts = 8,
     .topk = 4,
     .n_group = 1,
     .topk_group = 1,
     .gate_up = MOE_GATE_UP_interleaved},
    {.name = "deepseek-v3",
     .hidden = 7168,
     .intermediate = 2048,
     .experts = 16,
     .topk = 8,
     .n_group = 8,
     .topk_group = 4,
     .bias = true},
    {.name = "mixtral-8x7b",
     .hidden = 4096,
     .intermediate = 14336,
     .experts = 4,
     .topk = 2,
     .n_group = 1,
     .topk_group = 1},
};

static const moe_model_t small = {.name = "small",
                                  .hidden = 384,
                                  .intermediate = 256,
                                  .experts = 12,
                                  .topk = 6,
                                  .n_group = 1,
                                  .topk_group = 1};

enum {
    SHAPES = sizeof(shapes) / sizeof(shapes[0]),
    ORDERS = 2, /* random ones of a kernel */
    ROWS = 40
};

static moe_ref_case_t case_of(const moe_model_t *m, moe_data_t data,
                              moe_format_t dispatch, int64_t tokens)
{
    moe_ref_case_t c = {.model = m,
                        .seed = 9,
                        .tokens = {0, tokens},
                        .experts = {0, m->experts},
                        .data = data};
    moe_storage_t *at = c.chain.at;

    c.chain.weights = MOE_FORMAT_nvfp4; /* the rest is bf16, 0 */
    c.chain.contract = moe_contract_default();
    at[MOE_ROLE_dispatch].format = dispatch;
    at[MOE_ROLE_expert_in].format = MOE_FORMAT_nvfp4;
    at[MOE_ROLE_gemm2_in].format = MOE_FORMAT_nvfp4;
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        moe_storage_default(&at[r], moe_data_bound(data, 4.0f));
    }
    return c;
}

/* Bits; but a kernel's relu_glu has -0 where 0 meets a negative number. */
static void assert_same(const moe_ref_layer_t *layer, moe_role_t role,
                        int64_t row, const uint16_t *got)
{
    const moe_rows_t *want = &layer->at[role];
    const uint16_t *bits = (const void *)moe_rows_codes(want, row);

    for (int64_t c = 0; c < want->cols; c++) {
        const bool zero = role == MOE_ROLE_act_out && got[c] == 0x8000;

        ck_assert_uint_eq(bits[c], zero ? 0 : got[c]);
    }
}

/* Slot s of the first token, at its place among the pairs. */
static void assert_slot(const moe_ref_layer_t *layer, int64_t s,
                        const kernel_out_t *out)
{
    const moe_model_t *m = layer->about.model;
    const int64_t at = layer->index.place[s];

    assert_same(layer, MOE_ROLE_gemm1_out, at,
                out->gemm1_out + s * 2 * m->intermediate);
    assert_same(layer, MOE_ROLE_act_out, at,
                out->act_out + s * m->intermediate);
    assert_same(layer, MOE_ROLE_gemm2_out, at, out->gemm2_out + s * m->hidden);
}

START_TEST(a_float32_kernel_gives_the_same_bits_in_any_order)
{
    moe_model_t m = shapes[_i];
    const size_t k = (size_t)m.topk;
    const size_t inner = (size_t)m.intermediate;
    const size_t outer = (size_t)m.hidden;
    uint16_t *room = malloc((3 * k * inner + (k + 1) * outer) * sizeof(*room));
    moe_ref_layer_t layer;
    moe_ref_case_t about;
    kernel_t kernel;
    kernel_out_t out;

    ck_assert_ptr_nonnull(room);
    out = (kernel_out_t){room, room + 2 * k * inner, room + 3 * k * inner,
                         room + 3 * k * inner + k * outer};
    moe_data_set_model(MOE_DATA_grid, &m);
    about = case_of(&m, MOE_DATA_grid, MOE_FORMAT_nvfp4, 2);
    ck_assert_int_eq(moe_ref_layer_init(&about, &layer), MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&layer, MOE_ROLE_output), MOE_OK);
    kernel_init(&layer, 77, &kernel);
    for (int i = 0; i < ORDERS; i++) {
        kernel_run(&kernel, KERNEL_good, &out);
        for (int64_t s = 0; s < m.topk; s++) {
            assert_slot(&layer, s, &out);
        }
        assert_same(&layer, MOE_ROLE_output, 0, out.output);
    }
    kernel_run(&kernel, KERNEL_tile_skipped, &out);
    ck_assert_mem_ne(moe_rows_codes(&layer.at[MOE_ROLE_output], 0), out.output,
                     (size_t)m.hidden * 2);
    kernel_fini(&kernel);
    moe_ref_layer_fini(&layer);
    free(room);
}
END_TEST

START_TEST(experts_that_return_their_input_make_such_a_layer)
{
    static const moe_format_t sent[] = {MOE_FORMAT_bf16, MOE_FORMAT_nvfp4,
                                        MOE_FORMAT_fp8_1x128, MOE_FORMAT_mxfp8};
    const moe_data_t data = _i % 2 == 0 ? MOE_DATA_identity : MOE_DATA_stamp;
    moe_model_t m = small;
    moe_ref_case_t about;
    moe_ref_layer_t layer;

    m.gate_up = (moe_gate_up_t)(_i / 8);
    m.intermediate = _i % 3 == 0 ? 512 : 256;
    moe_data_set_model(data, &m);
    about = case_of(&m, data, sent[_i / 2 % 4], ROWS);
    ck_assert_int_eq(moe_ref_layer_init(&about, &layer), MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&layer, MOE_ROLE_output), MOE_OK);
    ck_assert_mem_eq(layer.at[MOE_ROLE_hidden].codes,
                     layer.at[MOE_ROLE_output].codes,
                     (size_t)(ROWS * m.hidden) * 2);
    moe_ref_layer_fini(&layer);
}
END_TEST

START_TEST(every_received_row_says_which_token_it_is)
{
    static const moe_format_t sent[] = {MOE_FORMAT_bf16, MOE_FORMAT_nvfp4,
                                        MOE_FORMAT_fp8_1x128_ue8m0};
    moe_model_t m = small;
    moe_ref_case_t about;
    moe_ref_layer_t layer;
    double row[384];

    moe_data_set_model(MOE_DATA_stamp, &m);
    about = case_of(&m, MOE_DATA_stamp, sent[_i], ROWS);
    about.tokens = (moe_range_t){12345, 12345 + ROWS};
    ck_assert_int_eq(moe_ref_layer_init(&about, &layer), MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&layer, MOE_ROLE_expert_in), MOE_OK);
    for (int64_t i = 0; i < layer.index.n; i++) {
        moe_rows_values(&layer.at[MOE_ROLE_expert_in], i, 0, m.hidden, row);
        ck_assert_int_eq(moe_stamp_read(row, m.hidden), layer.pairs.token[i]);
    }
    row[40] = row[40] > 1.0 ? 0.0 : 3.0;
    ck_assert_int_eq(moe_stamp_read(row, m.hidden), -2);
    memset(row, 0, sizeof(row));
    ck_assert_int_eq(moe_stamp_read(row, m.hidden), -1);
    moe_ref_layer_fini(&layer);
}
END_TEST

START_TEST(stamps_of_two_tokens_differ_up_to_the_largest_number)
{
    static const int64_t tokens[] = {0, 1, 255, 65536, MOE_STAMP_MAX - 1};
    int8_t stamp[64];
    double row[64];

    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        moe_stamp_write(tokens[i], 64, stamp);
        for (int c = 0; c < 64; c++) {
            row[c] = (double)stamp[c];
        }
        ck_assert_int_eq(moe_stamp_read(row, 64), tokens[i]);
    }
}
END_TEST

START_TEST(routing_weights_are_powers_of_two_whose_sum_is_one)
{
    moe_model_t m = small;
    moe_ref_case_t about;
    moe_ref_layer_t layer;
    const float *w;

    m.topk = 1 + _i;
    moe_data_set_model(MOE_DATA_grid, &m);
    about = case_of(&m, MOE_DATA_grid, MOE_FORMAT_bf16, ROWS);
    ck_assert_int_eq(moe_ref_layer_init(&about, &layer), MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&layer, MOE_ROLE_topk_weights), MOE_OK);
    w = layer.at[MOE_ROLE_topk_weights].codes;
    for (int64_t t = 0; t < ROWS; t++) {
        float sum = 0.0f;

        for (int s = 0; s < m.topk; s++) {
            sum += w[t * m.topk + s];
        }
        ck_assert(!(sum < 1.0f) && !(sum > 1.0f));
    }
    moe_ref_layer_fini(&layer);
}
END_TEST

START_TEST(what_cannot_be_proved_is_refused)
{
    char why[MOE_GRID_WHY];
    moe_model_t m = small;
    moe_ref_case_t about;

    moe_data_set_model(MOE_DATA_grid, &m);
    about = case_of(&m, MOE_DATA_grid, MOE_FORMAT_bf16, 1);
    ck_assert_ptr_null(moe_grid_chain_refuses(about.data, &m, &about.chain));
    about.chain.at[MOE_ROLE_dispatch].format = MOE_FORMAT_logfmt10;
    ck_assert_ptr_nonnull(moe_grid_chain_refuses(about.data, &m, &about.chain));
    about = case_of(&m, MOE_DATA_grid, MOE_FORMAT_bf16, 1);
    about.chain.at[MOE_ROLE_expert_in].global_scale = 3.0f;
    ck_assert_ptr_nonnull(moe_grid_chain_refuses(about.data, &m, &about.chain));
    m.topk = 64;
    about = case_of(&m, MOE_DATA_grid, MOE_FORMAT_bf16, 1);
    ck_assert_ptr_nonnull(strstr(
        moe_grid_chain_refuses(about.data, &m, &about.chain), "combine"));
    m = small;
    m.hidden = 65536;
    ck_assert(!moe_grid_shape_is_exact(MOE_DATA_grid, &m, why));
    ck_assert_ptr_nonnull(strstr(why, "router"));
    ck_assert(moe_grid_shape_is_exact(MOE_DATA_normal, &m, why));
    m.hidden = 24;
    ck_assert(!moe_grid_shape_is_exact(MOE_DATA_stamp, &m, why));
}
END_TEST

/* Weights by rows, and by panels of rows. */
START_TEST(panels_hold_the_same_weights)
{
    const moe_draw_t from = {(moe_data_t)_i, 3, &small};
    static uint8_t rows[MOE_FILL_PANEL_ROWS * 192];
    static uint8_t panel[MOE_FILL_PANEL_ROWS * 192];

    for (int64_t r = 0; r < 512; r += MOE_FILL_PANEL_ROWS) {
        moe_draw_weight_codes(&from, MOE_W13, 2, r, MOE_FILL_PANEL_ROWS, 32,
                              320, rows);
        moe_draw_panel_codes(&from, MOE_W13, 2, r, 32, 320, panel);
        for (int64_t i = 0; i < MOE_FILL_PANEL_ROWS * 160; i++) {
            const int64_t row = i / 160;
            const int64_t byte = i % 160;

            ck_assert_uint_eq(
                panel[(byte / 4 * MOE_FILL_PANEL_ROWS + row) * 4 + byte % 4],
                rows[i]);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("exact_data");
    TCase *t = tcase_create("exact_data");

    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, a_float32_kernel_gives_the_same_bits_in_any_order, 0,
                        SHAPES);
    tcase_add_loop_test(t, experts_that_return_their_input_make_such_a_layer, 0,
                        8 * MOE_GATE_UP_COUNT);
    tcase_add_loop_test(t, every_received_row_says_which_token_it_is, 0, 3);
    tcase_add_test(t, stamps_of_two_tokens_differ_up_to_the_largest_number);
    tcase_add_loop_test(t, routing_weights_are_powers_of_two_whose_sum_is_one,
                        0, 12);
    tcase_add_test(t, what_cannot_be_proved_is_refused);
    tcase_add_loop_test(t, panels_hold_the_same_weights, 0, MOE_DATA_COUNT);
    suite_add_tcase(suite, t);
    return moe_suite_main(suite);
}
