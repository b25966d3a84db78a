/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/weights.h"

#include "moe/draw.h"

#include <stdlib.h>
#include <string.h>

static int64_t parts_of(const moe_ref_weights_t *w)
{
    return w->parts > 1 ? w->parts : 1;
}

int64_t moe_ref_weights_n(const moe_ref_weights_t *w)
{
    int64_t n = w->given != NULL ? w->given[0].rows
                                 : moe_weight_rows(w->model, w->weight);

    n = w->halves == MOE_HALVES_both ? n : n / 2;
    return w->weight == MOE_W13 ? n / parts_of(w) : n;
}

int64_t moe_ref_weights_k(const moe_ref_weights_t *w)
{
    int64_t k = w->given != NULL ? w->given[0].cols
                                 : moe_weight_cols(w->model, w->weight);

    return w->weight == MOE_W2 ? k / parts_of(w) : k;
}

int64_t moe_weight_panel_bytes(moe_format_t format, int64_t n, int64_t cols)
{
    return n * moe_format_row_bytes(format, cols);
}

moe_status_t moe_weight_panel_init(const moe_ref_weights_t *w, int64_t n,
                                   moe_weight_panel_t *panel_p)
{
    const int64_t k = moe_ref_weights_k(w);
    const moe_format_info_t *info = moe_format_info(w->format);
    const int64_t scales = moe_format_scale_cols(w->format, k);

    *panel_p = (moe_weight_panel_t){
        .codes = malloc((size_t)(n * moe_format_code_bytes(w->format, k)) + 1),
        .scales =
            malloc((size_t)(n * moe_dtype_bytes(info->scale, scales)) + 1)};
    if (panel_p->codes == NULL || panel_p->scales == NULL) {
        moe_weight_panel_fini(panel_p);
        return moe_fail(MOE_ERR_NOMEM, "no memory for %lld rows of weights",
                        (long long)n);
    }
    return MOE_OK;
}

void moe_weight_panel_fini(moe_weight_panel_t *panel)
{
    free(panel->codes);
    free(panel->scales);
    *panel = (moe_weight_panel_t){0};
}

bool moe_ref_weights_fit(const moe_ref_weights_t *w)
{
    const moe_format_info_t *info = moe_format_info(w->format);
    const int64_t k = moe_ref_weights_k(w);

    if (w->given != NULL) {
        return parts_of(w) == 1 && w->halves == MOE_HALVES_both;
    }
    return moe_fill_rows_has(w->format) &&
           (info->block <= 0 || info->block == MOE_BLOCK_ROW ||
            k % info->block == 0) &&
           (parts_of(w) == 1 || k % 32 == 0);
}

/* All of the outputs, in their order. */
static bool is_whole(const moe_ref_weights_t *w)
{
    return parts_of(w) == 1 && w->halves == MOE_HALVES_both;
}

/* Number of output j of a part among all outputs: its share of the gates,
 * then of the ups. */
static int64_t row_of(const moe_ref_weights_t *w, int64_t j)
{
    const int64_t n = moe_ref_weights_n(w);
    const int64_t half = w->halves == MOE_HALVES_both   ? n / 2
                         : w->halves == MOE_HALVES_gate ? n
                                                        : 0;
    const int64_t share = w->halves == MOE_HALVES_both ? half : n;

    if (w->weight == MOE_W2 || is_whole(w)) {
        return j;
    }
    if (w->model->gate_up == MOE_GATE_UP_interleaved) {
        return w->part * n + j;
    }
    return j < half ? w->part * share + j
                    : w->model->intermediate + w->part * share + j - half;
}

int64_t moe_ref_weights_expert(const moe_ref_weights_t *w, int64_t e)
{
    return w->experts != NULL ? w->experts[e] : w->first_expert + e;
}

float moe_ref_weights_global(const moe_ref_weights_t *w, int64_t e)
{
    const moe_draw_t draw = {w->data, w->seed, w->model};

    return w->given != NULL
               ? moe_rows_global(&w->given[w->one_scale ? 0 : e].storage)
               : moe_draw_weight_global(
                     &draw, w->weight, w->format,
                     moe_ref_weights_expert(w, w->one_scale ? 0 : e),
                     moe_weight_cols(w->model, w->weight));
}

bool moe_ref_weights_scaled(const moe_ref_weights_t *w, int64_t n)
{
    bool scaled = false;

    for (int64_t e = 1; w->format == MOE_FORMAT_nvfp4 && e < n; e++) {
        const float first = moe_ref_weights_global(w, 0);
        const float own = moe_ref_weights_global(w, e);

        scaled = scaled || own < first || own > first;
    }
    return scaled;
}

/* Encode global scale of drawn codes. That of NVFP4 is nearly this: its class
 * takes moe_draw_weight_global(), to the bit. */
static float global_of(const moe_ref_weights_t *w, int64_t e)
{
    return moe_format_info(w->format)->has_global
               ? 1.0f / moe_ref_weights_global(w, e)
               : 0.0f;
}

static void draw(const moe_ref_weights_t *w, int64_t e, int64_t row, int64_t n,
                 const moe_weight_panel_t *panel)
{
    const moe_format_info_t *info = moe_format_info(w->format);
    const int64_t k = moe_ref_weights_k(w);
    const int64_t code_bytes = moe_format_code_bytes(w->format, k);
    const int64_t scale_bytes =
        moe_dtype_bytes(info->scale, moe_format_scale_cols(w->format, k));
    const int64_t col = w->weight == MOE_W2 ? w->part * k : 0;
    const moe_draw_t draw = {w->data, w->seed, w->model};
    const int64_t expert = moe_ref_weights_expert(w, e);

    if (is_whole(w)) {
        moe_draw_rows(&draw, w->weight, w->format, expert, row, n, 0, k,
                      panel->codes, panel->scales);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        moe_draw_rows(&draw, w->weight, w->format, expert, row_of(w, row + i),
                      1, col, k, (uint8_t *)panel->codes + i * code_bytes,
                      (uint8_t *)panel->scales + i * scale_bytes);
    }
}

void moe_ref_weights_get(const moe_ref_weights_t *w, int64_t e, int64_t row,
                         int64_t n, moe_weight_panel_t *panel)
{
    moe_rows_t *rows = &panel->rows;

    if (w->given != NULL) { /* a view */

        *rows = w->given[e];
        if (w->one_scale) {
            rows->storage.global_scale = w->given[0].storage.global_scale;
        }
        rows->codes = moe_rows_codes(rows, row);
        rows->rows = n;
        if (rows->scales != NULL) {
            rows->scales =
                (uint8_t *)rows->scales + row * moe_rows_scale_bytes(rows);
        }
        return;
    }
    *rows = (moe_rows_t){
        .storage = {.format = w->format, .global_scale = global_of(w, e)},
        .rows = n,
        .cols = moe_ref_weights_k(w),
        .codes = panel->codes,
        .scales = panel->scales};
    draw(w, e, row, n, panel);
}

bool moe_ref_weights_biased(const moe_ref_weights_t *w)
{
    return w->bias != NULL ||
           (w->given == NULL && w->model != NULL && w->model->expert_bias);
}

/* Terms of a sum over parts of I have the bias once, in the first. */
static bool draws_bias(const moe_ref_weights_t *w)
{
    return moe_ref_weights_biased(w) && (w->weight == MOE_W13 || w->part == 0);
}

void moe_ref_weights_bias(const moe_ref_weights_t *w, int64_t e, int64_t row,
                          int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        float bias = 0.0f;

        if (w->bias != NULL) {
            bias = w->bias[e * moe_ref_weights_n(w) + row + i];
        } else if (draws_bias(w)) {
            moe_fill_expert_bias(w->seed, w->weight,
                                 moe_ref_weights_expert(w, e),
                                 row_of(w, row + i), 1, &bias);
        }
        out[i] = (double)bias * (w->bias_times > 1 ? w->bias_times : 1);
    }
}
