/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "moe/fill.h"

#include <math.h>
#include <mpfr.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUANTILES = 2048,
    H = 96,
    I = 48,
    ROWS = 5
};

static const uint16_t quantile[QUANTILES] = {
#include "moe/normal_quantiles.inc"
};

static float from_bf16(uint16_t bits)
{
    uint32_t u = (uint32_t)bits << 16;
    float f;

    memcpy(&f, &u, sizeof(f));
    return f;
}

/* out = P(|x| < t) of a standard normal = erf(t / sqrt 2). */
static void half_normal(mpfr_t out, double t)
{
    mpfr_t root;

    mpfr_init2(root, 200);
    mpfr_sqrt_ui(root, 2, MPFR_RNDN);
    mpfr_set_d(out, t, MPFR_RNDN);
    mpfr_div(out, out, root, MPFR_RNDN);
    mpfr_erf(out, out, MPFR_RNDN);
    mpfr_clear(root);
}

/* The quantile lies between the midpoints to the neighbouring codes. */
static void check_quantile(int i, mpfr_t cdf)
{
    uint16_t code = quantile[i];
    double here = (double)from_bf16(code);
    double below = ((double)from_bf16((uint16_t)(code - 1)) + here) / 2;
    double above = ((double)from_bf16((uint16_t)(code + 1)) + here) / 2;
    double p = (i + 0.5) / QUANTILES;

    half_normal(cdf, below);
    ck_assert(mpfr_cmp_d(cdf, p) <= 0);
    half_normal(cdf, above);
    ck_assert(mpfr_cmp_d(cdf, p) >= 0);
    ck_assert(here < (double)MOE_FILL_HIDDEN_BOUND);
}

START_TEST(each_quantile_is_the_nearest_bf16)
{
    mpfr_t cdf;

    mpfr_init2(cdf, 200);
    for (int i = 0; i < QUANTILES; i++) {
        check_quantile(i, cdf);
    }
    mpfr_clear(cdf);
}
END_TEST

START_TEST(hidden_is_the_same_in_any_cut)
{
    static uint16_t whole[ROWS * H];
    static uint16_t part[H];

    moe_fill_hidden(7, H, 40, ROWS, whole);
    for (int r = 0; r < ROWS; r++) {
        moe_fill_hidden(7, H, 40 + r, 1, part);
        ck_assert_mem_eq(part, whole + r * H, sizeof(part));
    }
}
END_TEST

START_TEST(hidden_is_standard_normal_and_never_zero)
{
    enum {
        N = 200
    };
    static uint16_t x[N * H];
    double sum = 0;
    double sum2 = 0;

    moe_fill_hidden(3, H, 0, N, x);
    for (int i = 0; i < N * H; i++) {
        double v = (double)from_bf16(x[i]);

        ck_assert(v < 0 || v > 0);
        sum += v;
        sum2 += v * v;
    }
    ck_assert(fabs(sum / (N * H)) < 0.03);
    ck_assert(fabs(sum2 / (N * H) - 1.0) < 0.05);
}
END_TEST

static moe_model_t model(void)
{
    moe_model_t m = {.hidden = H,
                     .intermediate = I,
                     .experts = 4,
                     .topk = 2,
                     .n_group = 1,
                     .topk_group = 1};

    return m;
}

START_TEST(weights_are_the_same_in_any_cut)
{
    moe_model_t m = model();
    static uint8_t whole[2 * I * H];
    static uint8_t part[2 * I * H];

    for (int w = MOE_W13; w <= MOE_W2; w++) {
        moe_weight_t weight = (moe_weight_t)w;
        int64_t n = moe_weight_rows(&m, weight);
        int64_t k = moe_weight_cols(&m, weight);

        moe_fill_weight_codes(9, weight, 3, 0, n, 0, k, whole);
        for (int64_t c = 0; c < k; c += 32) {
            int64_t cols = k - c < 32 ? k - c : 32;

            moe_fill_weight_codes(9, weight, 3, 2, 1, c, cols, part);
            ck_assert_mem_eq(part, whole + 2 * k / 2 + c / 2, (size_t)cols / 2);
        }
        moe_fill_weight_scales(9, weight, 3, 0, n, 0, k / 16, whole);
        moe_fill_weight_scales(9, weight, 3, 1, 1, 1, 2, part);
        ck_assert_mem_eq(part, whole + k / 16 + 1, 2);
    }
}
END_TEST

/* Bytes [row][i] of a matrix with bytes a row, in the panel from row on. */
static uint8_t in_panel(const uint8_t *panel, int64_t row, int64_t i)
{
    return panel[(i / 4 * MOE_FILL_PANEL_ROWS + row) * 4 + i % 4];
}

START_TEST(panels_hold_the_same_weights)
{
    static uint8_t rows[MOE_FILL_PANEL_ROWS * 1200];
    static uint8_t panel[MOE_FILL_PANEL_ROWS * 1200];
    static const int64_t widths[] = {16, 48, 512, 1200};

    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        int64_t k = widths[i];

        moe_fill_weight_codes(9, MOE_W2, 3, 5, MOE_FILL_PANEL_ROWS, 64, k,
                              rows);
        moe_fill_panel_codes(9, MOE_W2, 3, 5, 64, k, panel);
        for (int64_t j = 0; j < MOE_FILL_PANEL_ROWS * k / 2; j++) {
            ck_assert_uint_eq(in_panel(panel, j / (k / 2), j % (k / 2)),
                              rows[j]);
        }
        moe_fill_weight_scales(9, MOE_W2, 3, 5, MOE_FILL_PANEL_ROWS, 32, k,
                               rows);
        moe_fill_panel_scales(9, MOE_W2, 3, 5, 32, k, panel);
        for (int64_t j = 0; j < MOE_FILL_PANEL_ROWS * k; j++) {
            ck_assert_uint_eq(in_panel(panel, j / k, j % k), rows[j]);
        }
    }
}
END_TEST

START_TEST(codes_are_uniform_but_for_a_double_zero)
{
    moe_model_t m = model();
    static uint8_t codes[2 * I * H];
    int count[16] = {0};
    int64_t n = moe_weight_rows(&m, MOE_W13) * H / 2;

    for (int e = 0; e < 8; e++) {
        moe_fill_weight_codes(1, MOE_W13, e, 0, 2 * I, 0, H, codes);
        for (int64_t i = 0; i < n; i++) {
            count[codes[i] & 15]++;
            count[codes[i] >> 4]++;
        }
    }
    ck_assert_int_eq(count[8], 0);
    for (int c = 0; c < 16; c++) {
        double share = count[c] / (16.0 * (double)n);
        double want = c == 0 ? 2.0 / 16 : c == 8 ? 0.0 : 1.0 / 16;

        ck_assert(fabs(share - want) < 0.005);
    }
}
END_TEST

START_TEST(seeds_experts_and_tensors_differ)
{
    static uint8_t a[H / 2];
    static uint8_t b[H / 2];

    moe_fill_weight_codes(1, MOE_W13, 0, 0, 1, 0, H, a);
    moe_fill_weight_codes(2, MOE_W13, 0, 0, 1, 0, H, b);
    ck_assert_mem_ne(a, b, sizeof(a));
    moe_fill_weight_codes(1, MOE_W13, 1, 0, 1, 0, H, b);
    ck_assert_mem_ne(a, b, sizeof(a));
    moe_fill_weight_codes(1, MOE_W2, 0, 0, 1, 0, H, b);
    ck_assert_mem_ne(a, b, sizeof(a));
    moe_fill_weight_codes(1ull << 32 | 1, MOE_W13, 0, 0, 1, 0, H, b);
    ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

START_TEST(scales_lie_between_32_and_120)
{
    static uint8_t s[ROWS * H / 16];

    moe_fill_weight_scales(5, MOE_W13, 0, 0, ROWS, 0, H / 16, s);
    for (size_t i = 0; i < sizeof(s); i++) {
        ck_assert_uint_ge(s[i], 0x60);
        ck_assert_uint_le(s[i], 0x6f);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("fill");
    TCase *t = tcase_create("fill");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, each_quantile_is_the_nearest_bf16);
    tcase_add_test(t, hidden_is_the_same_in_any_cut);
    tcase_add_test(t, hidden_is_standard_normal_and_never_zero);
    tcase_add_test(t, weights_are_the_same_in_any_cut);
    tcase_add_test(t, panels_hold_the_same_weights);
    tcase_add_test(t, codes_are_uniform_but_for_a_double_zero);
    tcase_add_test(t, seeds_experts_and_tensors_differ);
    tcase_add_test(t, scales_lie_between_32_and_120);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
