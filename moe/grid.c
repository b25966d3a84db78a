/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/grid.h"

#include "base/philox.h"

/* Last word of the counter: which tensor; moe/fill.c, moe/sampler.c and
 * moe/fill_rows.c use those below. */
enum {
    TENSOR_HIDDEN = 400,
    TENSOR_ROUTER,
    TENSOR_BIAS,
    TENSOR_ROWS /* + weight */
};

enum {
    FREE = MOE_GRID_BLOCK - 2, /* columns of a block that are drawn */
    GATE_ONES = 2,             /* products of at most 2 and 3: each is a */
    UP_ONES = 3,               /* magnitude of E2M1 */
    EXPERTS_APART = MOE_GRID_STEPS
};

static void draw16(const moe_draw_t *d, int64_t row, int64_t block,
                   int64_t expert, int tensor, uint8_t out[16])
{
    const uint32_t counter[4] = {(uint32_t)row, (uint32_t)block,
                                 (uint32_t)expert, (uint32_t)tensor};
    uint32_t word[4];

    moe_philox((uint32_t)d->seed, (uint32_t)(d->seed >> 32), counter, word);
    for (int i = 0; i < 16; i++) {
        out[i] = (uint8_t)(word[i / 4] >> (8 * (i % 4)));
    }
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Columns after which hidden repeats, so that an expert can return it. */
static int64_t period_of(const moe_draw_t *d)
{
    const int64_t p = smaller(d->model->hidden, d->model->intermediate);

    return d->data == MOE_DATA_stamp ? p / MOE_GRID_PERIOD * MOE_GRID_PERIOD
                                     : p;
}

void moe_grid_hidden(const moe_draw_t *d, int64_t token, int8_t *out)
{
    const int64_t n = d->model->hidden;
    const bool repeats = d->data == MOE_DATA_identity;
    const int64_t own = repeats ? period_of(d) : n;
    const int range = repeats ? 4 : 1;
    uint8_t random[16];

    if (d->data == MOE_DATA_stamp) {
        moe_stamp_write(token, n, out);
        return;
    }
    for (int64_t c = 0; c < own; c++) {
        const int64_t i = c % MOE_GRID_BLOCK;

        if (i == 0) {
            draw16(d, token, c / MOE_GRID_BLOCK, token >> 32, TENSOR_HIDDEN,
                   random);
        }
        out[c] = (int8_t)(i == 0   ? (random[0] & 1 ? -6 : 6)
                          : i == 1 ? 1
                                   : random[i] % (2 * range + 1) - range);
    }
    for (int64_t c = own; c < n; c++) {
        out[c] = out[c - own];
    }
}

int moe_grid_weight_bits(const moe_model_t *model)
{
    int bits = 0;

    while (1 << bits < model->topk) {
        bits++;
    }
    return bits;
}

int moe_grid_ones(const moe_model_t *model)
{
    const int n = 256 / (MOE_GRID_MAX << moe_grid_weight_bits(model));

    return n < 1 ? 1 : n > MOE_GRID_ONES ? MOE_GRID_ONES : n;
}

/* Number j of n: one of every n-th part of `columns` numbers. */
static int64_t pick(const uint8_t *random, int j, int n, int64_t columns)
{
    const int64_t begin = columns * j / n;
    const int64_t size = columns * (j + 1) / n - begin;
    const uint32_t r = (uint32_t)random[2 * j] << 8 | random[2 * j + 1];

    return begin + (int64_t)(((uint64_t)r * (uint64_t)size) >> 16);
}

/* A row of a gate or an up: of a multiple of 16, the constant and a 6. */
static int up_row(const moe_draw_t *d, bool gate, int64_t i,
                  const uint8_t *random, moe_grid_one_t *out)
{
    const int64_t blocks = d->model->hidden / MOE_GRID_BLOCK;
    const int n = gate ? GATE_ONES : UP_ONES;

    if (i % MOE_GRID_BLOCK == 0) {
        out[0].col = MOE_GRID_BLOCK * pick(random, 0, 1, blocks) + gate;
        out[0].negative = !gate && (random[15] & 1) != 0;
        return 1;
    }
    for (int j = 0; j < n; j++) {
        const int64_t c = pick(random, j, n, blocks * FREE);

        out[j].col = c / FREE * MOE_GRID_BLOCK + 2 + c % FREE;
        out[j].negative = (random[15] >> j & 1) != 0;
    }
    return n;
}

static int down_row(const moe_draw_t *d, int64_t row, int64_t expert,
                    const uint8_t *random, moe_grid_one_t *out)
{
    const int n = moe_grid_ones(d->model);
    uint8_t signs[16];

    draw16(d, row, 1, expert, TENSOR_ROWS + MOE_W2, signs);
    for (int j = 0; j < n; j++) {
        out[j].col = pick(random, j, n, d->model->intermediate);
        out[j].negative = (signs[j] & 1) != 0;
    }
    return n;
}

/* Experts that return their input: gate i is 1, up i column i, and output n
 * column n of what repeats. */
static int identity_row(const moe_draw_t *d, moe_weight_t weight, bool gate,
                        int64_t i, moe_grid_one_t *out)
{
    const int64_t period = period_of(d);

    out[0] = (moe_grid_one_t){gate ? 1 : i % period, false};
    return weight == MOE_W13 && i >= period ? 0 : 1;
}

int moe_grid_row(const moe_draw_t *d, moe_weight_t weight, int64_t expert,
                 int64_t row, moe_grid_one_t *out)
{
    const int64_t half = d->model->intermediate;
    const bool mixed = d->model->gate_up == MOE_GATE_UP_interleaved;
    const bool up = weight == MOE_W13;
    const bool gate = up && (mixed ? row % 2 == 0 : row < half);
    const int64_t i = !up ? row : mixed ? row / 2 : row % half;
    uint8_t random[16];

    if (d->data != MOE_DATA_grid) {
        return identity_row(d, weight, gate, i, out);
    }
    draw16(d, row, 0, expert, TENSOR_ROWS + (int)weight, random);
    return up ? up_row(d, gate, i, random, out)
              : down_row(d, row, expert, random, out);
}

/* Sum of the magnitudes of what is drawn, of grid data. */
static int64_t drawn_most(const moe_model_t *model)
{
    return model->hidden / MOE_GRID_BLOCK * FREE;
}

static int64_t lift(const moe_model_t *model)
{
    int64_t two = 1;

    while (two < drawn_most(model)) {
        two *= 2;
    }
    return two;
}

int64_t moe_grid_logit_most(const moe_model_t *model)
{
    const int64_t most = (drawn_most(model) + lift(model) + 1) * MOE_GRID_STEPS;

    return most <= INT32_MAX ? most : 0;
}

void moe_grid_router(const moe_draw_t *d, int64_t expert, int64_t col,
                     int64_t n, int32_t *out)
{
    uint8_t random[16];

    for (int64_t c = col; c < col + n; c++) {
        const int64_t i = c % MOE_GRID_BLOCK;

        if (i == 0) {
            draw16(d, expert, c / MOE_GRID_BLOCK, 0, TENSOR_ROUTER, random);
        }
        out[c - col] = c == 1 ? (int32_t)(expert % EXPERTS_APART)
                       : c == MOE_GRID_BLOCK + 1
                           ? (int32_t)(lift(d->model) * MOE_GRID_STEPS)
                       : i < 2 ? 0
                               : (random[i] % 3 - 1) * MOE_GRID_STEPS;
    }
}

int moe_grid_bias(const moe_draw_t *d, int64_t expert)
{
    uint8_t random[16];

    draw16(d, expert, 0, 0, TENSOR_BIAS, random);
    return random[0] % 5 - 2;
}
