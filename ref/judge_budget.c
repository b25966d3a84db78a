/* SPDX-License-Identifier: Apache-2.0 */
/* What another machine's quantiser of the same name may do (moe/budget.def). */
#include "ref/judge_inside.h"

#include "moe/profile.h"
#include "ref/formats.h"

#include <math.h>
#include <string.h>

#define CHANCE 1e-9 /* that a place of a right machine exceeds its budget */

static const moe_budget_t *budget_of(const moe_rows_t *rows)
{
    return moe_profile_info(rows->storage.profile)->budget;
}

moe_role_t moe_judge_quantised_from(const moe_judge_t *judge, moe_role_t role)
{
    const moe_ref_layer_t *layer = &judge->layer;

    switch (role) {
    case MOE_ROLE_dispatch:
        return MOE_ROLE_hidden;
    case MOE_ROLE_gemm2_in:
        return MOE_ROLE_act_out;
    case MOE_ROLE_expert_in:
        break;
    default:
        return MOE_ROLE_none;
    }
    if (!moe_storage_equal(&layer->at[MOE_ROLE_dispatch].storage,
                           &layer->at[role].storage)) {
        return MOE_ROLE_dispatch;
    }
    return judge->got[MOE_ROLE_dispatch].codes != NULL ||
                   judge->trusted[MOE_ROLE_dispatch]
               ? MOE_ROLE_none
               : MOE_ROLE_hidden;
}

int64_t moe_judge_source_row(const moe_judge_t *judge, moe_role_t role,
                             int64_t row)
{
    return role == MOE_ROLE_expert_in ? judge->layer.index.row[row] : row;
}

int64_t moe_judge_first_row(const moe_judge_t *judge, moe_role_t role,
                            int64_t row)
{
    const moe_ref_index_t *index = &judge->layer.index;
    int64_t first = row;

    if (role == MOE_ROLE_expert_in && index->row[row] >= 0) {
        const int64_t *place = index->place + index->row[row] * index->topk;

        for (int s = 0; s < index->topk; s++) {
            first = place[s] >= 0 && place[s] < first ? place[s] : first;
        }
    }
    return first;
}

void moe_judge_source_values(const moe_judge_t *judge, moe_role_t source,
                             int64_t row, int64_t col, int64_t n, double *value)
{
    const moe_ref_layer_t *layer = &judge->layer;
    const moe_format_t format = layer->about.chain.at[source].format;
    const float *weights = layer->at[MOE_ROLE_topk_weights].codes;

    moe_rows_values(&layer->at[source], row, col, n, value);
    if (source == MOE_ROLE_hidden && layer->about.model->weight_on_input) {
        for (int64_t i = 0; i < n; i++) {
            value[i] = moe_float_value(
                format, moe_round_f64(format, value[i] * (double)weights[row]));
        }
    }
}

/* True if last bits of a multiplier move the number over the midpoint of two
 * codes. */
static bool is_near(const moe_judge_t *judge, moe_role_t role, int64_t row,
                    int64_t col, double midpoint)
{
    const moe_role_t source = moe_judge_quantised_from(judge, role);
    const int64_t at = moe_judge_source_row(judge, role, row);
    const float *width = judge->widths[source].at[MOE_WIDTH_likely];
    double near = budget_of(&judge->layer.at[role])->near * fabs(midpoint);
    double x;

    if (!judge->layer.held[source] || at < 0 || !isfinite(midpoint)) {
        return false;
    }
    near += width != NULL
                ? (double)width[at * judge->layer.at[source].cols + col]
                : 0.0;
    moe_judge_source_values(judge, source, at, col, 1, &x);
    return fabs(x - midpoint) <= near;
}

/* Steps between the scales of an element's block; 0 without scales. */
static int64_t scale_steps(const moe_judge_t *judge, moe_role_t role,
                           int64_t row, int64_t col)
{
    const moe_rows_t *ref = &judge->layer.at[role];
    const moe_format_info_t *info = moe_format_info(ref->storage.format);
    int64_t at;

    if (ref->scales == NULL || info->block <= 0) {
        return 0;
    }
    at = row * moe_format_scale_cols(ref->storage.format, ref->cols) +
         col / info->block;
    return moe_judge_steps(
        info->scale, moe_judge_code_of(info->scale, ref->scales, at),
        moe_judge_code_of(info->scale, judge->got[role].scales, at));
}

/* True if got's row is its first one of the same token, byte for byte. */
static bool is_as_first(const moe_judge_t *judge, moe_role_t role, int64_t row)
{
    const moe_rows_t *got = &judge->got[role];
    const int64_t first = moe_judge_first_row(judge, role, row);
    const int64_t bytes = moe_rows_scale_bytes(got);
    const uint8_t *scales = got->scales;

    return first == row ||
           (memcmp(moe_rows_codes(got, first), moe_rows_codes(got, row),
                   (size_t)moe_rows_code_bytes(got)) == 0 &&
            (scales == NULL ||
             memcmp(scales + first * bytes, scales + row * bytes,
                    (size_t)bytes) == 0));
}

bool moe_judge_counts(const moe_judge_t *judge, moe_role_t role, int64_t row)
{
    return moe_judge_first_row(judge, role, row) == row ||
           !is_as_first(judge, role, row);
}

moe_excuse_t moe_judge_excuse(const moe_judge_t *judge, moe_role_t role,
                              int64_t row, int64_t col, int64_t steps,
                              double midpoint)
{
    const moe_budget_t *budget = budget_of(&judge->layer.at[role]);
    moe_excuse_t excuse = MOE_EXCUSE_none;
    int64_t scale;

    if (!(budget->codes > 0.0) ||
        moe_judge_quantised_from(judge, role) == MOE_ROLE_none) {
        return MOE_EXCUSE_none;
    }
    scale = scale_steps(judge, role, row, col);
    if (scale == 1 && budget->scales > 0.0) {
        excuse = MOE_EXCUSE_scale;
    } else if (scale == 0 && steps == 1 &&
               is_near(judge, role, row, col, midpoint)) {
        excuse = MOE_EXCUSE_code;
    }
    return excuse != MOE_EXCUSE_none && is_as_first(judge, role, row)
               ? excuse
               : MOE_EXCUSE_none;
}

/* True if so many rare events of a chance in n are too many, but for a chance
 * of e^-tail: by Chernoff's bound of Poisson's tail. */
static bool is_too_many(double chance, int64_t n, int64_t events, double tail)
{
    const double mean = chance * (double)n;
    const double most = (double)events;

    return most > mean &&
           (!(mean > 0.0) || most * log(most / mean) - most + mean > tail);
}

int64_t moe_judge_most_events(const moe_judge_t *judge, double share, int64_t n)
{
    int64_t most = 0;

    while (!is_too_many(share, n, most + 1, judge->log_tail)) {
        most++;
    }
    return most;
}

/* Rows that chance chose: those of a token are copies of one. */
static int64_t count_rows(const moe_judge_t *judge, moe_role_t role)
{
    int64_t n = 0;

    for (int64_t i = 0; i < judge->layer.at[role].rows; i++) {
        n += moe_judge_first_row(judge, role, i) == i;
    }
    return n;
}

bool moe_judge_in_budget(const moe_judge_t *judge, moe_role_t role)
{
    static const moe_budget_t none = {.scales = 0.0};
    const moe_verdict_t *v = &judge->verdict[role];
    const moe_rows_t *rows = &judge->layer.at[role];
    const int64_t n = count_rows(judge, role);
    const double tail = -log(CHANCE);
    const moe_budget_t *budget =
        moe_judge_quantised_from(judge, role) != MOE_ROLE_none ? budget_of(rows)
                                                               : &none;

    return moe_judge_wrong_codes(v) == v->in_budget &&
           v->scales_more_steps == 0 &&
           !is_too_many(
               budget->scales,
               n * moe_format_scale_cols(rows->storage.format, rows->cols),
               v->scales_in_budget, tail) &&
           !is_too_many(budget->codes, n * rows->cols, v->in_code_budget, tail);
}

bool moe_judge_try_exact(moe_judge_t *judge)
{
    moe_storage_t *at = judge->layer.about.chain.at;
    const bool copied =
        moe_storage_equal(&at[MOE_ROLE_dispatch], &at[MOE_ROLE_expert_in]);
    bool seen[2];
    bool changed = false;

    for (int i = 0; i < 2; i++) {
        const int r = (int)MOE_ROLE_dispatch + i;

        seen[i] = judge->got[r].codes != NULL || judge->trusted[r];
    }
    if (judge->got[MOE_ROLE_gemm1_out].codes != NULL) {
        return false; /* judged within what any machine may do */
    }
    for (int i = 0; i < 2; i++) {
        moe_storage_t *storage = &at[(int)MOE_ROLE_dispatch + i];

        if (!seen[i] && !(copied && seen[1 - i]) &&
            storage->format == MOE_FORMAT_nvfp4 &&
            moe_profile_info(storage->profile)->budget->codes > 0.0) {
            storage->profile = MOE_PROFILE_flashinfer_exact;
            changed = true;
        }
    }
    return changed;
}
