/* SPDX-License-Identifier: Apache-2.0 */
/* Where NVFP4 weights come from: drawn by moe/draw.h; of a part of I, from
 * the rows or columns that it has of the whole weights. */
#include "ref/matmul_nvfp4.h"

#include <string.h>

static moe_draw_t draw_of(const moe_ref_weights_t *w)
{
    return (moe_draw_t){w->data, w->seed, w->model};
}

static int parts_of(const moe_ref_weights_t *w)
{
    return w->parts > 1 ? w->parts : 1;
}

/* First column of W2, first row of each half of W13, that the part has. */
static int64_t part_begin(const moe_ref_weights_t *w)
{
    return moe_layout_part(w->model->intermediate, parts_of(w), w->part).begin;
}

static int64_t first_col(const moe_ref_weights_t *w)
{
    return w->weight == MOE_W13 ? 0 : part_begin(w);
}

int64_t moe_nvfp4_weight_rows(const moe_ref_weights_t *w)
{
    int64_t rows = moe_weight_rows(w->model, w->weight);

    rows = w->halves == MOE_HALVES_both ? rows : rows / 2;
    return w->weight == MOE_W13 ? rows / parts_of(w) : rows;
}

int64_t moe_nvfp4_weight_cols(const moe_ref_weights_t *w)
{
    int64_t cols = moe_weight_cols(w->model, w->weight);

    return w->weight == MOE_W13 ? cols : cols / parts_of(w);
}

/* Rows of gates among the matmul's, which come first. */
static int64_t gates_of(const moe_ref_weights_t *w)
{
    return w->halves == MOE_HALVES_both   ? moe_nvfp4_weight_rows(w) / 2
           : w->halves == MOE_HALVES_gate ? moe_nvfp4_weight_rows(w)
                                          : 0;
}

/* Row of the whole weights: of W13 a part has its rows of both halves, or
 * pairs of gate and up. */
static int64_t whole_row(const moe_ref_weights_t *w, int64_t row)
{
    int64_t half = gates_of(w);

    if (w->weight != MOE_W13) {
        return row;
    }
    if (w->model->gate_up == MOE_GATE_UP_interleaved) {
        return 2 * part_begin(w) + row;
    }
    return row < half ? part_begin(w) + row
                      : w->model->intermediate + part_begin(w) + row - half;
}

/* Rows from row on that follow each other in the whole weights too. */
static int64_t run_of_rows(const moe_ref_weights_t *w, int64_t row, int64_t n)
{
    int64_t half = gates_of(w);

    return w->weight == MOE_W13 && row < half
               ? (n < half - row ? n : half - row)
               : n;
}

static void fetch_run(const moe_nvfp4_drawn_t *drawn, int64_t row, int64_t rows,
                      int64_t col, int64_t cols, uint8_t *codes,
                      uint8_t *scales)
{
    const moe_ref_weights_t *w = drawn->weights;
    const moe_draw_t draw = draw_of(w);
    int64_t at = first_col(w) + col;

    moe_draw_weight_codes(&draw, w->weight, drawn->expert, whole_row(w, row),
                          rows, at, cols, codes);
    moe_draw_weight_scales(&draw, w->weight, drawn->expert, whole_row(w, row),
                           rows, at / MOE_NVFP4_BLOCK, cols / MOE_NVFP4_BLOCK,
                           scales);
}

void moe_nvfp4_fetch_drawn(const void *from, int64_t row, int64_t rows,
                           int64_t col, int64_t cols, uint8_t *codes,
                           uint8_t *scales)
{
    const moe_nvfp4_drawn_t *drawn = from;

    while (rows > 0) {
        int64_t n = run_of_rows(drawn->weights, row, rows);

        fetch_run(drawn, row, n, col, cols, codes, scales);
        codes += n * cols / 2;
        scales += n * cols / MOE_NVFP4_BLOCK;
        row += n;
        rows -= n;
    }
}

/* A part may begin inside of the 16 blocks that are drawn together. */
static void fetch_panel_scales(const moe_nvfp4_drawn_t *drawn, int64_t row,
                               int64_t block, int64_t blocks, uint8_t *scales)
{
    enum {
        TOGETHER = 16,
        QUAD = 4 * MOE_FILL_PANEL_ROWS /* bytes of four blocks */
    };
    const moe_ref_weights_t *w = drawn->weights;
    const moe_draw_t draw = draw_of(w);
    int64_t before = block % TOGETHER;
    uint8_t all[(MOE_NVFP4_PIECE / MOE_NVFP4_BLOCK + 2 * TOGETHER) *
                MOE_FILL_PANEL_ROWS];

    if (before == 0) {
        moe_draw_panel_scales(&draw, w->weight, drawn->expert, row, block,
                              blocks, scales);
        return;
    }
    moe_draw_panel_scales(&draw, w->weight, drawn->expert, row, block - before,
                          blocks + before, all);
    memcpy(scales, all + before / 4 * QUAD, (size_t)((blocks + 3) / 4 * QUAD));
}

void moe_nvfp4_fetch_panel_drawn(const void *from, int64_t row, int64_t col,
                                 int64_t cols, uint8_t *codes, uint8_t *scales)
{
    const moe_nvfp4_drawn_t *drawn = from;
    const moe_ref_weights_t *w = drawn->weights;
    const moe_draw_t draw = draw_of(w);
    int64_t at = first_col(w) + col;

    moe_draw_panel_codes(&draw, w->weight, drawn->expert, whole_row(w, row), at,
                         cols, codes);
    fetch_panel_scales(drawn, whole_row(w, row), at / MOE_NVFP4_BLOCK,
                       cols / MOE_NVFP4_BLOCK, scales);
}
