/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tiles whose weights never lie in memory as float64: x is decoded once and
 * stays in panels; of the few rows of weights of a tile MOE_GEMM_PIECE columns
 * at a time are decoded into the cache, multiplied by every panel and dropped.
 */
#include "ref/matmul_operand.h"

#include "base/hot.h"

#include <string.h>

enum {
    TOGETHER = 8,
    LINE = 8 /* numbers in a line of cache */
};

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Rows of the panel that begins at row `first` of a tile. */
static int64_t some_of(const moe_matmul_tile_t *t, int64_t first, int64_t rows)
{
    return first < t->n ? smaller(t->n - first, rows) : 0;
}

static void pack_panel(const moe_matmul_tile_t *t, int64_t first, int64_t rows)
{
    const int64_t k = t->x.k;
    const int64_t some = some_of(t, first, rows);
    double *panel = t->x.value + first * k;

    for (int64_t c = 0; c < k; c += MOE_GEMM_PIECE) {
        const int64_t n = smaller(k - c, MOE_GEMM_PIECE);

        for (int64_t i = 0; i < some; i++) {
            moe_operand_read(t->x_reader, t->row + first + i, c, n,
                             t->w.value + i * n);
        }
        moe_gemm_pack(t->w.value, some, rows, c, n, panel);
    }
}

void moe_matmul_pack(const moe_matmul_tile_t *t)
{
    const moe_gemm_panels_t p = moe_gemm_panels(t->kernel, t->n);

    moe_operand_facts(t->x_reader, t->row, t->n, &t->x, t->rows);
    for (int64_t i = 0; i < p.panels; i++) {
        pack_panel(t, i * p.rows, p.rows);
    }
}

static void read_weights(const moe_matmul_tile_t *t, int64_t first, int64_t k)
{
    for (int64_t j = 0; j < t->m; j++) {
        moe_operand_read(t->w_reader, j, first, k,
                         t->w.value + j * MOE_GEMM_PIECE);
    }
    /* rows that a kernel takes beyond the last: finite */
    for (int64_t j = t->m; j % t->kernel->w_rows != 0; j++) {
        memset(t->w.value + j * MOE_GEMM_PIECE, 0,
               MOE_GEMM_PIECE * sizeof(*t->w.value));
    }
}

/* Ask for a part of what is multiplied next. */
static void fetch(const double *from, int64_t numbers)
{
    for (int64_t i = 0; i < numbers; i += LINE) {
        __builtin_prefetch(from + i, 0, 2);
    }
}

/* Panels one after the other: each stays near while all weights pass, and
 * the next one comes. */
static void add_piece(const moe_matmul_tile_t *t, const moe_gemm_panels_t *p,
                      int64_t first, int64_t k, bool begins)
{
    const int w_rows = t->kernel->w_rows;
    const int64_t stride = p->panels * p->rows;
    const int64_t steps = (t->m + w_rows - 1) / w_rows;
    const int64_t part = (k * p->rows + steps - 1) / steps;

    read_weights(t, first, k);
    for (int64_t i = 0; i < p->panels; i++) {
        const double *panel = t->x.value + (i * t->x.k + first) * p->rows;
        const double *next = i + 1 < p->panels
                                 ? panel + t->x.k * p->rows
                                 : t->x.value + (first + k) * p->rows;

        for (int64_t s = 0; s < steps; s++) {
            const int64_t j = s * w_rows;

            fetch(next + s * part, part);
            t->kernel->multiply(p->registers, panel,
                                t->w.value + j * MOE_GEMM_PIECE, k, begins,
                                t->sums + j * stride + i * p->rows, stride);
        }
    }
}

/* out [.][m] = sums [.][stride] transposed, eight by eight. */
MOE_HOT_INLINE void turn_block(const double *restrict sums, int64_t stride,
                               int64_t m, double *restrict out)
{
    for (int64_t c = 0; c < TOGETHER; c++) {
        for (int64_t j = 0; j < TOGETHER; j++) {
            out[c * m + j] = sums[j * stride + c];
        }
    }
}

/* out [n][m] = the sums transposed: whole cache lines are read and written. */
MOE_HOT static void turn_sums(const double *restrict sums, int64_t stride,
                              int64_t n, int64_t m, double *restrict out)
{
    const int64_t whole_n = n / TOGETHER * TOGETHER;
    const int64_t whole_m = m / TOGETHER * TOGETHER;

    for (int64_t i = 0; i < whole_n; i += TOGETHER) {
        for (int64_t j = 0; j < whole_m; j += TOGETHER) {
            turn_block(sums + j * stride + i, stride, m, out + i * m + j);
        }
    }
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i < whole_n ? whole_m : 0; j < m; j++) {
            out[i * m + j] = sums[j * stride + i];
        }
    }
}

void moe_matmul_packed(const moe_matmul_tile_t *t, int64_t first, int64_t k,
                       double *out)
{
    const moe_gemm_panels_t p = moe_gemm_panels(t->kernel, t->n);
    const int64_t stride = p.panels * p.rows;
    const int64_t end = first + k;

    for (int64_t c = first; c < end; c += MOE_GEMM_PIECE) {
        add_piece(t, &p, c, smaller(end - c, MOE_GEMM_PIECE), c == first);
    }
    turn_sums(t->sums, stride, t->n, t->m, out);
}
