/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The oracle's dot products with weights in formats other than NVFP4: every
 * product exactly, as three numbers of at most 27 digits, added up by their
 * exponents, so that float64 adds are exact; the bins then by MPFR.
 */
#ifndef REF_ORACLE_LINEAR_H
#define REF_ORACLE_LINEAR_H

#include "moe/fill_rows.h"
#include "ref/oracle_numbers.h"

#include <string.h>

enum {
    ORACLE_BINS = 2048, /* exponents of float64 */
    ORACLE_LOW_BITS = 27
};

/** Value of column c of a row of weights. */
static inline double oracle_weight(moe_format_t format, const void *codes,
                                   const void *scales, int64_t c)
{
    const moe_format_info_t *info = moe_format_info(format);
    const int64_t block = info->block == MOE_BLOCK_ROW ? INT64_MAX
                          : info->block > 0            ? info->block
                                                       : 1;
    const uint8_t code = ((const uint8_t *)codes)[c];
    double value;

    switch ((int)info->code) {
    case MOE_DTYPE_bf16:
        return (double)moe_bf16_to_f32(((const uint16_t *)codes)[c]);
    case MOE_DTYPE_fp16:
        return (double)moe_fp16_to_f32(((const uint16_t *)codes)[c]);
    case MOE_DTYPE_fp32:
        return (double)((const float *)codes)[c];
    case MOE_DTYPE_e2m1:
        value = moe_e2m1_twice((uint8_t)(((const uint8_t *)codes)[c / 2] >>
                                         (4 * (c % 2)))) /
                2.0;
        break;
    case MOE_DTYPE_e4m3:
        value = (double)moe_e4m3_to_f32(code);
        break;
    case MOE_DTYPE_e5m2:
        value = (double)moe_e5m2_to_f32(code);
        break;
    default:
        value = (double)(int8_t)code;
        break;
    }
    if (info->scale == MOE_DTYPE_fp32) {
        return value * (double)((const float *)scales)[c / block];
    }
    if (info->scale == MOE_DTYPE_bf16) {
        return value *
               (double)moe_bf16_to_f32(((const uint16_t *)scales)[c / block]);
    }
    if (info->scale == MOE_DTYPE_e8m0) {
        return ldexp(value, ((const uint8_t *)scales)[c / block] - 127);
    }
    return value;
}

static inline void oracle_bin(double bin[ORACLE_BINS], double x)
{
    bin[moe_f64_bits(x) >> 52 & (ORACLE_BINS - 1)] += x;
}

/** sum = x[n] . a row of weights, exactly. */
static inline void oracle_dot(const double *x, moe_format_t format,
                              const void *codes, const void *scales, int64_t n,
                              mpfr_t sum)
{
    double bin[ORACLE_BINS];

    memset(bin, 0, sizeof(bin));
    for (int64_t c = 0; c < n; c++) {
        const double w = oracle_weight(format, codes, scales, c);
        const double p = x[c] * w;
        const double head = moe_f64_of_bits(moe_f64_bits(p) >>
                                            ORACLE_LOW_BITS << ORACLE_LOW_BITS);

        oracle_bin(bin, head);
        if (isfinite(p)) {
            oracle_bin(bin, p - head);
            oracle_bin(bin, fma(x[c], w, -p));
        }
    }
    mpfr_set_zero(sum, 1);
    for (int e = 1; e < ORACLE_BINS; e++) {
        if (bin[e] < 0.0 || !(bin[e] <= 0.0)) { /* few are not empty */
            mpfr_add_d(sum, sum, bin[e], MPFR_RNDN);
        }
    }
}

#endif
