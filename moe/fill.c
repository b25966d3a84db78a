/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/fill.h"

#include "base/philox.h"
#include "base/philox_lanes.h"

#include <math.h>
#include <string.h>

/* Last word of the counter: which tensor. */
enum {
    TENSOR_HIDDEN = 1,
    TENSOR_ROUTER,
    TENSOR_BIAS,
    TENSOR_CODES, /* + weight */
    TENSOR_SCALES = TENSOR_CODES + 2
};

enum {
    QUANTILES = 2048,
    CODES_PER_CALL = 32,
    SCALES_PER_CALL = 16,
    NORMALS_PER_CALL = 8,
    BF16_EXPONENT_6 = 6 << 7
};

/* Four scales at once: E4M3 codes 60 (32) and up to 15 steps of it. */
#define SCALE_BASES 0x60606060u
#define SCALE_STEPS 0x0f0f0f0fu

static const uint16_t quantile[QUANTILES] = {
#include "moe/normal_quantiles.inc"
};

int64_t moe_weight_rows(const moe_model_t *model, moe_weight_t weight)
{
    return weight == MOE_W13 ? 2 * model->intermediate : model->hidden;
}

int64_t moe_weight_cols(const moe_model_t *model, moe_weight_t weight)
{
    return weight == MOE_W13 ? model->hidden : model->intermediate;
}

static void draw(uint64_t seed, int64_t row, int64_t col, int64_t expert,
                 int tensor, uint32_t out[4])
{
    const uint32_t counter[4] = {(uint32_t)row, (uint32_t)col, (uint32_t)expert,
                                 (uint32_t)tensor};

    moe_philox((uint32_t)seed, (uint32_t)(seed >> 32), counter, out);
}

/* One row of bf16 normals: 11 bits choose the quantile, one the sign. */
static void normal_row(uint64_t seed, int tensor, int64_t row, int64_t n,
                       uint16_t *out)
{
    uint32_t word[4];

    for (int64_t i = 0; i < n; i += NORMALS_PER_CALL) {
        draw(seed, row, i / NORMALS_PER_CALL, 0, tensor, word);
        for (int j = 0; j < NORMALS_PER_CALL && i + j < n; j++) {
            uint32_t u = word[j / 2] >> (16 * (j % 2)) & 0xffff;

            out[i + j] = (uint16_t)(quantile[u % QUANTILES] | (u & 0x8000));
        }
    }
}

void moe_fill_hidden(uint64_t seed, int64_t hidden, int64_t first, int64_t n,
                     uint16_t *out)
{
    for (int64_t i = 0; i < n; i++) {
        normal_row(seed, TENSOR_HIDDEN, first + i, hidden, out + i * hidden);
    }
}

void moe_fill_router(uint64_t seed, int64_t experts, int64_t hidden,
                     uint16_t *out)
{
    for (int64_t e = 0; e < experts; e++) {
        normal_row(seed, TENSOR_ROUTER, e, hidden, out + e * hidden);
    }
    /* divide by 64: quantiles are normal and far from underflow */
    for (int64_t i = 0; i < experts * hidden; i++) {
        out[i] = (uint16_t)(out[i] - BF16_EXPONENT_6);
    }
}

void moe_fill_bias(uint64_t seed, int64_t experts, float *out)
{
    uint16_t row[NORMALS_PER_CALL];

    for (int64_t e = 0; e < experts; e++) {
        uint32_t bits;

        normal_row(seed, TENSOR_BIAS, e, NORMALS_PER_CALL, row);
        bits = (uint32_t)(uint16_t)(row[0] - BF16_EXPONENT_6) << 16;
        memcpy(&out[e], &bits, sizeof(bits));
    }
}

/* Clear the sign of every nibble whose magnitude is 0. */
static inline uint32_t no_negative_zero(uint32_t x)
{
    uint32_t magnitude = x & 0x77777777u;
    uint32_t nonzero = (magnitude + 0x77777777u) & 0x88888888u;

    return magnitude | (x & nonzero);
}

/* Consecutive calls of a row, side by side. */
typedef struct {
    uint32_t word[4][MOE_PHILOX_LANES];
} lanes_t;

static void draw_lanes(uint64_t seed, int64_t row, int64_t col, int64_t expert,
                       int tensor, lanes_t *out)
{
    const uint32_t counter[4] = {(uint32_t)row, (uint32_t)col, (uint32_t)expert,
                                 (uint32_t)tensor};

    moe_philox_lanes((uint32_t)seed, (uint32_t)(seed >> 32), counter,
                     out->word);
}

/* Words of one call, in order. */
static inline void call_words(const lanes_t *lanes, int i, uint32_t word[4])
{
    word[0] = lanes->word[0][i];
    word[1] = lanes->word[1][i];
    word[2] = lanes->word[2][i];
    word[3] = lanes->word[3][i];
}

static void store_codes(lanes_t *lanes, int64_t cols, uint8_t *out)
{
    int64_t calls = cols / CODES_PER_CALL;
    uint32_t word[4];

    for (int w = 0; w < 4; w++) {
        for (int i = 0; i < MOE_PHILOX_LANES; i++) {
            lanes->word[w][i] = no_negative_zero(lanes->word[w][i]);
        }
    }
    for (int i = 0; i < calls; i++) {
        call_words(lanes, i, word);
        memcpy(out + i * (int64_t)sizeof(word), word, sizeof(word));
    }
    if (cols % CODES_PER_CALL != 0) {
        call_words(lanes, (int)calls, word);
        memcpy(out + calls * (int64_t)sizeof(word), word,
               (size_t)(cols % CODES_PER_CALL) / 2);
    }
}

void moe_fill_weight_codes(uint64_t seed, moe_weight_t weight, int64_t expert,
                           int64_t row, int64_t rows, int64_t col, int64_t cols,
                           uint8_t *out)
{
    const int64_t step = (int64_t)MOE_PHILOX_LANES * CODES_PER_CALL;
    int tensor = TENSOR_CODES + (int)weight;
    lanes_t lanes;

    for (int64_t r = row; r < row + rows; r++) {
        for (int64_t c = 0; c < cols; c += step) {
            int64_t n = cols - c < step ? cols - c : step;

            draw_lanes(seed, r, (col + c) / CODES_PER_CALL, expert, tensor,
                       &lanes);
            store_codes(&lanes, n, out);
            out += n / 2;
        }
    }
}

/* Scales of blocks [block, block + n) of a call's 16, and of later calls. */
static void store_scales(lanes_t *lanes, int64_t block, int64_t n, uint8_t *out)
{
    uint8_t scales[MOE_PHILOX_LANES * SCALES_PER_CALL];
    int64_t skip = block % SCALES_PER_CALL;
    int64_t calls = (skip + n + SCALES_PER_CALL - 1) / SCALES_PER_CALL;

    for (int i = 0; i < calls; i++) {
        uint32_t word[4];

        call_words(lanes, i, word);
        for (int w = 0; w < 4; w++) {
            word[w] = SCALE_BASES | (word[w] & SCALE_STEPS);
        }
        memcpy(scales + i * SCALES_PER_CALL, word, sizeof(word));
    }
    memcpy(out, scales + skip, (size_t)n);
}

void moe_fill_weight_scales(uint64_t seed, moe_weight_t weight, int64_t expert,
                            int64_t row, int64_t rows, int64_t block,
                            int64_t blocks, uint8_t *out)
{
    const int64_t step = (int64_t)(MOE_PHILOX_LANES - 1) * SCALES_PER_CALL;
    int tensor = TENSOR_SCALES + (int)weight;
    lanes_t lanes;

    for (int64_t r = row; r < row + rows; r++) {
        for (int64_t b = 0; b < blocks; b += step) {
            int64_t n = blocks - b < step ? blocks - b : step;

            draw_lanes(seed, r, (block + b) / SCALES_PER_CALL, expert, tensor,
                       &lanes);
            store_scales(&lanes, block + b, n, out);
            out += n;
        }
    }
}

float moe_fill_weight_global(int64_t cols)
{
    return (float)(1.0 / (192.0 * sqrt((double)cols)));
}
