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
 *
 * A profile with a budget (moe/budget.def) has machines that multiply by other
 * last bits: where its codes are not in GOT, every interval is wider by what
 * these move.
 */
#include "ref/judge_inside.h"

#include "moe/profile.h"
#include "ref/formats.h"
#include "ref/layer_inside.h"
#include "ref/quantize.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Largest error of a quantised element over its block's largest. */
#define QUANTISER_ERROR (1.1 / 6.0)

enum {
    VARIANTS = 4 /* lower, upper, and the two mixed */
};

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

/* A row's variants, [VARIANTS + 1][cols] fp32, the last as it is. */
typedef struct {
    moe_rows_t in;
    moe_rows_t out;
    double *value[VARIANTS + 1];
} trial_t;

static void trial_fini(trial_t *trial)
{
    moe_ref_rows_free(&trial->in);
    moe_ref_rows_free(&trial->out);
    free(trial->value[0]);
}

static moe_status_t trial_init(const moe_storage_t *storage, int64_t cols,
                               trial_t *trial)
{
    const moe_storage_t fp32 = {.format = MOE_FORMAT_fp32};
    moe_status_t status;

    *trial = (trial_t){0};
    status = moe_ref_rows_alloc(&fp32, VARIANTS + 1, cols, &trial->in);
    if (status == MOE_OK) {
        status = moe_ref_rows_alloc(storage, VARIANTS + 1, cols, &trial->out);
    }
    trial->value[0] =
        malloc((size_t)(VARIANTS + 1) * (size_t)(cols + 1) * sizeof(double));
    if (status == MOE_OK && trial->value[0] == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a row of codes");
    }
    for (int v = 1; v <= VARIANTS; v++) {
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
static void vary_block(const trial_t *trial, const double *x,
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

/* Codes between the scales of a block in the variants. */
static bool scale_moves_far(const trial_t *trial, int64_t block)
{
    const moe_storage_t *storage = &trial->out.storage;
    const int64_t blocks =
        moe_format_scale_cols(storage->format, trial->out.cols);
    const uint8_t *scale = trial->out.scales;
    int low = 255;
    int high = 0;

    if (moe_dtype_bits(moe_format_info(storage->format)->scale) != 8) {
        return false; /* scales of fp32 move evenly */
    }
    for (int v = 0; v <= VARIANTS; v++) {
        int s = scale[v * blocks + block];

        low = s < low ? s : low;
        high = s > high ? s : high;
    }
    return high - low > 1;
}

static void width_of_block(const trial_t *trial, const float *width,
                           int64_t col, int64_t n, int64_t block, float *out)
{
    const float *upper = (const float *)trial->in.codes + trial->in.cols;
    double far = 0.0;

    for (int64_t i = col; i < col + n && scale_moves_far(trial, block); i++) {
        double most = 2.0 * QUANTISER_ERROR * fabs((double)upper[i]);

        far = most > far ? most : far;
    }
    for (int64_t i = col; i < col + n; i++) {
        double most = far > 0.0 ? far + (double)width[i] : 0.0;

        for (int v = 0; v < VARIANTS; v++) {
            double d = fabs(trial->value[v][i] - trial->value[VARIANTS][i]);

            most = d > most ? d : most;
        }
        out[i] = (float)(most * (1.0 + 0x1p-20));
    }
}

static moe_status_t carry_row(trial_t *trial, const double *x,
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
    for (int v = 0; status == MOE_OK && v <= VARIANTS; v++) {
        moe_rows_values(&trial->out, v, 0, cols, trial->value[v]);
    }
    for (int64_t c = 0; status == MOE_OK && c < cols; c += step) {
        width_of_block(trial, width, c, cols - c < step ? cols - c : step,
                       c / step, out);
    }
    return status;
}

static bool has_doubt(const float *width, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (width[i] > 0.0f) {
            return true;
        }
    }
    return false;
}

/* Half-widths of a row's numbers at the quantiser: the source's, and what the
 * last bits of another machine's multiplier move. */
static void widths_at(const float *from, double near, const double *x,
                      int64_t n, float *width)
{
    for (int64_t i = 0; i < n; i++) {
        double w = from != NULL ? (double)from[i] : 0.0;

        w += near > 0.0 && isfinite(x[i]) ? near * fabs(x[i]) : 0.0;
        width[i] = (float)w;
    }
}

/* Codes that GOT has are held against a budget; others it makes doubtful. */
static double near_of(const moe_judge_t *judge, moe_role_t role)
{
    const moe_profile_t profile = judge->layer.at[role].storage.profile;

    return judge->got[role].codes != NULL
               ? 0.0
               : moe_profile_info(profile)->budget->near;
}

/* A row of a place from row `at` of its source. */
static moe_status_t carry_from(const moe_judge_t *judge, moe_role_t role,
                               int64_t row, int64_t at, trial_t *trial,
                               double *x, float *width)
{
    const moe_role_t source = moe_judge_quantised_from(judge, role);
    const moe_widths_t *from = &judge->widths[source];
    const moe_widths_t *to = &judge->widths[role];
    const double near = near_of(judge, role);
    const int64_t n = trial->in.cols;
    moe_status_t status = MOE_OK;

    moe_judge_source_values(judge, source, at, 0, n, x);
    for (int w = 0; status == MOE_OK && w < MOE_WIDTHS; w++) {
        float *out = to->at[w] + row * n;

        if (w > 0 && from->at[w] == NULL) { /* both are what `near` makes */
            memcpy(out, to->at[0] + row * n, (size_t)n * sizeof(*out));
            continue;
        }
        widths_at(from->at[w] != NULL ? from->at[w] + at * n : NULL, near, x, n,
                  width);
        if (has_doubt(width, n)) {
            status = carry_row(trial, x, width, out);
        }
    }
    return status;
}

static moe_status_t carry_rows(moe_judge_t *judge, moe_role_t role)
{
    const moe_rows_t *dst = &judge->layer.at[role];
    const moe_widths_t *to = &judge->widths[role];
    const int64_t n = dst->cols;
    double *x = malloc((size_t)n * (sizeof(*x) + sizeof(float)) + 1);
    trial_t trial;
    moe_status_t status = trial_init(&dst->storage, n, &trial);

    if (x == NULL && status == MOE_OK) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a row");
    }
    for (int64_t i = 0; status == MOE_OK && i < dst->rows; i++) {
        const int64_t at = moe_judge_source_row(judge, role, i);
        const int64_t first = moe_judge_first_row(judge, role, i);

        if (first == i && at >= 0) {
            status =
                carry_from(judge, role, i, at, &trial, x, (float *)(x + n));
        }
        for (int w = 0; w < MOE_WIDTHS && first != i; w++) {
            memcpy(to->at[w] + i * n, to->at[w] + first * n,
                   (size_t)n * sizeof(float));
        }
    }
    trial_fini(&trial);
    free(x);
    return status;
}

/* True if expert_in is a copy of dispatch, and made of what that was. */
static bool is_copied(const moe_judge_t *judge, moe_role_t role)
{
    const moe_storage_t *at = judge->layer.about.chain.at;

    return role == MOE_ROLE_dispatch &&
           moe_storage_equal(&at[role], &at[MOE_ROLE_expert_in]);
}

moe_status_t moe_judge_carry_codes(moe_judge_t *judge, moe_role_t role)
{
    const moe_role_t source = moe_judge_quantised_from(judge, role);
    const moe_rows_t *dst = &judge->layer.at[role];
    moe_widths_t *to = &judge->widths[role];
    moe_status_t status;

    moe_widths_free(to);
    if (source == MOE_ROLE_none || is_copied(judge, role) ||
        (judge->widths[source].at[0] == NULL &&
         !(near_of(judge, role) > 0.0))) {
        return MOE_OK;
    }
    status = moe_widths_alloc(to, dst->rows, dst->cols);
    return status == MOE_OK ? carry_rows(judge, role) : status;
}
