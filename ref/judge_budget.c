/* SPDX-License-Identifier: Apache-2.0 */
/* What another machine's quantiser of the same name may do (moe/budget.def). */
#include "ref/judge_inside.h"

#include "moe/profile.h"

#include <math.h>

#define CHANCE 1e-9 /* that a place of a right machine exceeds its budget */

static const moe_budget_t *budget_of(const moe_rows_t *rows)
{
    return moe_profile_info(rows->storage.profile)->budget;
}

/* Where the number of a row's column was quantised from; none for rows that
 * somebody's dispatch is copied to. */
static moe_role_t quantised_from(const moe_judge_t *judge, moe_role_t role,
                                 int64_t *row)
{
    const moe_ref_layer_t *layer = &judge->layer;
    const moe_role_t source = moe_judge_source(role);

    if (role != MOE_ROLE_expert_in) {
        return source;
    }
    *row = layer->pairs.token[*row] - layer->about.tokens.begin;
    if (!moe_storage_equal(&layer->at[source].storage,
                           &layer->at[role].storage)) {
        return source;
    }
    return judge->got[source].codes != NULL ? MOE_ROLE_none
                                            : moe_judge_source(source);
}

/* True if last bits of a multiplier move the number over the midpoint of two
 * codes. */
static bool is_near(const moe_judge_t *judge, moe_role_t role, int64_t row,
                    int64_t col, double midpoint)
{
    const moe_role_t source = quantised_from(judge, role, &row);
    double near = budget_of(&judge->layer.at[role])->near * fabs(midpoint);
    const moe_rows_t *from;
    const float *width;

    if (source == MOE_ROLE_none || !judge->layer.held[source] ||
        !isfinite(midpoint)) {
        return false;
    }
    from = &judge->layer.at[source];
    width = judge->widths[source].at[MOE_WIDTH_likely];
    near += width != NULL ? (double)width[row * from->cols + col] : 0.0;
    return fabs(moe_rows_value(from, row, col) - midpoint) <= near;
}

moe_excuse_t moe_judge_excuse(const moe_judge_t *judge, moe_role_t role,
                              int64_t row, int64_t col, int64_t steps,
                              double midpoint)
{
    const moe_rows_t *ref = &judge->layer.at[role];
    const moe_format_info_t *info = moe_format_info(ref->storage.format);
    const moe_budget_t *budget = budget_of(ref);
    int64_t at;
    int64_t scale = 0;

    if (ref->scales != NULL && info->block > 0) {
        at = row * moe_format_scale_cols(ref->storage.format, ref->cols) +
             col / info->block;
        scale = moe_judge_steps(
            info->scale, moe_judge_code_of(info->scale, ref->scales, at),
            moe_judge_code_of(info->scale, judge->got[role].scales, at));
    }
    if (scale != 0) {
        return budget->scales > 0.0 && scale == 1 ? MOE_EXCUSE_scale
                                                  : MOE_EXCUSE_none;
    }
    return budget->codes > 0.0 && steps == 1 &&
                   is_near(judge, role, row, col, midpoint)
               ? MOE_EXCUSE_code
               : MOE_EXCUSE_none;
}

/* True if so many rare events of a chance in n are too many: by Chernoff's
 * bound of Poisson's tail. */
static bool is_too_many(double chance, int64_t n, int64_t events)
{
    const double mean = chance * (double)n;
    const double most = (double)events;

    return most > mean &&
           (!(mean > 0.0) ||
            most * log(most / mean) - most + mean > -log(CHANCE));
}

bool moe_judge_in_budget(const moe_judge_t *judge, moe_role_t role)
{
    const moe_verdict_t *v = &judge->verdict[role];
    const moe_budget_t *budget = budget_of(&judge->layer.at[role]);

    return moe_judge_wrong_codes(v) == v->in_budget &&
           v->scales_more_steps == 0 &&
           !is_too_many(budget->scales, v->scales,
                        v->scales_differ - v->scales_near_ties) &&
           !is_too_many(budget->codes, v->elements, v->in_code_budget);
}
