/* SPDX-License-Identifier: Apache-2.0 */
/* What a gate with capacity gives beside ids and weights, in a golden
 * folder. */
#include "sim/golden/golden.h"

static bool is_wanted(const moe_golden_file_t *f)
{
    return f->job->gate != NULL &&
           (f->job->command->stages & 1u << MOE_STAGE_prepare) != 0;
}

/* The rank's own of a gate's results, borrowed. */
static moe_rows_t rows_of(const moe_golden_file_t *f, moe_role_t role)
{
    const moe_golden_gate_t *gate = f->job->gate;
    const moe_range_t own = f->share->tokens;
    const int64_t experts = gate->scenario->model.experts;
    const int dp = moe_layout_dp_rank(&gate->layer.layout, f->share->rank);
    moe_rows_t rows = {.storage = {.format = MOE_FORMAT_i32}, .rows = 1};

    if (role == MOE_ROLE_location) {
        rows.rows = own.end - own.begin;
        rows.cols = gate->rule.topk;
        rows.codes = gate->location + own.begin * rows.cols;
    } else if (role == MOE_ROLE_expert_counts) {
        rows.cols = experts;
        rows.codes = gate->counts + dp * experts;
    } else {
        rows.storage.format = MOE_FORMAT_fp32;
        rows.cols = 1;
        rows.codes = gate->loss + dp;
    }
    return rows;
}

void moe_golden_declare_gate(moe_golden_file_t *f)
{
    for (int r = MOE_ROLE_location; is_wanted(f) && r <= MOE_ROLE_aux_loss;
         r++) {
        const moe_rows_t rows = rows_of(f, (moe_role_t)r);
        const int64_t dim[2] = {rows.rows, rows.cols};
        const bool of_tokens = r == MOE_ROLE_location;

        moe_golden_declare(f, moe_role_name((moe_role_t)r),
                           moe_format_info(rows.storage.format)->code,
                           of_tokens ? 2 : 1, of_tokens ? dim : dim + 1);
        if (r == MOE_ROLE_aux_loss) {
            moe_golden_declare_bound(f, moe_role_name(MOE_ROLE_aux_loss), 1,
                                     dim + 1);
        }
    }
}

void moe_golden_put_gate(moe_golden_file_t *f)
{
    for (int r = MOE_ROLE_location; is_wanted(f) && r <= MOE_ROLE_aux_loss;
         r++) {
        const moe_rows_t rows = rows_of(f, (moe_role_t)r);

        if (f->status == MOE_OK && f->job->tap != NULL) {
            f->status =
                moe_golden_tap_hold_rows(f->job->tap, (moe_role_t)r, &rows);
        }
        moe_golden_put_rows(f, &rows, false);
        if (r == MOE_ROLE_aux_loss) { /* a sum of what is not negative */
            moe_golden_put_magnitudes(f, &rows);
        }
    }
}
