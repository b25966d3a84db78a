/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fused_kernel.h"

#include "base/hot.h"
#include "ref/formats.h"
#include "ref/quantize.h"
#include "ref/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TILE = 64, /* columns of K that a skipped tile has */
    LANES = 8, /* partial sums at most */
    PANEL = 32
};

static uint64_t draw(kernel_t *kernel)
{
    uint64_t x = kernel->state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9); /* splitmix64 */
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static float *floats(int64_t n)
{
    float *x = malloc((size_t)n * sizeof(*x));

    if (x == NULL) {
        abort();
    }
    return x;
}

/* [K][N] of one expert. */
static uint16_t *decode(const moe_ref_layer_t *layer, moe_weight_t weight,
                        int64_t expert)
{
    const moe_model_t *m = layer->about.model;
    const int64_t n = moe_weight_rows(m, weight);
    const int64_t k = moe_weight_cols(m, weight);
    const moe_draw_t from = {layer->about.data, layer->weights[weight].seed, m};
    float e2m1[16];
    float e4m3[256];
    uint16_t *out = malloc((size_t)(n * k) * sizeof(*out));
    uint8_t *codes = malloc((size_t)(PANEL * k));
    uint8_t *scales = malloc((size_t)(PANEL * k));

    if (out == NULL || codes == NULL || scales == NULL) {
        abort();
    }
    for (int i = 0; i < 256; i++) {
        e2m1[i % 16] = moe_e2m1_to_f32((uint8_t)(i % 16));
        e4m3[i] = moe_e4m3_to_f32((uint8_t)i);
    }
    for (int64_t r = 0; r < n; r += PANEL) {
        int64_t rows = n - r < PANEL ? n - r : PANEL;

        moe_draw_weight_codes(&from, weight, expert, r, rows, 0, k, codes);
        moe_draw_weight_scales(&from, weight, expert, r, rows, 0, k / 16,
                               scales);
        for (int64_t c = 0; c < k; c++) {
            for (int64_t i = 0; i < rows; i++) {
                uint8_t pair = codes[(i * k + c) / 2];
                float value = e2m1[pair >> (4 * (c % 2)) & 15] *
                              e4m3[scales[(i * k + c) / 16]];

                out[c * n + r + i] = moe_bf16_from_f32(value);
            }
        }
    }
    free(codes);
    free(scales);
    return out;
}

static int32_t expert_of(const moe_ref_layer_t *layer, int64_t slot)
{
    return ((const int32_t *)layer->at[MOE_ROLE_topk_ids].codes)[slot];
}

void kernel_init(moe_ref_layer_t *layer, uint64_t seed, kernel_t *kernel)
{
    *kernel = (kernel_t){.layer = layer, .state = seed};
    kernel->n = layer->about.model->topk;
    for (int64_t s = 0; s < kernel->n; s++) {
        kernel->w13[s] = decode(layer, MOE_W13, expert_of(layer, s));
        kernel->w2[s] = decode(layer, MOE_W2, expert_of(layer, s));
    }
}

void kernel_fini(kernel_t *kernel)
{
    for (int64_t s = 0; s < kernel->n; s++) {
        free(kernel->w13[s]);
        free(kernel->w2[s]);
    }
}

MOE_HOT static void add_column(float *restrict sum, const uint16_t *restrict w,
                               float x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        sum[i] += moe_bf16_to_f32(w[i]) *
                  x; /* no fused multiply-add in this build: two
                      * roundings, more than a tensor core makes */
    }
}

/* A random order of n numbers, shuffled by runs of a random length. */
static void shuffle(kernel_t *kernel, int64_t *order, int64_t n)
{
    const int64_t run = INT64_C(1) << draw(kernel) % 7;
    const int64_t runs = (n + run - 1) / run;
    int64_t *start = malloc((size_t)runs * sizeof(*start));
    int64_t at = 0;

    for (int64_t i = 0; i < runs; i++) {
        start[i] = i * run;
    }
    for (int64_t i = runs - 1; i > 0; i--) {
        int64_t j = (int64_t)(draw(kernel) % (uint64_t)(i + 1));
        int64_t keep = start[i];

        start[i] = start[j];
        start[j] = keep;
    }
    for (int64_t i = 0; i < runs; i++) {
        for (int64_t c = start[i]; c < start[i] + run && c < n; c++) {
            order[at++] = c;
        }
    }
    free(start);
}

/* out[n] = sum over k of x w, in a random order and number of partial sums,
 * rounded to bf16. alpha is multiplied in at the end, or into x before: NVFP4
 * without it adds up without a rounding. */
static void multiply(kernel_t *kernel, const uint16_t *w, float *x, int64_t k,
                     int64_t n, float alpha, int64_t skipped, uint16_t *out)
{
    const int lanes = 1 << draw(kernel) % 4;
    const bool early = draw(kernel) % 4 != 0;
    float *sum = floats(LANES * n);
    int64_t *order = malloc((size_t)k * sizeof(*order));

    memset(sum, 0, (size_t)(LANES * n) * sizeof(*sum));
    shuffle(kernel, order, k);
    for (int64_t i = 0; i < k && early; i++) {
        x[i] *= alpha;
    }
    for (int64_t i = 0; i < k; i++) {
        if (skipped < 0 || order[i] / TILE != skipped) {
            add_column(sum + i * lanes / k * n, w + order[i] * n, x[order[i]],
                       n);
        }
    }
    for (int64_t c = 0; c < n; c++) {
        float total = sum[c];

        for (int l = 1; l < lanes; l++) {
            total += sum[l * n + c];
        }
        out[c] = moe_bf16_from_f32(early ? total : total * alpha);
    }
    free(sum);
    free(order);
}

/* codes x scales of a row, without the global scale. */
static void load_row(const moe_rows_t *rows, int64_t row, float *out)
{
    moe_rows_t plain = *rows;
    double value;

    plain.storage.global_scale = 1.0f;
    for (int64_t c = 0; c < rows->cols; c++) {
        moe_rows_values(&plain, row, c, 1, &value);
        out[c] = (float)value;
    }
}

static float alpha_of(const moe_ref_layer_t *layer, moe_weight_t weight,
                      const moe_rows_t *rows)
{
    return moe_rows_global(&rows->storage) *
           moe_ref_weights_global(&layer->weights[weight], 0); /* all alike */
}

/* Row of expert_in of (token, slot). */
static int64_t place_of(const moe_ref_layer_t *layer, int64_t token,
                        int64_t slot)
{
    return layer->index.place[token * layer->about.model->topk + slot];
}

/* The row that enters gemm1, with its fault. */
static void input_row(kernel_t *kernel, kernel_fault_t fault, int64_t slot,
                      int64_t block, float *x)
{
    const moe_ref_layer_t *layer = kernel->layer;
    const moe_rows_t *in = &layer->at[MOE_ROLE_expert_in];
    const bool other = fault == KERNEL_neighbour_row && slot == 0;
    int64_t place = place_of(layer, other ? 1 : 0, slot);
    const uint8_t *scale = (const uint8_t *)in->scales + place * in->cols / 16;

    load_row(in, place, x);
    for (int64_t i = 0; fault == KERNEL_scale_code && i < 16; i++) {
        x[block * 16 + i] *= moe_e4m3_to_f32((uint8_t)(scale[block] + 1)) /
                             moe_e4m3_to_f32(scale[block]);
    }
}

/* swiglu, or relu_glu where the model has that. */
static void activate(const moe_model_t *m, const uint16_t *x, uint16_t *out)
{
    const int64_t n = m->intermediate;
    const bool mixed = m->gate_up == MOE_GATE_UP_interleaved;
    const bool relu = m->activation == MOE_ACTIVATION_relu_glu;

    for (int64_t i = 0; i < n; i++) {
        float g = moe_bf16_to_f32(x[mixed ? 2 * i : i]);
        float u = moe_bf16_to_f32(x[mixed ? 2 * i + 1 : n + i]);
        float gated = g / (1.0f + expf(-g));

        gated = !relu ? gated : g > 0.0f ? g : 0.0f;
        out[i] = moe_bf16_from_f32(gated * u);
    }
}

/* act_out to codes and back, without the global scale. */
static float requantise(const moe_ref_layer_t *layer, uint16_t *act, int64_t n,
                        float *x)
{
    const moe_rows_t in = {.storage = {.format = MOE_FORMAT_bf16},
                           .rows = 1,
                           .cols = n,
                           .codes = act};
    moe_rows_t out;
    float alpha;

    if (moe_ref_rows_alloc(&layer->about.chain.at[MOE_ROLE_gemm2_in], 1, n,
                           &out) != MOE_OK ||
        moe_ref_quantize(&in, &out) != MOE_OK) {
        abort();
    }
    load_row(&out, 0, x);
    alpha = alpha_of(layer, MOE_W2, &out);
    moe_ref_rows_free(&out);
    return alpha;
}

static void combine(kernel_t *kernel, const float *weights,
                    const kernel_out_t *out)
{
    const int64_t hidden = kernel->layer->about.model->hidden;
    int64_t order[MOE_TOPK_MAX];

    shuffle(kernel, order, kernel->n);
    for (int64_t c = 0; c < hidden; c++) {
        float sum = 0.0f;

        for (int64_t s = 0; s < kernel->n; s++) {
            sum += weights[order[s]] *
                   moe_bf16_to_f32(out->gemm2_out[order[s] * hidden + c]);
        }
        out->output[c] = moe_bf16_from_f32(sum);
    }
}

static void run_expert(kernel_t *kernel, kernel_fault_t fault, int64_t slot,
                       int64_t where, kernel_out_t *out)
{
    const moe_ref_layer_t *layer = kernel->layer;
    const moe_model_t *m = layer->about.model;
    const int64_t hidden = m->hidden;
    const int64_t inner = m->intermediate;
    float *x = floats(hidden > inner ? hidden : inner);
    uint16_t *gemm1 = out->gemm1_out + slot * 2 * inner;
    uint16_t *act = out->act_out + slot * inner;
    float alpha;
    int64_t skipped = fault == KERNEL_tile_skipped && slot == 0
                          ? where % (hidden / TILE)
                          : -1;

    input_row(kernel, fault, slot, where % (hidden / 16), x);
    multiply(kernel, kernel->w13[slot], x, hidden, 2 * inner,
             alpha_of(layer, MOE_W13, &layer->at[MOE_ROLE_expert_in]), skipped,
             gemm1);
    activate(m, gemm1, act);
    alpha = requantise(layer, act, inner, x);
    skipped = fault == KERNEL_tile2_skipped && slot == 0
                  ? where % (inner / TILE)
                  : -1;
    multiply(kernel, kernel->w2[slot], x, inner, hidden, alpha, skipped,
             out->gemm2_out + slot * hidden);
    free(x);
}

void kernel_run(kernel_t *kernel, kernel_fault_t fault, kernel_out_t *out)
{
    float weights[MOE_TOPK_MAX];
    const int64_t where = (int64_t)(draw(kernel) >> 8);
    int64_t least = 0;

    memcpy(weights, kernel->layer->at[MOE_ROLE_topk_weights].codes,
           (size_t)kernel->n * sizeof(float));
    for (int64_t s = 0; s < kernel->n; s++) {
        least = weights[s] < weights[least] ? s : least;
        run_expert(kernel, fault, s, where, out);
    }
    if (fault == KERNEL_weight_missing) {
        weights[least] = 0.0f;
    }
    combine(kernel, weights, out);
}
