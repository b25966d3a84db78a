/* SPDX-License-Identifier: Apache-2.0 */
/* What bounds the rounding errors of a sum: sum |a||b| <= norm(a) norm(b)
 * (Cauchy, Schwarz). On normal numbers that is pi / 2 too large, more where
 * magnitudes spread wider, and it needs no second matmul. */
#include "ref/layer.h"

#include "base/hot.h"
#include "ref/formats.h"
#include "ref/layer_inside.h"
#include "ref/weights.h"

#include <math.h>
#include <stdlib.h>

/* Rounds a bound upwards: more than float64 sums and one fp32 lose. */
#define UPWARDS (1.0 + 0x1p-20)

enum {
    CHUNK = 256, /* columns that are decoded at a time */
    PANEL = 64   /* weight rows that are drawn at a time */
};

static double row_norm(const moe_rows_t *rows, int64_t row)
{
    double value[CHUNK];
    double sum = 0.0;

    for (int64_t c = 0; c < rows->cols; c += CHUNK) {
        int64_t n = rows->cols - c < CHUNK ? rows->cols - c : CHUNK;

        moe_rows_values(rows, row, c, n, value);
        for (int64_t i = 0; i < n; i++) {
            sum += value[i] * value[i];
        }
    }
    return sqrt(sum) * UPWARDS;
}

/* Of two codes in a byte: squares of twice the values, and the larger. */
typedef struct {
    uint16_t square[256];
    uint8_t most[256];
} pairs_table_t;

static void fill_table(pairs_table_t *table)
{
    for (int i = 0; i < 256; i++) {
        int a = abs(moe_e2m1_twice((uint8_t)(i & 15)));
        int b = abs(moe_e2m1_twice((uint8_t)(i >> 4)));

        table->square[i] = (uint16_t)(a * a + b * b);
        table->most[i] = (uint8_t)(a > b ? a : b);
    }
}

/* One row of NVFP4: its norm and largest element, without global scale. */
static double nvfp4_row(const pairs_table_t *table, const uint8_t *codes,
                        const uint8_t *scales, int64_t blocks, float *most_p)
{
    double sum = 0.0;
    float most = 0.0f;

    for (int64_t b = 0; b < blocks; b++) {
        float scale = moe_e4m3_to_f32(scales[b]) * 0.5f;
        int square = 0;
        int largest = 0;

        for (int i = 0; i < 8; i++) {
            uint8_t pair = codes[8 * b + i];

            square += table->square[pair];
            largest = table->most[pair] > largest ? table->most[pair] : largest;
        }
        sum += (double)(scale * scale) * square;
        most = scale * (float)largest > most ? scale * (float)largest : most;
    }
    *most_p = most;
    return sum;
}

/* One row of any format. */
static double any_row(const moe_rows_t *rows, int64_t row, float *most_p)
{
    double value[CHUNK];
    double sum = 0.0;
    double most = 0.0;

    for (int64_t c = 0; c < rows->cols; c += CHUNK) {
        int64_t n = rows->cols - c < CHUNK ? rows->cols - c : CHUNK;

        moe_rows_values(rows, row, c, n, value);
        for (int64_t i = 0; i < n; i++) {
            sum += value[i] * value[i];
            most = fabs(value[i]) > most ? fabs(value[i]) : most;
        }
    }
    *most_p = (float)(most * UPWARDS);
    return sum;
}

/* Norms of a panel of rows, the first of which is output `first`; drawn: their
 * decode global scale, 0 if the rows have their own. */
static void panel_norms(const pairs_table_t *table, const moe_rows_t *rows,
                        int64_t n, int64_t first, float drawn, double outputs,
                        moe_ref_norms_t *norms)
{
    const int64_t k = rows->cols;
    const bool nvfp4 = rows->storage.format == MOE_FORMAT_nvfp4 && k % 16 == 0;
    const double global = drawn > 0.0f ? (double)drawn
                          : nvfp4      ? (double)moe_rows_global(&rows->storage)
                                       : 1.0;

    for (int64_t i = 0; i < n; i++) {
        float most;
        double sum =
            nvfp4 ? nvfp4_row(table, moe_rows_codes(rows, i),
                              (const uint8_t *)rows->scales + i * (k / 16),
                              k / 16, &most)
                  : any_row(rows, i, &most);

        norms->norm[first + i] = (float)(sqrt(sum) * global * UPWARDS);
        norms->most[first + i] = (float)((double)most * global * UPWARDS);
        norms->square += sum * global * global / (outputs * (double)k);
    }
}

static moe_status_t make_norms(moe_ref_layer_t *layer, moe_weight_t weight,
                               int64_t expert, moe_ref_norms_t *norms)
{
    const moe_ref_weights_t *weights = &layer->weights[weight];
    const int64_t n = moe_ref_weights_n(weights);
    const float drawn =
        weights->given == NULL && weights->format == MOE_FORMAT_nvfp4
            ? moe_ref_weights_global(weights, expert)
            : 0.0f;
    moe_weight_panel_t panel;
    pairs_table_t table;

    if (moe_weight_panel_init(weights, PANEL, &panel) != MOE_OK) {
        return MOE_ERR_NOMEM;
    }
    norms->norm = malloc((size_t)n * sizeof(float) + 1);
    norms->most = malloc((size_t)n * sizeof(float) + 1);
    if (norms->norm == NULL || norms->most == NULL) {
        moe_weight_panel_fini(&panel);
        return moe_fail(MOE_ERR_NOMEM, "no memory for the weights' norms");
    }
    fill_table(&table);
    for (int64_t row = 0; row < n; row += PANEL) {
        int64_t rows = n - row < PANEL ? n - row : PANEL;

        moe_ref_weights_get(weights, expert, row, rows, &panel);
        panel_norms(&table, &panel.rows, rows, row, drawn, (double)n, norms);
    }
    moe_weight_panel_fini(&panel);
    return MOE_OK;
}

moe_status_t moe_ref_layer_norms(moe_ref_layer_t *layer, moe_weight_t weight,
                                 int64_t expert,
                                 const moe_ref_norms_t **norms_p)
{
    const int64_t experts =
        layer->about.experts.end - layer->about.experts.begin;
    moe_ref_norms_t *all = layer->norms[weight];
    moe_status_t status = MOE_OK;

    if (all == NULL) {
        all = calloc((size_t)experts + 1, sizeof(*all));
        if (all == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for the weights' norms");
        }
        layer->norms[weight] = all;
    }
    if (all[expert].most == NULL) {
        status = make_norms(layer, weight, expert, &all[expert]);
    }
    *norms_p = &all[expert];
    return status;
}

/* The magnitudes of an expert's biases are terms too. */
static void add_biases(const moe_ref_layer_t *layer, moe_weight_t weight,
                       int64_t expert, int64_t cols, float *out)
{
    const moe_ref_weights_t *w = &layer->weights[weight];
    const int64_t *offset = layer->index.offset + expert;

    for (int64_t c = 0; moe_ref_weights_biased(w) && c < cols; c++) {
        double bias;

        moe_ref_weights_bias(w, expert, c, 1, &bias);
        for (int64_t i = offset[0]; i < offset[1]; i++) {
            float *to = &out[i * cols + c];

            *to = (float)(((double)*to + fabs(bias)) * UPWARDS);
        }
    }
}

static moe_status_t abs_matmul(moe_ref_layer_t *layer, moe_weight_t weight,
                               const moe_rows_t *x, int64_t cols, float *out)
{
    const moe_ref_index_t *index = &layer->index;

    for (int64_t e = 0; e < index->n_experts; e++) {
        const moe_ref_norms_t *norms;

        if (index->offset[e] == index->offset[e + 1]) {
            continue;
        }
        if (moe_ref_layer_norms(layer, weight, e, &norms) != MOE_OK) {
            return MOE_ERR_UNSUPPORTED;
        }
        for (int64_t i = index->offset[e]; i < index->offset[e + 1]; i++) {
            double norm = row_norm(x, i);

            for (int64_t c = 0; c < cols; c++) {
                out[i * cols + c] =
                    (float)(norm * (double)norms->norm[c] * UPWARDS);
            }
        }
        add_biases(layer, weight, e, cols, out);
    }
    return MOE_OK;
}

static moe_status_t abs_logits(moe_ref_layer_t *layer, float *out)
{
    const moe_model_t *m = layer->about.model;
    const moe_rows_t *x = &layer->at[MOE_ROLE_hidden];
    moe_rows_t router = {.storage = {.format = MOE_FORMAT_bf16},
                         .rows = m->experts,
                         .cols = m->hidden};
    float *norm = malloc((size_t)m->experts * sizeof(*norm) + 1);
    moe_status_t status = moe_ref_layer_router(layer);

    if (norm == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the router's norms");
    }
    router.codes = layer->router;
    for (int64_t e = 0; status == MOE_OK && e < m->experts; e++) {
        norm[e] = (float)row_norm(&router, e);
    }
    for (int64_t i = 0; status == MOE_OK && i < x->rows; i++) {
        double row = row_norm(x, i);

        for (int64_t e = 0; e < m->experts; e++) {
            out[i * m->experts + e] = (float)(row * (double)norm[e] * UPWARDS);
        }
    }
    free(norm);
    return status;
}

/* out[i] += |weight * value[i]|. */
MOE_HOT static void add_magnitudes(float *restrict out,
                                   const double *restrict value, double weight,
                                   int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = (float)(((double)out[i] + fabs(weight * value[i])) * UPWARDS);
    }
}

static void abs_sum(const moe_ref_layer_t *layer, float *out)
{
    const moe_rows_t *v = &layer->at[MOE_ROLE_gemm2_out];
    const moe_rows_t *w = &layer->at[MOE_ROLE_topk_weights];
    const float *weights = w->codes;
    const bool once = layer->about.model->weight_on_input;
    double value[CHUNK];

    for (int64_t i = 0; i < w->rows * v->cols; i++) {
        out[i] = 0.0f;
    }
    for (int64_t p = 0; p < w->rows * w->cols; p++) {
        int64_t place = layer->index.place[p];
        float *row = out + p / w->cols * v->cols;

        for (int64_t c = 0; place >= 0 && c < v->cols; c += CHUNK) {
            int64_t n = v->cols - c < CHUNK ? v->cols - c : CHUNK;

            moe_rows_values(v, place, c, n, value);
            add_magnitudes(row + c, value, once ? 1.0 : (double)weights[p], n);
        }
    }
}

void moe_ref_rows_abs(const moe_rows_t *rows, float *out)
{
    double value[CHUNK];

    for (int64_t i = 0; i < rows->rows; i++) {
        for (int64_t c = 0; c < rows->cols; c += CHUNK) {
            int64_t n = rows->cols - c < CHUNK ? rows->cols - c : CHUNK;

            moe_rows_values(rows, i, c, n, value);
            for (int64_t j = 0; j < n; j++) {
                out[i * rows->cols + c + j] = (float)fabs(value[j]);
            }
        }
    }
}

static bool is_sum(moe_role_t role)
{
    return role == MOE_ROLE_logits || role == MOE_ROLE_gemm1_out ||
           role == MOE_ROLE_gemm2_out || role == MOE_ROLE_combine ||
           role == MOE_ROLE_output;
}

moe_status_t moe_ref_layer_abs(moe_ref_layer_t *layer, moe_role_t role,
                               float *out)
{
    moe_status_t status = is_sum(role) ? moe_ref_layer_make_inputs(layer, role)
                                       : moe_ref_layer_make(layer, role);

    if (status != MOE_OK) {
        return status;
    }
    switch (role) {
    case MOE_ROLE_logits:
        return abs_logits(layer, out);
    case MOE_ROLE_gemm1_out:
        return abs_matmul(layer, MOE_W13, &layer->at[MOE_ROLE_expert_in],
                          moe_weight_rows(layer->about.model, MOE_W13), out);
    case MOE_ROLE_gemm2_out:
        return abs_matmul(layer, MOE_W2, &layer->at[MOE_ROLE_gemm2_in],
                          moe_weight_rows(layer->about.model, MOE_W2), out);
    case MOE_ROLE_combine:
    case MOE_ROLE_output:
        abs_sum(layer, out);
        return MOE_OK;
    default:
        break;
    }
    if (!moe_format_is_float(layer->at[role].storage.format)) {
        return moe_fail(MOE_ERR_RANGE, "no bound of a tensor of codes");
    }
    moe_ref_rows_abs(&layer->at[role], out);
    return MOE_OK;
}
