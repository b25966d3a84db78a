/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/quantize_statements.h"

#include "ref/formats.h"

#include <float.h>
#include <math.h>
#include <mpfr.h>
#include <stddef.h>

/* RN32(a * b), RN32(a / b). */
static double mul(double a, double b)
{
    mpfr_t x;
    double result_d;

    mpfr_init2(x, 300);
    mpfr_set_d(x, a, MPFR_RNDN);
    mpfr_mul_d(x, x, b, MPFR_RNDN);
    result_d = (double)mpfr_get_flt(x, MPFR_RNDN);
    mpfr_clear(x);
    return result_d;
}

double quantize_quotient(double a, double b)
{
    mpfr_t x;
    double result_d;

    mpfr_init2(x, 300);
    mpfr_set_d(x, a, MPFR_RNDN);
    mpfr_div_d(x, x, b, MPFR_RNDN);
    result_d = (double)mpfr_get_flt(x, MPFR_RNDN);
    mpfr_clear(x);
    return result_d;
}

static double quo(double a, double b)
{
    return quantize_quotient(a, b);
}

static double e4m3(double x)
{
    return (double)moe_e4m3_to_f32(moe_e4m3_from_f32((float)x));
}

/* Smallest power of two not below x, largest not above; E8M0's range. */
static double up(double x)
{
    double p = x > 0 ? ldexp(1, ilogb(x)) : 0;

    return fmax(p < x ? 2 * p : p, 0x1p-127);
}

static double down(double x)
{
    return x > 0 ? ldexp(1, ilogb(x)) : 0;
}

static void scale_all(statement_block_t *b, double factor)
{
    for (int i = 0; i < b->n; i++) {
        b->y[i] = mul(b->x[i], factor);
    }
}

static void divide_all(statement_block_t *b, double scale, double most)
{
    for (int i = 0; i < b->n; i++) {
        double q = quo(b->x[i], scale);

        b->y[i] = fmax(fmin(q, most), -most);
    }
}

static void te_exact(statement_block_t *b)
{
    b->scale = e4m3(mul(b->v, mul(b->gs, quo(1, 6))));
    scale_all(b, fmin(quo(1, mul(b->scale, quo(1, b->gs))), (double)FLT_MAX));
}

static void flashinfer_exact(statement_block_t *b)
{
    te_exact(b);
    if (b->v <= 0) {
        scale_all(b, 0);
    }
}

static void torchao_nvfp4(statement_block_t *b)
{
    b->scale = e4m3(fmin(fmax(quo(quo(b->v, 6), b->gs), 0x1p-6), 448));
    scale_all(b, quo(quo(1, b->gs), b->scale));
}

static void mxfp4_floor(statement_block_t *b)
{
    b->scale = fmax(down(b->v) / 4, 0x1p-127);
    scale_all(b, 1 / b->scale);
}

static void mxfp4_ceil(statement_block_t *b)
{
    b->scale = fmax(up(b->v) / 4, 0x1p-127);
    scale_all(b, 1 / b->scale);
}

/* 1.75 and more of a power of two belong to the next. */
static void mxfp4_even(statement_block_t *b)
{
    double p = down(b->v);

    b->scale = fmax((b->v >= 1.75 * p ? 2 * p : p) / 4, 0x1p-127);
    scale_all(b, b->scale > 0x1p-127 ? 1 / b->scale : 0);
}

static void mxfp4_ceil6(statement_block_t *b)
{
    b->scale = up(mul(b->v, quo(1, 6)));
    scale_all(b, b->scale > 0x1p-127 ? 1 / b->scale : b->v > 0 ? 1 : 0);
}

static void mxfp8_rceil(statement_block_t *b)
{
    b->scale = up(mul(b->v, quo(1, 448)));
    scale_all(b, 1 / b->scale);
}

static void mxfp8_flashinfer(statement_block_t *b)
{
    mxfp8_rceil(b);
    if (b->scale <= 0x1p-127) {
        scale_all(b, 0);
    }
}

static void mxfp8_e5m2_rceil(statement_block_t *b)
{
    b->scale = up(mul(b->v, quo(1, 57344)));
    scale_all(b, 1 / b->scale);
}

static void deepep(statement_block_t *b)
{
    double v = fmax(b->v, (double)1e-4f);

    b->scale = mul(v, quo(1, 448));
    scale_all(b, quo(448, v));
}

static void deepgemm(statement_block_t *b)
{
    b->scale = quo(fmax(b->v, (double)1e-4f), 448);
    scale_all(b, quo(1, b->scale));
}

static void vllm_1x128(statement_block_t *b)
{
    b->scale = quo(fmax(b->v, (double)1e-10f), 448);
    divide_all(b, b->scale, 448);
}

static void trtllm_1x128(statement_block_t *b)
{
    double m = b->v > 0 ? quo(448, b->v) : 1;

    b->scale = quo(1, m);
    scale_all(b, m);
}

static void deepep_ue8m0(statement_block_t *b)
{
    b->scale = up(mul(fmax(b->v, (double)1e-4f), quo(1, 448)));
    scale_all(b, 1 / b->scale);
}

static void deepgemm_ue8m0(statement_block_t *b)
{
    b->scale = up(quo(fmax(b->v, (double)1e-4f), 448));
    scale_all(b, 1 / b->scale);
}

static void vllm_ue8m0(statement_block_t *b)
{
    double s = quo(fmax(b->v, (double)1e-10f), 448);

    b->scale = up(fmax(s, (double)1e-10f));
    divide_all(b, b->scale, 448);
}

static void fp8_token_vllm(statement_block_t *b)
{
    b->scale = fmax(quo(b->v, 448), quo(1, 448 * 512));
    divide_all(b, b->scale, 448);
}

static void fp8_tensor(statement_block_t *b)
{
    scale_all(b, b->gs);
}

/* To integers from low to 127; 0 x infinity (v below 2^-121) is 0. */
static void rint_all(statement_block_t *b, double low)
{
    for (int i = 0; i < b->n; i++) {
        double y = isnan(b->y[i]) ? 0 : nearbyint(b->y[i]);

        b->y[i] = fmax(fmin(y, 127), low);
    }
}

static void int8_dispatch(statement_block_t *b)
{
    double m = b->v > 0 ? quo(127, b->v) : 0;

    b->scale = b->v > 0 ? quo(1, m) : 0;
    scale_all(b, m);
    rint_all(b, -127);
}

static void int8_init_routing(statement_block_t *b)
{
    b->scale = quo(b->v, 127);
    for (int i = 0; i < b->n; i++) {
        double q = b->v > 0 ? quo(b->x[i], b->scale) : 0;

        b->y[i] = copysign(floor(fabs(q) + 0.5), q);
    }
}

static void int8_vllm(statement_block_t *b)
{
    b->scale = quo(b->v, 127);
    scale_all(b, b->v > 0 ? quo(127, b->v) : 0);
    rint_all(b, -128);
}

static void int8_combine(statement_block_t *b)
{
    double s = mul(b->v, quo(1, 127));

    b->scale = (double)moe_bf16_to_f32(moe_bf16_from_f32((float)s));
    for (int i = 0; i < b->n; i++) {
        float q = b->v > 0 ? (float)quo(b->x[i], s) : 0;

        b->y[i] = nearbyint((double)moe_fp16_to_f32(moe_fp16_from_f32(q)));
    }
}

/* Held elsewhere. */
#define none               NULL
#define fast_rcp_sm90      NULL
#define fast_rcp_sm90_vllm NULL
#define logfmt10_deepep    NULL

statement_t *quantize_statement(moe_profile_t profile)
{
    static statement_t *const statements[MOE_PROFILE_COUNT] = {
#define MOE_PROFILE(id, name, format, global, budget, text, users, differs)    \
    [MOE_PROFILE_##id] = id,
#include "moe/profile.def"
#undef MOE_PROFILE
    };

    return statements[profile];
}
