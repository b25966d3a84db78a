/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Widths through a rounding and through a quantiser.
 *
 * Rounding is monotonic: a number between x - w and x + w rounds to a code
 * between theirs. Most intervals hold no boundary and leave no doubt.
 *
 * A quantiser's scale is monotonic in the largest magnitude of its block, and
 * codes are monotonic in their element while the scale stands. So a block is
 * quantised again with its elements at the ends of their intervals: all at
 * the lower, all at the upper, those that can be the largest at one end and
 * the rest at the other. Where the scale may move by more than one code even
 * that need not be all: an element is then known to lie within twice the
 * quantiser's error, an amax / 6 with some room.
 */
#include "ref/judge_inside.h"

#include "ref/formats.h"
#include "ref/layer_inside.h"
#include "ref/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Largest error of a quantised element over its block's largest. */
#define QUANTISER_ERROR (1.1 / 6.0)

/* Room between the neighbours of a code. */
static double last_place(moe_format_t format, uint32_t code)
{
    return fabs(moe_float_value(format, code ^ 1) -
                moe_float_value(format, code));
}

static float widened(moe_format_t format, double x, double width, double centre)
{
    double low = moe_float_value(format, moe_round_f64(format, x - width));
    double high = moe_float_value(format, moe_round_f64(format, x + width));
    double most = centre - low > high - centre ? centre - low : high - centre;

    return (float)(most > 0.0 ? most * (1.0 + 0x1p-20) : 0.0);
}

/* Boundaries that a row's likely errors cross move its elements by a last
 * place each. */
static double round_energy(const moe_judge_t *judge, const moe_rows_t *out,
                           int64_t row, double energy)
{
    const moe_format_t format = out->storage.format;
    const uint8_t *codes = moe_rows_codes(out, row);
    const double rms = sqrt(energy / (double)(out->cols + 1));
    double places = 0.0;
    double most = 0.0;

    for (int64_t c = 0; c < out->cols; c++) {
        double place = last_place(format, moe_float_load(format, codes, c));

        places += place;
        most = place > most ? place : most;
    }
    return energy + rms * places + judge->log_tail * 0.5 * most * most;
}

moe_status_t moe_judge_round(moe_judge_t *judge, moe_role_t role,
                             moe_widths_t *widths)
{
    const moe_storage_t fp32 = {.format = MOE_FORMAT_fp32};
    const moe_storage_t chain = moe_ref_layer_storage(&judge->layer, role);
    const moe_storage_t storage = /* unrounded is as good as fp32 here */
        chain.format == MOE_FORMAT_exact ? fp32 : chain;
    const moe_rows_t *fine = &judge->fine;
    const float *x = fine->codes;
    moe_rows_t out;
    moe_status_t status =
        moe_ref_rows_alloc(&storage, fine->rows, fine->cols, &out);

    if (status != MOE_OK) {
        return status;
    }
    for (int64_t i = 0; i < fine->rows * fine->cols; i++) {
        uint32_t code = moe_round_f64(storage.format, (double)x[i]);
        double centre = moe_float_value(storage.format, code);

        moe_float_store(storage.format, out.codes, i, code);
        for (int w = 0; w < MOE_WIDTHS; w++) {
            widths->at[w][i] = widened(storage.format, (double)x[i],
                                       (double)widths->at[w][i], centre);
        }
    }
    for (int64_t i = 0; i < fine->rows; i++) {
        widths->energy[i] = round_energy(judge, &out, i, widths->energy[i]);
    }
    return moe_ref_layer_hold(&judge->layer, role, &out, true);
}

void moe_trial_fini(moe_trial_t *trial)
{
    moe_ref_rows_free(&trial->in);
    moe_ref_rows_free(&trial->out);
    free(trial->value[0]);
}

moe_status_t moe_trial_init(const moe_storage_t *storage, int64_t cols,
                            moe_trial_t *trial)
{
    const moe_storage_t fp32 = {.format = MOE_FORMAT_fp32};
    moe_status_t status;

    *trial = (moe_trial_t){0};
    status = moe_ref_rows_alloc(&fp32, MOE_VARIANTS + 1, cols, &trial->in);
    if (status == MOE_OK) {
        status =
            moe_ref_rows_alloc(storage, MOE_VARIANTS + 1, cols, &trial->out);
    }
    trial->value[0] = malloc((size_t)(MOE_VARIANTS + 1) * (size_t)(cols + 1) *
                             sizeof(double));
    if (status == MOE_OK && trial->value[0] == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a row of codes");
    }
    for (int v = 1; v <= MOE_VARIANTS; v++) {
        trial->value[v] = trial->value[0] + v * cols;
    }
    return status;
}

/* One end of the interval of x, by magnitude. */
static float end_of(double x, double width, bool upper)
{
    return (float)((x < 0.0) == upper ? x - width : x + width);
}

/* The variants of one block. */
static void vary_block(const moe_trial_t *trial, const double *x,
                       const float *width, int64_t col, int64_t n)
{
    const int64_t cols = trial->in.cols;
    float *in = trial->in.codes;
    double sure = 0.0; /* the largest is at least this */

    for (int64_t i = col; i < col + n; i++) {
        double least = fabs(x[i]) - (double)width[i];

        sure = least > sure ? least : sure;
    }
    for (int64_t i = col; i < col + n; i++) {
        bool leads = fabs(x[i]) + (double)width[i] >= sure;

        in[i] = end_of(x[i], (double)width[i], false);
        in[cols + i] = end_of(x[i], (double)width[i], true);
        in[2 * cols + i] = end_of(x[i], (double)width[i], !leads);
        in[3 * cols + i] = end_of(x[i], (double)width[i], leads);
        in[4 * cols + i] = (float)x[i];
    }
}

int moe_trial_scale_moves(const moe_trial_t *trial, int64_t block)
{
    const moe_storage_t *storage = &trial->out.storage;
    const int64_t blocks =
        moe_format_scale_cols(storage->format, trial->out.cols);
    const uint8_t *scale = trial->out.scales;
    int low = 255;
    int high = 0;

    if (moe_dtype_bits(moe_format_info(storage->format)->scale) != 8) {
        return 0; /* scales of fp32 move evenly */
    }
    for (int v = 0; v <= MOE_VARIANTS; v++) {
        int s = scale[v * blocks + block];

        low = s < low ? s : low;
        high = s > high ? s : high;
    }
    return high - low;
}

static void width_of_block(const moe_trial_t *trial, const float *width,
                           int64_t col, int64_t n, int64_t block, float *out)
{
    const float *upper = (const float *)trial->in.codes + trial->in.cols;
    double far = 0.0;

    for (int64_t i = col;
         i < col + n && moe_trial_scale_moves(trial, block) > 1; i++) {
        double most = 2.0 * QUANTISER_ERROR * fabs((double)upper[i]);

        far = most > far ? most : far;
    }
    for (int64_t i = col; i < col + n; i++) {
        double most = far > 0.0 ? far + (double)width[i] : 0.0;

        for (int v = 0; v < MOE_VARIANTS; v++) {
            double d = fabs(trial->value[v][i] - trial->value[MOE_VARIANTS][i]);

            most = d > most ? d : most;
        }
        out[i] = (float)(most * (1.0 + 0x1p-20));
    }
}

moe_status_t moe_trial_run(moe_trial_t *trial, const double *x,
                           const float *width, float *out)
{
    const int64_t cols = trial->in.cols;
    const int block = moe_format_info(trial->out.storage.format)->block;
    const int64_t step = block > 0 ? block : cols;
    moe_status_t status;

    for (int64_t c = 0; c < cols; c += step) {
        vary_block(trial, x, width, c, cols - c < step ? cols - c : step);
    }
    status = moe_format_is_float(trial->out.storage.format)
                 ? moe_ref_convert(&trial->in, &trial->out)
                 : moe_ref_quantize(&trial->in, &trial->out);
    for (int v = 0; status == MOE_OK && v <= MOE_VARIANTS; v++) {
        moe_rows_values(&trial->out, v, 0, cols, trial->value[v]);
    }
    for (int64_t c = 0; status == MOE_OK && c < cols; c += step) {
        width_of_block(trial, width, c, cols - c < step ? cols - c : step,
                       c / step, out);
    }
    return status;
}
