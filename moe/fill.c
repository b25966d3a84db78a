/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/fill.h"

#include "base/hot.h"
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

/* A word of four scales: E4M3 codes 60 (32) and up to 15 steps of it. */
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

enum {
    CALL_WORDS = 4 * MOE_PHILOX_LANES, /* of calls side by side */
    WORD_CODES = 8,
    TOGETHER = 8 /* times that are drawn at once */
};

/* Eight codes a word: clear the sign of every nibble whose magnitude is 0. */
MOE_HOT static void store_codes(const uint32_t *restrict word, int64_t n,
                                uint8_t *restrict out)
{
    for (int64_t i = 0; i < n; i++) {
        const uint32_t magnitude = word[i] & 0x77777777u;
        const uint32_t nonzero = (magnitude + 0x77777777u) & 0x88888888u;
        const uint32_t codes = magnitude | (word[i] & nonzero);

        memcpy(out + 4 * i, &codes, sizeof(codes));
    }
}

/* Four scales a word. */
MOE_HOT static void make_scales(uint32_t *word, int n)
{
    for (int i = 0; i < n; i++) {
        word[i] = SCALE_BASES | (word[i] & SCALE_STEPS);
    }
}

static void draw_calls(uint64_t seed, int64_t row, int64_t col, int64_t expert,
                       int tensor, int n, uint32_t out[][MOE_PHILOX_LANES][4])
{
    const uint32_t counter[4] = {(uint32_t)row, (uint32_t)col, (uint32_t)expert,
                                 (uint32_t)tensor};

    moe_philox_calls((uint32_t)seed, (uint32_t)(seed >> 32), counter, n, out);
}

static void draw_rows(uint64_t seed, int64_t row, int64_t col, int64_t expert,
                      int tensor, int n, uint32_t out[][4][MOE_PHILOX_LANES])
{
    const uint32_t counter[4] = {(uint32_t)row, (uint32_t)col, (uint32_t)expert,
                                 (uint32_t)tensor};

    moe_philox_rows((uint32_t)seed, (uint32_t)(seed >> 32), counter, n, out);
}

void moe_fill_weight_codes(uint64_t seed, moe_weight_t weight, int64_t expert,
                           int64_t row, int64_t rows, int64_t col, int64_t cols,
                           uint8_t *out)
{
    const int64_t step = (int64_t)MOE_PHILOX_LANES * CODES_PER_CALL;
    int tensor = TENSOR_CODES + (int)weight;
    uint32_t word[TOGETHER][MOE_PHILOX_LANES][4];

    for (int64_t r = row; r < row + rows; r++) {
        for (int64_t c = 0; c < cols; c += TOGETHER * step) {
            int64_t n = cols - c < TOGETHER * step ? cols - c : TOGETHER * step;
            int times = (int)((n + step - 1) / step);

            draw_calls(seed, r, (col + c) / CODES_PER_CALL, expert, tensor,
                       times, word);
            store_codes(word[0][0], n / WORD_CODES, out);
            out += n / 2;
        }
    }
}

void moe_fill_weight_scales(uint64_t seed, moe_weight_t weight, int64_t expert,
                            int64_t row, int64_t rows, int64_t block,
                            int64_t blocks, uint8_t *out)
{
    const int64_t step = (int64_t)(MOE_PHILOX_LANES - 1) * SCALES_PER_CALL;
    int tensor = TENSOR_SCALES + (int)weight;
    uint32_t word[1][MOE_PHILOX_LANES][4];

    for (int64_t r = row; r < row + rows; r++) {
        for (int64_t b = 0; b < blocks; b += step) {
            int64_t n = blocks - b < step ? blocks - b : step;

            draw_calls(seed, r, (block + b) / SCALES_PER_CALL, expert, tensor,
                       1, word);
            make_scales(word[0][0], CALL_WORDS);
            memcpy(out, (const uint8_t *)word + (block + b) % SCALES_PER_CALL,
                   (size_t)n);
            out += n;
        }
    }
}

void moe_fill_panel_codes(uint64_t seed, moe_weight_t weight, int64_t expert,
                          int64_t row, int64_t col, int64_t cols, uint8_t *out)
{
    const int64_t step = (int64_t)TOGETHER * CODES_PER_CALL;
    int tensor = TENSOR_CODES + (int)weight;
    uint32_t word[TOGETHER][4][MOE_PHILOX_LANES];

    for (int64_t c = 0; c < cols; c += step) {
        int64_t n = cols - c < step ? cols - c : step;
        int times = (int)((n + CODES_PER_CALL - 1) / CODES_PER_CALL);

        draw_rows(seed, row, (col + c) / CODES_PER_CALL, expert, tensor, times,
                  word);
        store_codes(word[0][0], times * CALL_WORDS, out);
        out += (size_t)times * sizeof(word[0]);
    }
}

void moe_fill_panel_scales(uint64_t seed, moe_weight_t weight, int64_t expert,
                           int64_t row, int64_t block, int64_t blocks,
                           uint8_t *out)
{
    int tensor = TENSOR_SCALES + (int)weight;
    uint32_t word[1][4][MOE_PHILOX_LANES];

    for (int64_t b = 0; b < blocks; b += SCALES_PER_CALL) {
        draw_rows(seed, row, (block + b) / SCALES_PER_CALL, expert, tensor, 1,
                  word);
        make_scales(word[0][0], CALL_WORDS);
        memcpy(out, word, sizeof(word));
        out += sizeof(word);
    }
}

float moe_fill_weight_global(int64_t cols)
{
    return (float)(1.0 / (192.0 * sqrt((double)cols)));
}
