/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/draw_probe.h"

#include "moe/fill_rows.h"
#include "moe/grid.h"

#include <string.h>

struct draw_probe draw_probe;

void draw_probe_clear(void)
{
    memset(&draw_probe, 0, sizeof(draw_probe));
}

static void note_hidden(int64_t first, int64_t n)
{
    const bool none = draw_probe.n_hidden == 0;

    if (n > 0) {
        draw_probe.first =
            none || first < draw_probe.first ? first : draw_probe.first;
        draw_probe.end =
            none || first + n > draw_probe.end ? first + n : draw_probe.end;
        draw_probe.n_hidden += n;
    }
}

static void note(draw_probe_pieces_t n, moe_weight_t weight, int64_t expert)
{
    if ((int)weight >= DRAW_PROBE_WEIGHTS || expert < 0 ||
        expert >= DRAW_PROBE_EXPERTS) {
        draw_probe.n_unknown++;
        return;
    }
    n[weight][expert]++;
}

static void note_weight(moe_weight_t weight, int64_t expert)
{
    note(draw_probe.n_weight, weight, expert);
}

/* __real_x is x itself, __wrap_x what other files call for x. */
#define PROBED(x) __typeof__(x) __real_##x, __wrap_##x

PROBED(moe_fill_hidden);
PROBED(moe_fill_weight_codes);
PROBED(moe_fill_weight_scales);
PROBED(moe_fill_panel_codes);
PROBED(moe_fill_panel_scales);
PROBED(moe_fill_rows);
PROBED(moe_fill_expert_bias);
PROBED(moe_grid_hidden);
PROBED(moe_grid_row);

void __wrap_moe_fill_hidden(uint64_t seed, int64_t hidden, int64_t first,
                            int64_t n, uint16_t *out)
{
    note_hidden(first, n);
    __real_moe_fill_hidden(seed, hidden, first, n, out);
}

void __wrap_moe_fill_weight_codes(uint64_t seed, moe_weight_t weight,
                                  int64_t expert, int64_t row, int64_t rows,
                                  int64_t col, int64_t cols, uint8_t *out)
{
    note_weight(weight, expert);
    __real_moe_fill_weight_codes(seed, weight, expert, row, rows, col, cols,
                                 out);
}

void __wrap_moe_fill_weight_scales(uint64_t seed, moe_weight_t weight,
                                   int64_t expert, int64_t row, int64_t rows,
                                   int64_t block, int64_t blocks, uint8_t *out)
{
    note_weight(weight, expert);
    __real_moe_fill_weight_scales(seed, weight, expert, row, rows, block,
                                  blocks, out);
}

void __wrap_moe_fill_panel_codes(uint64_t seed, moe_weight_t weight,
                                 int64_t expert, int64_t row, int64_t col,
                                 int64_t cols, uint8_t *out)
{
    note_weight(weight, expert);
    __real_moe_fill_panel_codes(seed, weight, expert, row, col, cols, out);
}

void __wrap_moe_fill_panel_scales(uint64_t seed, moe_weight_t weight,
                                  int64_t expert, int64_t row, int64_t block,
                                  int64_t blocks, uint8_t *out)
{
    note_weight(weight, expert);
    __real_moe_fill_panel_scales(seed, weight, expert, row, block, blocks, out);
}

void __wrap_moe_fill_rows(uint64_t seed, const moe_model_t *model,
                          moe_weight_t weight, moe_format_t format,
                          int64_t expert, int64_t row, int64_t rows,
                          int64_t col, int64_t cols, void *codes, void *scales)
{
    note_weight(weight, expert);
    __real_moe_fill_rows(seed, model, weight, format, expert, row, rows, col,
                         cols, codes, scales);
}

void __wrap_moe_fill_expert_bias(uint64_t seed, moe_weight_t weight,
                                 int64_t expert, int64_t row, int64_t rows,
                                 float *out)
{
    note(draw_probe.n_bias, weight, expert);
    __real_moe_fill_expert_bias(seed, weight, expert, row, rows, out);
}

void __wrap_moe_grid_hidden(const moe_draw_t *draw, int64_t token, int8_t *out)
{
    note_hidden(token, 1);
    __real_moe_grid_hidden(draw, token, out);
}

int __wrap_moe_grid_row(const moe_draw_t *draw, moe_weight_t weight,
                        int64_t expert, int64_t row, moe_grid_one_t *out)
{
    note_weight(weight, expert);
    return __real_moe_grid_row(draw, weight, expert, row, out);
}
