/* SPDX-License-Identifier: Apache-2.0 */
/*
 * E4M3 or INT8 codes with an fp32 scale per block of columns on one side or
 * both (FP8 1x128, 128x128): sum over blocks of scale x scale x (sum of the
 * codes' products).
 *
 * 1. The sum of a block is exact by float64 GEMM: E4M3 codes are 18 digits in
 *    units of 2^-9, 128 products 43 digits. The product of two scales has 48
 *    digits, exact too. What is added up in float64 is rounded twice a block:
 *    off by at most gamma_(2 B) of the sum of magnitudes, B blocks, which is
 *    added up beside it; once more by the factors and the bias.
 * 2. Where that interval leaves the code open: products and sums of the
 *    blocks error-free.
 * 3. MPFR.
 */
#include "ref/matmul_operand.h"

#include "base/hot.h"
#include "ref/dot.h"
#include "ref/exact.h"
#include "ref/odd.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 128
};

static bool has_codes(moe_format_t format)
{
    const moe_format_info_t *info = moe_format_info(format);

    return (info->code == MOE_DTYPE_e4m3 || info->code == MOE_DTYPE_i8) &&
           (info->scale == MOE_DTYPE_none || info->scale == MOE_DTYPE_fp32) &&
           (!moe_operand_is_blocked(format) || info->block == BLOCK);
}

bool moe_block_supports(moe_format_t x, moe_format_t weights, moe_format_t out)
{
    return has_codes(x) && has_codes(weights) &&
           (moe_operand_is_blocked(x) || moe_operand_is_blocked(weights)) &&
           moe_format_is_float(out);
}

int64_t moe_block_workspace(moe_format_t weights, int64_t rows, int64_t k,
                            int64_t n)
{
    return moe_matmul_walk_bytes(weights, rows, k, n, BLOCK);
}

/* sum += part x scales, and so the magnitudes. */
MOE_HOT static void add_block(const double *restrict part, double x_scale,
                              const double *restrict w_scale, int64_t stride,
                              int64_t m, double *restrict sum,
                              double *restrict size)
{
    for (int64_t j = 0; j < m; j++) {
        double term = part[j] * (x_scale * w_scale[j * stride]);

        sum[j] += term;
        size[j] += fabs(term);
    }
}

/* Block sums of one element, exact, and their scales' products. */
static void block_terms(const moe_matmul_tile_t *t, int64_t i, int64_t j,
                        double *part, double *scale)
{
    const int64_t blocks = t->x.k / BLOCK;
    const double *x = t->x.value + i * t->x.k;
    const double *w = t->w.value + j * t->x.k;

    for (int64_t b = 0; b < blocks; b++) {
        part[b] = 0.0;
        for (int64_t c = b * BLOCK; c < (b + 1) * BLOCK; c++) {
            part[b] += x[c] * w[c];
        }
        scale[b] = t->x.scale[i * blocks + b] * t->w.scale[j * blocks + b];
    }
}

static uint32_t redo(const moe_matmul_tile_t *t, int64_t i, int64_t j,
                     double *room, moe_format_t format)
{
    const int64_t blocks = t->x.k / BLOCK;
    double *part = room;
    double *scale = room + blocks;
    moe_matmul_open_t open = {.factor = t->x.factor[i] * t->w.factor[j],
                              .bias = t->bias[j]};
    double plain = 0.0;
    uint32_t bits;

    block_terms(t, i, j, part, scale);
    for (int64_t b = 0; b < blocks; b++) {
        double high = part[b] * scale[b];

        plain += high;
        moe_sum_add_value(&open.sum, high);
        moe_sum_add_value(&open.sum, fma(part[b], scale[b], -high));
    }
    plain = plain * open.factor + open.bias;
    if (!isfinite(plain)) {
        return moe_round_result(plain, format);
    }
    if (moe_matmul_close(&open, format, &bits)) {
        t->stats->redone_sum2++;
        return bits;
    }
    t->stats->redone_exact++;
    return moe_round_result(
        moe_exact_dot(part, scale, blocks, open.factor, open.bias), format);
}

/* Codes of a row of sums. */
static void round_row(const moe_matmul_tile_t *t, int64_t i, double *room)
{
    const moe_format_t format = t->out->storage.format;
    const double *sum = t->more + i * t->m;
    const double *size = sum + t->n * t->m;
    const double gamma = moe_dot_gamma(2 * (t->x.k / BLOCK) + 4);
    uint8_t *codes = moe_rows_codes(t->out, t->row + i);

    for (int64_t j = 0; j < t->m; j++) {
        const double f = t->x.factor[i] * t->w.factor[j];
        const double part = sum[j] * f;
        const double v = part + t->bias[j];
        const double e = gamma * size[j] * f +
                         (fabs(part) + fabs(t->bias[j]) + fabs(v)) * 0x1p-51;
        uint32_t code = moe_round_result(v - e, format);

        if (code != moe_round_result(v + e, format) || !isfinite(v)) {
            code = redo(t, i, j, room, format);
        }
        moe_float_store(format, codes, t->col + j, code);
    }
}

static void multiply(const moe_matmul_tile_t *t)
{
    const int k = (int)t->x.k;
    const int64_t blocks = t->x.k / BLOCK;
    double *sum = t->more;
    double *size = sum + t->n * t->m;

    memset(t->more, 0, (size_t)(2 * t->n * t->m) * sizeof(*t->more));
    for (int64_t b = 0; b < blocks; b++) {
        cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)t->n,
                    (int)t->m, BLOCK, 1.0, t->x.value + b * BLOCK, k,
                    t->w.value + b * BLOCK, k, 0.0, t->product, (int)t->m);
        for (int64_t i = 0; i < t->n; i++) {
            add_block(t->product + i * t->m, t->x.scale[i * blocks + b],
                      t->w.scale + b, blocks, t->m, sum + i * t->m,
                      size + i * t->m);
        }
    }
    for (int64_t i = 0; i < t->n; i++) {
        round_row(t, i, t->room);
    }
}

moe_status_t moe_block_matmul(const moe_ref_weights_t *weights,
                              const moe_rows_t *x, const int64_t *offset,
                              int64_t n_experts, const moe_rows_t *out,
                              moe_ref_stats_t *stats)
{
    return moe_matmul_walk(weights, x, offset, n_experts, out, BLOCK, multiply,
                           stats);
}
