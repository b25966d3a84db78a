/* SPDX-License-Identifier: Apache-2.0 */
/* The activations other than plain SwiGLU, judged by MPFR from the formulas
 * as PyTorch documents them. */
#include "config.h"

#include "ref/activation.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <math.h>
#include <string.h>

enum {
    GATES = 65536,
    BITS = 400
};

static const moe_format_t floats[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                      MOE_FORMAT_fp32};

static uint32_t in[2 * GATES];
static uint32_t out[GATES];

/* GELU as PyTorch's manual writes it: x Phi(x). */
static void gelu(mpfr_t y, double g)
{
    mpfr_t root;

    mpfr_init2(root, BITS);
    mpfr_sqrt_ui(root, 2, MPFR_RNDN);
    mpfr_set_d(y, -g, MPFR_RNDN);
    mpfr_div(y, y, root, MPFR_RNDN);
    mpfr_erfc(y, y, MPFR_RNDZ);
    mpfr_mul_d(y, y, g, MPFR_RNDZ);
    mpfr_div_ui(y, y, 2, MPFR_RNDZ);
    mpfr_clear(root);
}

/* approximate="tanh": 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
static void gelu_tanh(mpfr_t y, double g)
{
    mpfr_t x;

    mpfr_init2(x, 900); /* 1 + tanh cancels */
    mpfr_set_prec(y, 900);
    mpfr_set_d(x, g, MPFR_RNDN);
    mpfr_pow_ui(y, x, 3, MPFR_RNDN);
    mpfr_mul_ui(y, y, 44715, MPFR_RNDN);
    mpfr_div_ui(y, y, 1000000, MPFR_RNDN);
    mpfr_add(y, y, x, MPFR_RNDN);
    mpfr_const_pi(x, MPFR_RNDN);
    mpfr_ui_div(x, 2, x, MPFR_RNDN);
    mpfr_sqrt(x, x, MPFR_RNDN);
    mpfr_mul(y, y, x, MPFR_RNDN);
    mpfr_tanh(y, y, MPFR_RNDZ);
    mpfr_add_ui(y, y, 1, MPFR_RNDZ);
    mpfr_mul_d(y, y, g, MPFR_RNDZ);
    mpfr_div_ui(y, y, 2, MPFR_RNDZ);
    mpfr_clear(x);
}

/* gpt-oss: clamp, glu = gate sigmoid(gate alpha), (up + 1) glu. */
static void swiglu_oai(mpfr_t y, double *g, double *u)
{
    *g = fmin(*g, 7.0);
    *u = fmax(fmin(*u, 7.0), -7.0);
    judge_sigma(y, *g * (double)1.702f);
    mpfr_mul_d(y, y, *g, MPFR_RNDZ);
}

static double judged(moe_activation_t activation, double g, double u,
                     moe_format_t format)
{
    mpfr_t y, factor;
    double value;

    mpfr_init2(y, BITS);
    mpfr_init2(factor, BITS);
    if (activation == MOE_ACTIVATION_gelu) {
        gelu(y, g);
    } else if (activation == MOE_ACTIVATION_gelu_tanh) {
        gelu_tanh(y, g);
    } else if (activation == MOE_ACTIVATION_swiglu_oai) {
        swiglu_oai(y, &g, &u);
    } else {
        mpfr_set_d(y, g > 0.0 ? g : 0.0, MPFR_RNDN);
    }
    mpfr_set_d(factor, u, MPFR_RNDN);
    mpfr_add_ui(factor, factor, activation == MOE_ACTIVATION_swiglu_oai,
                MPFR_RNDN);
    mpfr_mul(y, y, factor, MPFR_RNDZ);
    value = judge_round(y, format);
    mpfr_clears(y, factor, (mpfr_ptr)0);
    return value + 0.0;
}

static void assert_row(moe_ref_gate_t gate, int64_t n, moe_format_t format,
                       bool both)
{
    moe_ref_stats_t stats = {0, 0, 0};
    moe_rows_t x = {.storage = {.format = MOE_FORMAT_fp32},
                    .rows = 1,
                    .cols = both ? 2 * n : n,
                    .codes = in};
    moe_rows_t y = {
        .storage = {.format = format}, .rows = 1, .cols = n, .codes = out};
    const bool mixed = gate.gate_up == MOE_GATE_UP_interleaved;

    ck_assert_int_eq(moe_ref_activate(gate, &x, &y, &stats), MOE_OK);
    for (int64_t i = 0; i < n; i++) {
        double g = (double)moe_f32_of_bits(in[both && mixed ? 2 * i : i]);
        double u = !both   ? 1.0
                   : mixed ? (double)moe_f32_of_bits(in[2 * i + 1])
                           : (double)moe_f32_of_bits(in[n + i]);
        double got = moe_float_value(format, moe_float_load(format, out, i));
        double want = judged(gate.activation, g, u, format);

        ck_assert_msg(memcmp(&got, &want, sizeof(got)) == 0,
                      "%s: g %a, u %a: %a, not %a",
                      moe_activation_name(gate.activation), g, u, got, want);
    }
}

/* All finite bf16 gates alone. */
START_TEST(every_bf16_gate_is_right_where_gemm1_gives_one_number)
{
    int64_t n = 0;

    for (uint32_t i = (uint32_t)_i / 5; i < GATES; i += 13) {
        uint32_t bits = i << 16;

        if (isfinite(moe_f32_of_bits(bits)) && _i % 5 > 0) {
            in[n++] = bits;
        }
    }
    if (n > 0) {
        assert_row(
            (moe_ref_gate_t){(moe_activation_t)(_i % 5), MOE_GATE_UP_halves}, n,
            floats[_i / 5], false);
    }
}
END_TEST

/* Numbers of 24 digits, some so small or large that no function is needed. */
START_TEST(gates_and_ups_of_fp32_are_right_in_either_order)
{
    uint64_t state = 40 + (uint64_t)_i;

    for (int a = MOE_ACTIVATION_swiglu_oai; a < MOE_ACTIVATION_COUNT; a++) {
        for (int i = 0; i < 2 * 600; i++) {
            int range = i % 5 == 0 ? 100 : 4;

            in[i] = moe_f32_bits(
                (float)judge_number(&state, i % 3 ? 24 : 6, -range, range - 1));
        }
        for (int f = 0; f < 3; f++) {
            assert_row((moe_ref_gate_t){(moe_activation_t)a, (moe_gate_up_t)_i},
                       600, floats[f], true);
        }
    }
}
END_TEST

START_TEST(what_is_not_finite_takes_the_limit)
{
    static const float cases[][2] = {{-INFINITY, 3.0f},     {INFINITY, 2.0f},
                                     {NAN, 1.0f},           {1.0f, NAN},
                                     {-INFINITY, INFINITY}, {2.0f, -INFINITY}};
    static const float want[][6] = {
        [MOE_ACTIVATION_swiglu] = {0, INFINITY, NAN, NAN, NAN, -INFINITY},
        [MOE_ACTIVATION_swiglu_oai] = {0, 20.99986f, NAN, NAN, 0, -11.61403f},
        [MOE_ACTIVATION_gelu] = {0, INFINITY, NAN, NAN, NAN, -INFINITY},
        [MOE_ACTIVATION_gelu_tanh] = {0, INFINITY, NAN, NAN, NAN, -INFINITY},
        [MOE_ACTIVATION_relu_glu] = {0, INFINITY, NAN, NAN, NAN, -INFINITY}};
    moe_ref_stats_t stats = {0, 0, 0};

    for (int i = 0; i < 6; i++) {
        moe_rows_t x = {.storage = {.format = MOE_FORMAT_fp32},
                        .rows = 1,
                        .cols = 2,
                        .codes = (void *)(uintptr_t)cases[i]};
        moe_rows_t y = x;
        float got;

        y.cols = 1;
        y.codes = &got;
        ck_assert_int_eq(moe_ref_activate((moe_ref_gate_t){(moe_activation_t)_i,
                                                           MOE_GATE_UP_halves},
                                          &x, &y, &stats),
                         MOE_OK);
        ck_assert_int_eq(isnan(got), isnan(want[_i][i]));
        ck_assert(isnan(got) || got == want[_i][i] ||
                  fabsf(got - want[_i][i]) < 1e-4f);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gates");
    TCase *tests = tcase_create("gates");

    tcase_add_loop_test(
        tests, every_bf16_gate_is_right_where_gemm1_gives_one_number, 0, 5 * 3);
    tcase_add_loop_test(tests, gates_and_ups_of_fp32_are_right_in_either_order,
                        0, MOE_GATE_UP_COUNT);
    tcase_add_loop_test(tests, what_is_not_finite_takes_the_limit, 0,
                        MOE_ACTIVATION_COUNT);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
