/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/activation.h"
#include "ref/exact_gate.h"
#include "ref/exp.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    GATES = 65536,
    SILU_BITS = 256
};

static const moe_format_t floats[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                      MOE_FORMAT_fp32};

static uint16_t in[2 * GATES];
static uint32_t out[GATES];

static double get(const void *codes, moe_format_t format, int64_t at)
{
    uint32_t code = 0;
    uint16_t half = 0;

    if (format == MOE_FORMAT_fp32) {
        memcpy(&code, (const uint32_t *)codes + at, sizeof(code));
    } else {
        memcpy(&half, (const uint16_t *)codes + at, sizeof(half));
    }
    return moe_float_value(format, format == MOE_FORMAT_fp32 ? code : half);
}

static moe_rows_t rows_of(moe_format_t format, int64_t cols, void *codes)
{
    return (moe_rows_t){
        .storage = {.format = format}, .rows = 1, .cols = cols, .codes = codes};
}

/* g sigma(g) u, rounded; silu is a lower bound of g's magnitude. */
static double judged(mpfr_srcptr silu, double u, moe_format_t format)
{
    mpfr_t x;
    double value;

    mpfr_init2(x, SILU_BITS);
    mpfr_mul_d(x, silu, u, MPFR_RNDZ);
    value = judge_round(x, format);
    mpfr_clear(x);
    return value + 0.0;
}

static void set_silu(mpfr_t silu, double g)
{
    judge_sigma(silu, g);
    mpfr_mul_d(silu, silu, g, MPFR_RNDZ);
}

static const double ups[] = {1.0, -0.3984375, 0x1.fep127, 0x1p-133, 0x1.82p-9};

START_TEST(every_bf16_gate_is_right)
{
    const moe_format_t format = floats[_i];
    moe_ref_stats_t stats = {0, 0, 0};
    moe_rows_t x = rows_of(MOE_FORMAT_bf16, 2 * GATES, in);
    moe_rows_t y = rows_of(format, GATES, out);
    mpfr_t silu;

    mpfr_init2(silu, SILU_BITS);
    for (size_t k = 0; k < sizeof(ups) / sizeof(ups[0]); k++) {
        for (int i = 0; i < GATES; i++) {
            in[i] = (uint16_t)i;
            in[GATES + i] = (uint16_t)moe_round_f64(MOE_FORMAT_bf16, ups[k]);
        }
        ck_assert_int_eq(moe_ref_swiglu(&x, &y, &stats), MOE_OK);
        for (int i = (int)k; i < GATES; i += 5) { /* each gate once */
            double g = (double)moe_bf16_to_f32((uint16_t)i);
            double value = get(out, format, i);
            double want;

            if (!isfinite(g)) {
                continue; /* has a test of its own */
            }
            set_silu(silu, g);
            want = judged(silu, ups[k], format);
            ck_assert_msg(memcmp(&value, &want, sizeof(want)) == 0,
                          "g %a, u %a: %a, not %a", g, ups[k], value, want);
        }
    }
    ck_assert_int_eq(stats.elements, 5 * GATES);
    mpfr_clear(silu);
}
END_TEST

/* fp32 in and out: more digits than any bound of float64 can always decide. */
START_TEST(fp32_gates_are_right_and_some_need_mpfr)
{
    enum {
        N = 20000
    };
    static uint32_t wide[2 * N];
    moe_ref_stats_t stats = {0, 0, 0};
    moe_rows_t x = rows_of(MOE_FORMAT_fp32, 2 * (int64_t)N, wide);
    moe_rows_t y = rows_of(MOE_FORMAT_fp32, N, out);
    uint64_t state = 7667;
    mpfr_t silu;

    mpfr_init2(silu, SILU_BITS);
    for (int i = 0; i < N; i++) { /* u so that g u sigma(g) nears a tie */
        int range = i % 4 == 0 ? 100 : 4;
        float g = (float)judge_number(&state, 24, -range, range - 1);
        float u = (float)judge_number(&state, 24, -20, 20);

        if (i % 2 == 1) { /* 2^-50 and less from 1/2: a tie of fp32 */
            g = g < 0 ? -0x1p-51f : 0x1p-51f;
            u = (float)(1 + 2 * (i / 2 % 1000)) * 0x1p-10f;
            g *= 1.0f + 0x1p-14f;
        }
        wide[i] = moe_f32_bits(g);
        wide[N + i] = moe_f32_bits(u);
    }
    ck_assert_int_eq(moe_ref_swiglu(&x, &y, &stats), MOE_OK);
    for (int i = 0; i < N; i++) {
        double value = get(out, MOE_FORMAT_fp32, i);
        double want;

        set_silu(silu, (double)moe_f32_of_bits(wide[i]));
        want =
            judged(silu, (double)moe_f32_of_bits(wide[N + i]), MOE_FORMAT_fp32);
        ck_assert(memcmp(&value, &want, sizeof(want)) == 0);
    }
    ck_assert_int_gt(stats.redone_exact, 0);
    mpfr_clear(silu);
}
END_TEST

START_TEST(the_redo_agrees_with_the_judge)
{
    uint64_t state = 3;
    mpfr_t silu;

    mpfr_init2(silu, SILU_BITS);
    for (int i = 0; i < 3000; i++) {
        moe_format_t format = floats[i % 3];
        double g = judge_number(&state, 24, -59, 4);
        double u = judge_number(&state, 24, -30, 30);
        uint32_t code = moe_exact_gate(MOE_ACTIVATION_swiglu, g, u, format);

        set_silu(silu, g);
        ck_assert(!(moe_float_value(format, code) < judged(silu, u, format)) &&
                  !(moe_float_value(format, code) > judged(silu, u, format)));
    }
    mpfr_clear(silu);
}
END_TEST

START_TEST(what_is_not_finite_takes_the_limit)
{
    static const double inf = HUGE_VAL;
    const double nan = (double)NAN;
    const double cases[][3] = {
        {-inf, 3.0, 0.0},  {-inf, inf, nan}, {inf, 2.0, inf}, {inf, -2.0, -inf},
        {inf, 0.0, nan},   {nan, 1.0, nan},  {1.0, nan, nan}, {0.0, inf, nan},
        {-1.0, inf, -inf}, {-0.0, 5.0, 0.0}, {3.0, 0.0, 0.0}, {-3.0, 0.0, 0.0},
    };
    enum {
        N = sizeof(cases) / sizeof(cases[0])
    };
    moe_ref_stats_t stats = {0, 0, 0};
    moe_rows_t x = rows_of(MOE_FORMAT_bf16, 2 * (int64_t)N, in);
    moe_rows_t y = rows_of(floats[_i], N, out);

    for (int i = 0; i < N; i++) {
        in[i] = (uint16_t)moe_round_f64(MOE_FORMAT_bf16, cases[i][0]);
        in[N + i] = (uint16_t)moe_round_f64(MOE_FORMAT_bf16, cases[i][1]);
    }
    ck_assert_int_eq(moe_ref_swiglu(&x, &y, &stats), MOE_OK);
    for (int i = 0; i < N; i++) {
        double value = get(out, floats[_i], i);

        ck_assert_int_eq(isnan(value), isnan(cases[i][2]));
        ck_assert(isnan(value) ||
                  memcmp(&value, &cases[i][2], sizeof(value)) == 0);
    }
}
END_TEST

START_TEST(exp_keeps_its_bound)
{
    double worst = 0.0;
    uint64_t state = 11;
    mpfr_t exact;

    mpfr_init2(exact, 200);
    for (int i = 0; i < 60000; i++) {
        double x = judge_number(&state, 53, i % 2 == 0 ? -3 : -20, 8);
        double error;

        mpfr_set_d(exact, x, MPFR_RNDN);
        mpfr_exp(exact, exact, MPFR_RNDN);
        mpfr_d_div(exact, moe_exp(x), exact, MPFR_RNDN);
        mpfr_sub_ui(exact, exact, 1, MPFR_RNDN);
        error = fabs(mpfr_get_d(exact, MPFR_RNDN));
        worst = error > worst ? error : worst;
    }
    mpfr_clear(exact);
    ck_assert_double_gt(worst, 0x1p-54);
    ck_assert_double_lt(worst, MOE_EXP_ERROR);
}
END_TEST

START_TEST(wrong_formats_and_shapes_are_refused)
{
    moe_ref_stats_t stats = {0, 0, 0};
    moe_rows_t x = rows_of(MOE_FORMAT_bf16, 32, in);
    moe_rows_t y = rows_of(MOE_FORMAT_nvfp4, 16, out);

    ck_assert_int_eq(moe_ref_swiglu(&x, &y, &stats), MOE_ERR_UNSUPPORTED);
    y = rows_of(MOE_FORMAT_bf16, 17, out);
    ck_assert_int_eq(moe_ref_swiglu(&x, &y, &stats), MOE_ERR_INTERNAL);
    moe_error_clear();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("activation");
    TCase *tests = tcase_create("swiglu");

    tcase_add_loop_test(tests, every_bf16_gate_is_right, 0, 3);
    tcase_add_test(tests, fp32_gates_are_right_and_some_need_mpfr);
    tcase_add_test(tests, the_redo_agrees_with_the_judge);
    tcase_add_loop_test(tests, what_is_not_finite_takes_the_limit, 0, 3);
    tcase_add_test(tests, exp_keeps_its_bound);
    tcase_add_test(tests, wrong_formats_and_shapes_are_refused);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
