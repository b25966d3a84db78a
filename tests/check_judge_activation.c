/* SPDX-License-Identifier: Apache-2.0 */
/* Activations as kernels compute them in fp32 are good, also where fp32 has no
 * digits left for them; others are not. */
#include "ref/judge.h"

#include "ref/formats.h"
#include "tests/support.h"

#include <math.h>

enum {
    TOKENS = 4,
    WIDTH = 512
};

static moe_model_t model = {.hidden = 128,
                            .intermediate = WIDTH,
                            .experts = 2,
                            .topk = 1,
                            .n_group = 1,
                            .topk_group = 1,
                            .score = MOE_SCORE_softmax,
                            .routed_scaling = 1.0f};

/* As PyTorch does it in fp32. */
static float activate(moe_activation_t activation, float g, float u)
{
    const float cubic = 0.79788456f * (g + 0.044715f * g * g * g);
    const float low = g < 7.0f ? g : 7.0f;

    switch (activation) {
    case MOE_ACTIVATION_swiglu:
        return g / (1.0f + expf(-g)) * u;
    case MOE_ACTIVATION_swiglu_oai:
        return low * (1.0f / (1.0f + expf(-1.702f * low))) *
               (fmaxf(-7.0f, fminf(u, 7.0f)) + 1.0f);
    case MOE_ACTIVATION_gelu:
        return g * 0.5f * (1.0f + erff(g * 0.70710678f)) * u;
    case MOE_ACTIVATION_gelu_tanh:
        return 0.5f * g * (1.0f + tanhf(cubic)) * u;
    default:
        return (g > 0.0f ? g : 0.0f) * u;
    }
}

/* Gates from 8 to -120, tightly where GELUs have no digits left. */
static float gate_of(int64_t col)
{
    return col < WIDTH / 2 ? 8.0f - (float)col / 16.0f
                           : -8.0f - (float)(col - WIDTH / 2) * 0.4375f;
}

/* Judge the activation of these gates, one of a row's times a factor. */
static bool is_good(moe_activation_t activation, int64_t col, float factor)
{
    const moe_ref_case_t about = {.model = &model,
                                  .chain = {.weights = MOE_FORMAT_bf16},
                                  .seed = 1,
                                  .tokens = {0, TOKENS},
                                  .experts = {0, 2}};
    moe_judge_t judge;
    moe_ref_layer_t layer;
    uint16_t *in;
    uint16_t *out;
    bool good;

    model.activation = activation;
    ck_assert_int_eq(moe_ref_layer_init(&about, &layer), MOE_OK);
    ck_assert_int_eq(moe_ref_layer_make(&layer, MOE_ROLE_act_out), MOE_OK);
    in = layer.at[MOE_ROLE_gemm1_out].codes;
    out = layer.at[MOE_ROLE_act_out].codes;
    for (int64_t i = 0; i < TOKENS; i++) {
        for (int64_t c = 0; c < WIDTH; c++) {
            uint16_t *pair = in + i * 2 * WIDTH;
            float g;
            float u;

            pair[c] = moe_bf16_from_f32(gate_of(c));
            pair[WIDTH + c] = moe_bf16_from_f32((float)(2 * i - 3) * 0.37f);
            g = moe_bf16_to_f32(pair[c]);
            u = moe_bf16_to_f32(pair[WIDTH + c]);
            out[i * WIDTH + c] = moe_bf16_from_f32(activate(activation, g, u) *
                                                   (c == col ? factor : 1.0f));
        }
    }
    ck_assert_int_eq(
        moe_judge_init(&about, MOE_ACCUMULATOR_fp32, 100000, &judge), MOE_OK);
    for (int i = 0; i < 2; i++) {
        const moe_role_t role = i == 0 ? MOE_ROLE_topk_ids : MOE_ROLE_gemm1_out;

        ck_assert_int_eq(moe_judge_trust(&judge, role, &layer.at[role]),
                         MOE_OK);
    }
    ck_assert_int_eq(
        moe_judge_give(&judge, MOE_ROLE_act_out, &layer.at[MOE_ROLE_act_out]),
        MOE_OK);
    ck_assert_int_eq(moe_judge_run(&judge), MOE_OK);
    good = judge.verdict[MOE_ROLE_act_out].good &&
           judge.verdict[MOE_ROLE_act_out].beyond[MOE_WIDTH_hard] == 0;
    moe_judge_fini(&judge);
    moe_ref_layer_fini(&layer);
    return good;
}

START_TEST(what_fp32_makes_of_any_gate_is_good)
{
    ck_assert(is_good((moe_activation_t)_i, 0, 1.0f));
}
END_TEST

START_TEST(another_number_is_not)
{
    /* gates of about 0.5, -0.5 and -2 */
    ck_assert(!is_good((moe_activation_t)_i, 120, 1.02f));
    ck_assert(_i == MOE_ACTIVATION_relu_glu ||
              (!is_good((moe_activation_t)_i, 136, 1.02f) &&
               !is_good((moe_activation_t)_i, 160, 1.02f)));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("judge_activation");
    TCase *tests = tcase_create("judge_activation");

    tcase_add_loop_test(tests, what_fp32_makes_of_any_gate_is_good, 0,
                        MOE_ACTIVATION_COUNT);
    tcase_add_loop_test(tests, another_number_is_not, 0, MOE_ACTIVATION_COUNT);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
