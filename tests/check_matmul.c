/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/formats.h"
#include "ref/matmul_nvfp4.h"
#include "ref/swizzle.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

#ifdef HAVE_OPENBLAS
#include <cblas.h>
#endif

/*
 * The grouped matmul against plain loops: weights of one expert are drawn
 * whole, products are summed one by one in int64, and the sum is rounded by
 * moe_round_int(), which tests/check_formats.c holds to its definition.
 */
enum {
    EXPERTS = 5,
    FIRST = 3, /* of the local experts */
    MAX_ROWS = 400,
    SEED = 7667
};

/* K of both weights: one piece and a bit, two pieces and a bit, a few. */
static const moe_model_t models[] = {
    {.hidden = 1200, .intermediate = 32, .experts = 8},
    {.hidden = 48, .intermediate = 2400, .experts = 8},
    {.hidden = 144, .intermediate = 16, .experts = 8},
};

/* Rows of the local experts: none, one, more than a tile. */
static const int64_t groups[][EXPERTS] = {
    {0, 1, 7, 0, 2}, {0, 0, 0, 0, 0}, {0, 131, 0, 0, 1}, {1, 1, 1, 1, 1}};

enum {
    MODELS = sizeof(models) / sizeof(models[0]),
    GROUPS = sizeof(groups) / sizeof(groups[0])
};

static const moe_format_t outs[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                    MOE_FORMAT_fp32};

typedef struct {
    moe_ref_weights_t weights;
    int64_t offset[EXPERTS + 1];
    moe_rows_t x;
    moe_rows_t out;
    moe_ref_stats_t stats;
} case_t;

static void draw_rows(const moe_rows_t *x)
{
    uint64_t state = 88172645463325252u;
    uint8_t *codes = x->codes;
    uint8_t *scales = x->scales;

    for (int64_t i = 0; i < x->rows * x->cols / 2; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        codes[i] = (uint8_t)(state >> 56);
        scales[i / 8] = (uint8_t)(0x30 + (state >> 40) % 64);
    }
}

static case_t make(const moe_model_t *model, moe_weight_t weight,
                   const int64_t *rows, moe_format_t out)
{
    case_t c = {.weights = {.model = model,
                            .seed = SEED,
                            .weight = weight,
                            .format = MOE_FORMAT_nvfp4,
                            .first_expert = FIRST}};
    int64_t n = moe_weight_rows(model, weight);
    int64_t k = moe_weight_cols(model, weight);

    for (int e = 0; e < EXPERTS; e++) {
        c.offset[e + 1] = c.offset[e] + rows[e];
    }
    c.x = (moe_rows_t){
        .storage = {MOE_FORMAT_nvfp4, MOE_PROFILE_te_exact, 672.0f},
        .rows = c.offset[EXPERTS],
        .cols = k};
    c.out =
        (moe_rows_t){.storage = {.format = out}, .rows = c.x.rows, .cols = n};
    c.x.codes = calloc((size_t)c.x.rows + 1, (size_t)k / 2);
    c.x.scales = calloc((size_t)c.x.rows + 1, (size_t)(k + 15) / 16);
    c.out.codes = calloc((size_t)c.x.rows + 1, (size_t)n * 4);
    ck_assert(c.x.codes != NULL && c.x.scales != NULL && c.out.codes != NULL);
    draw_rows(&c.x);
    return c;
}

static void end(case_t *c)
{
    free(c->x.codes);
    free(c->x.scales);
    free(c->out.codes);
}

/* All kernels that the processor has, in turn: false at the end. */
static bool take_kernel(int *i_p)
{
    const moe_nvfp4_kernel_t *kernel;

    while ((kernel = moe_nvfp4_kernel_at(*i_p)) != NULL) {
        ++*i_p;
        if (kernel->available()) {
            ck_assert_int_eq(setenv("MOESIM_KERNEL", kernel->name, 1), 0);
            return true;
        }
    }
    return false;
}

static moe_status_t multiply(case_t *c)
{
    c->stats = (moe_ref_stats_t){0};
    return moe_ref_grouped_matmul(&c->weights, &c->x, c->offset, EXPERTS,
                                  &c->out, &c->stats);
}

/* Elements of a matrix of nvfp4 as integers: 2^10 times the value. */
static int32_t *integers(const uint8_t *codes, const uint8_t *scales,
                         int64_t rows, int64_t k)
{
    int32_t *out = calloc((size_t)(rows * k) + 1, sizeof(*out));

    ck_assert_ptr_nonnull(out);
    for (int64_t i = 0; i < rows * k; i++) {
        float code =
            moe_e2m1_to_f32((uint8_t)(codes[i / 2] >> (4 * (i % 2)) & 15));

        out[i] = (int32_t)(code * moe_e4m3_to_f32(scales[i / 16]) * 1024.0f);
    }
    return out;
}

static int32_t *expert_integers(const case_t *c, int64_t expert)
{
    const moe_ref_weights_t *w = &c->weights;
    int64_t n = c->out.cols;
    int64_t k = c->x.cols;
    uint8_t *codes = malloc((size_t)(n * k / 2));
    uint8_t *scales = malloc((size_t)(n * k / 16));
    int32_t *out;

    ck_assert(codes != NULL && scales != NULL);
    moe_fill_weight_codes(w->seed, w->weight, expert, 0, n, 0, k, codes);
    moe_fill_weight_scales(w->seed, w->weight, expert, 0, n, 0, k / 16, scales);
    out = integers(codes, scales, n, k);
    free(codes);
    free(scales);
    return out;
}

/* The scale of x times that of the weights, as an integer x 2^-100. */
static moe_u128_t scale_integer(const case_t *c)
{
    double scale = (double)(1.0f / c->x.storage.global_scale) *
                   (double)moe_fill_weight_global(c->x.cols);

    return (moe_u128_t)(scale * 0x1p100);
}

static void expect_row(const case_t *c, const int32_t *x, const int32_t *w,
                       int64_t row)
{
    moe_format_t format = c->out.storage.format;
    moe_u128_t scale = scale_integer(c);
    int64_t k = c->x.cols;

    for (int64_t j = 0; j < c->out.cols; j++) {
        int64_t sum = 0;
        uint64_t magnitude;
        uint32_t want;

        for (int64_t i = 0; i < k; i++) {
            sum += (int64_t)x[row * k + i] * w[j * k + i];
        }
        magnitude = sum < 0 ? 0 - (uint64_t)sum : (uint64_t)sum;
        want = moe_round_int(format, sum < 0, magnitude * scale, -120);
        if (scale >= (moe_u128_t)-1 / (magnitude + 1) ||
            moe_float_load(format, c->out.codes, row * c->out.cols + j) !=
                want) {
            ck_abort_msg("row %d column %d", (int)row, (int)j);
        }
    }
}

static void expect_product(case_t *c, const int32_t *x)
{
    memset(c->out.codes, 0xee, (size_t)(c->out.rows * c->out.cols * 2));
    ck_assert_int_eq(multiply(c), MOE_OK);
    for (int e = 0; e < EXPERTS; e++) {
        int32_t *w = expert_integers(c, FIRST + e);

        for (int64_t i = c->offset[e]; i < c->offset[e + 1]; i++) {
            expect_row(c, x, w, i);
        }
        free(w);
    }
    ck_assert_int_eq(c->stats.elements, c->out.rows * c->out.cols);
}

START_TEST(every_expert_gives_the_plain_sums_rounded_once)
{
    case_t c =
        make(&models[_i % MODELS], _i / MODELS % 2 == 0 ? MOE_W13 : MOE_W2,
             groups[_i / MODELS / 2 % GROUPS], outs[_i / MODELS / 2 / GROUPS]);
    int32_t *x = integers(c.x.codes, c.x.scales, c.x.rows, c.x.cols);
    int i = 0;

    while (take_kernel(&i)) {
        expect_product(&c, x);
    }
    free(x);
    end(&c);
}
END_TEST

#ifdef HAVE_OPENBLAS
START_TEST(threads_of_the_blas_change_nothing)
{
    case_t one = make(&models[_i], MOE_W13, groups[2], MOE_FORMAT_fp32);
    case_t two = make(&models[_i], MOE_W13, groups[2], MOE_FORMAT_fp32);

    ck_assert_int_eq(setenv("MOESIM_KERNEL", "blas", 1), 0);
    openblas_set_num_threads(1);
    ck_assert_int_eq(multiply(&one), MOE_OK);
    openblas_set_num_threads(2);
    ck_assert_int_eq(multiply(&two), MOE_OK);
    openblas_set_num_threads(1);
    ck_assert_int_eq(memcmp(one.out.codes, two.out.codes,
                            (size_t)(one.out.rows * one.out.cols * 4)),
                     0);
    end(&one);
    end(&two);
}
END_TEST
#endif

START_TEST(rows_of_an_expert_do_not_depend_on_the_others)
{
    static const int64_t whole[EXPERTS] = {0, 9, 4, 0, 0};
    static const int64_t part[EXPERTS] = {0, 9, 0, 0, 0};
    case_t all = make(&models[0], MOE_W2, whole, MOE_FORMAT_bf16);
    case_t some = make(&models[0], MOE_W2, part, MOE_FORMAT_bf16);

    for (int i = 0; take_kernel(&i);) {
        ck_assert_int_eq(multiply(&all), MOE_OK);
        ck_assert_int_eq(multiply(&some), MOE_OK);
        ck_assert_mem_eq(all.out.codes, some.out.codes,
                         (size_t)(9 * all.out.cols * 2));
    }
    end(&all);
    end(&some);
}
END_TEST

START_TEST(tiled_scales_give_the_same_result)
{
    case_t linear = make(&models[0], MOE_W13, groups[0], MOE_FORMAT_bf16);
    case_t tiled = make(&models[0], MOE_W13, groups[0], MOE_FORMAT_bf16);
    int64_t blocks = tiled.x.cols / 16;

    free(tiled.x.scales);
    tiled.x.layout = MOE_SCALES_128x4;
    tiled.x.scales = malloc(
        (size_t)moe_scales_bytes(MOE_SCALES_128x4, tiled.x.rows, blocks));
    ck_assert_ptr_nonnull(tiled.x.scales);
    moe_scales_swizzle(MOE_SCALES_128x4, tiled.x.rows, blocks, linear.x.scales,
                       tiled.x.scales);
    for (int i = 0; take_kernel(&i);) {
        ck_assert_int_eq(multiply(&linear), MOE_OK);
        ck_assert_int_eq(multiply(&tiled), MOE_OK);
        ck_assert_mem_eq(linear.out.codes, tiled.out.codes,
                         (size_t)(linear.out.rows * linear.out.cols * 2));
    }
    end(&linear);
    end(&tiled);
}
END_TEST

static void expect_refused(case_t *c, moe_status_t want)
{
    ck_assert_int_eq(multiply(c), want);
    ck_assert_int_ne(moe_error_text()[0], '\0');
    moe_error_clear();
}

START_TEST(operands_without_a_kernel_are_refused)
{
    case_t c = make(&models[0], MOE_W13, groups[0], MOE_FORMAT_bf16);

    c.x.storage.format = MOE_FORMAT_fp8_1x128;
    expect_refused(&c, MOE_ERR_UNSUPPORTED);
    c.x.storage.format = MOE_FORMAT_nvfp4;
    c.weights.format = MOE_FORMAT_i32;
    expect_refused(&c, MOE_ERR_UNSUPPORTED);
    c.weights.format = MOE_FORMAT_fp8_1x128; /* scales of two block sizes */
    expect_refused(&c, MOE_ERR_UNSUPPORTED);
    c.weights.format = MOE_FORMAT_nvfp4;
    c.out.storage.format = MOE_FORMAT_nvfp4;
    expect_refused(&c, MOE_ERR_UNSUPPORTED);
    for (int f = 0; f < MOE_FORMAT_COUNT; f++) {
        ck_assert_int_eq(
            moe_ref_matmul_supports(MOE_FORMAT_nvfp4, MOE_FORMAT_nvfp4,
                                    (moe_format_t)f),
            moe_format_is_float((moe_format_t)f) || f == MOE_FORMAT_exact);
    }
    end(&c);
}
END_TEST

START_TEST(operands_off_the_grid_are_refused)
{
    static const moe_model_t odd = {
        .hidden = 40, .intermediate = 16, .experts = 8};
    case_t c = make(&models[0], MOE_W13, groups[0], MOE_FORMAT_bf16);

    ((uint8_t *)c.x.scales)[9] = 0x7f;
    expect_refused(&c, MOE_ERR_RANGE);
    ((uint8_t *)c.x.scales)[9] = 0x7e;
    c.x.storage.global_scale = 0;
    expect_refused(&c, MOE_ERR_RANGE);
    c.x.storage.global_scale = 1;
    c.out.cols--;
    expect_refused(&c, MOE_ERR_INTERNAL);
    end(&c);
    c = make(&odd, MOE_W13, groups[0], MOE_FORMAT_bf16);
    expect_refused(&c, MOE_ERR_RANGE);
    end(&c);
}
END_TEST

START_TEST(a_kernel_that_is_not_there_is_refused)
{
    case_t c = make(&models[0], MOE_W13, groups[0], MOE_FORMAT_bf16);

    ck_assert_int_eq(setenv("MOESIM_KERNEL", "abacus", 1), 0);
    expect_refused(&c, MOE_ERR_UNSUPPORTED);
    end(&c);
}
END_TEST

START_TEST(workspace_stays_small)
{
    for (int i = 0; take_kernel(&i);) {
        int64_t all = moe_ref_matmul_workspace(
            MOE_FORMAT_nvfp4, MOE_FORMAT_nvfp4, 1 << 20, 7168, 4096);

        ck_assert_int_eq(moe_ref_matmul_workspace(
                             MOE_FORMAT_nvfp4, MOE_FORMAT_nvfp4, 0, 7168, 4096),
                         0);
        ck_assert_int_gt(moe_ref_matmul_workspace(
                             MOE_FORMAT_nvfp4, MOE_FORMAT_nvfp4, 1, 7168, 4096),
                         7168);
        ck_assert_int_lt(moe_ref_matmul_workspace(MOE_FORMAT_nvfp4,
                                                  MOE_FORMAT_nvfp4, 16, 7168,
                                                  4096),
                         all);
        ck_assert_int_le(all, 32 << 20);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matmul");
    TCase *tests = tcase_create("matmul");

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, every_expert_gives_the_plain_sums_rounded_once,
                        0, MODELS * 2 * GROUPS * 3);
#ifdef HAVE_OPENBLAS
    tcase_add_loop_test(tests, threads_of_the_blas_change_nothing, 0, MODELS);
#endif
    tcase_add_test(tests, rows_of_an_expert_do_not_depend_on_the_others);
    tcase_add_test(tests, tiled_scales_give_the_same_result);
    tcase_add_test(tests, operands_without_a_kernel_are_refused);
    tcase_add_test(tests, operands_off_the_grid_are_refused);
    tcase_add_test(tests, a_kernel_that_is_not_there_is_refused);
    tcase_add_test(tests, workspace_stays_small);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
