/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a place that GOT has not hands on through a quantiser: the doubt about
 * its source, and what other machines of the profile may choose.
 *
 * A profile with a budget (moe/budget.def) has machines that multiply by other
 * last bits. Elements and scales next to a midpoint may then go either way, but
 * no more of a row than a machine that misses the budget's shares on average
 * has: what counts is the norm of the largest of these flips.
 */
#include "ref/judge_inside.h"

#include "moe/profile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MOST = 64 /* flips of a row that are counted */
};

/* The largest flips of a row so far. */
typedef struct {
    int64_t most;
    moe_norms_t at[MOST];
} largest_t;

static void keep(largest_t *largest, moe_norms_t flip)
{
    moe_norms_t *least = largest->at;

    for (int64_t i = 1; i < largest->most; i++) {
        least = largest->at[i].two < least->two ? &largest->at[i] : least;
    }
    if (largest->most > 0 && flip.two > least->two) {
        *least = flip;
    }
}

static void add_squares(const largest_t *largest, moe_norms_t *sum)
{
    for (int64_t i = 0; i < largest->most; i++) {
        sum->one += largest->at[i].one;
        sum->two += largest->at[i].two * largest->at[i].two;
        sum->count += largest->at[i].count;
    }
}

/* What machines may do that is to be carried: not where GOT has the codes,
 * which are held against the budget itself, and of gemm1's only where GOT has
 * what it makes: behind the next quantiser it would excuse everything. */
static const moe_budget_t *carried_budget(const moe_judge_t *judge,
                                          moe_role_t role)
{
    const bool carried = judge->got[role].codes == NULL &&
                         (role == MOE_ROLE_gemm2_in ||
                          judge->got[MOE_ROLE_gemm1_out].codes != NULL);
    const moe_profile_t profile = judge->layer.at[role].storage.profile;

    return moe_profile_info(carried ? profile : MOE_PROFILE_none)->budget;
}

/* A row on its way: numbers, half-widths at the quantiser, what they make. */
typedef struct {
    moe_trial_t trial;
    double *x;
    float *width;
    float *moved;
    int64_t flips[2]; /* most of codes, and of scales */
} work_t;

static void work_fini(work_t *work)
{
    moe_trial_fini(&work->trial);
    free(work->x);
    free(work->width);
}

static moe_status_t work_init(const moe_judge_t *judge, moe_role_t role,
                              work_t *work)
{
    const moe_rows_t *dst = &judge->layer.at[role];
    const moe_budget_t *budget = carried_budget(judge, role);
    const size_t n = (size_t)dst->cols;
    moe_status_t status;

    *work = (work_t){0};
    work->flips[0] = moe_judge_most_events(judge, budget->codes, dst->cols);
    work->flips[1] = moe_judge_most_events(
        judge, budget->scales,
        moe_format_scale_cols(dst->storage.format, dst->cols));
    status = moe_trial_init(&dst->storage, dst->cols, &work->trial);
    work->x = malloc(n * sizeof(double) + 1);
    work->width = malloc(2 * n * sizeof(float) + 1);
    if (status == MOE_OK && (work->x == NULL || work->width == NULL)) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a row");
    }
    work->moved = work->width != NULL ? work->width + n : NULL;
    return status;
}

/* Flips of the row that was tried last. */
static moe_norms_t flips_of(const work_t *work)
{
    const moe_rows_t *out = &work->trial.out;
    const int block = moe_format_info(out->storage.format)->block;
    const int64_t step = block > 0 ? block : out->cols;
    largest_t codes = {.most = work->flips[0] < MOST ? work->flips[0] : MOST};
    largest_t scales = {.most = work->flips[1] < MOST ? work->flips[1] : MOST};
    moe_norms_t sum = {0.0, 0.0, 0};

    for (int64_t c = 0; c < out->cols; c += step) {
        const bool moves = moe_trial_scale_moves(&work->trial, c / step) > 0;
        moe_norms_t all = {0.0, 0.0, 0};

        for (int64_t i = c; i < c + step && i < out->cols; i++) {
            const double d = (double)work->moved[i];

            all.one += d;
            all.two += d * d;
            all.count += d > 0.0;
            if (!moves && d > 0.0) {
                keep(&codes, (moe_norms_t){d, d, 1});
            }
        }
        all.two = sqrt(all.two);
        if (moves) {
            keep(&scales, all);
        }
    }
    add_squares(&codes, &sum);
    add_squares(&scales, &sum);
    sum.two = sqrt(sum.two);
    return sum;
}

/* What last bits of a multiplier move, about the numbers as they are. */
static moe_status_t flip_row(work_t *work, double near, moe_norms_t *flips)
{
    const int64_t n = work->trial.in.cols;
    moe_status_t status;

    for (int64_t i = 0; i < n; i++) {
        work->width[i] =
            isfinite(work->x[i]) ? (float)(near * fabs(work->x[i])) : 0.0f;
    }
    memset(work->moved, 0, (size_t)n * sizeof(float));
    status = moe_trial_run(&work->trial, work->x, work->width, work->moved);
    if (status == MOE_OK) {
        *flips = flips_of(work);
    }
    return status;
}

/* Widths of a row's codes from those of its source. */
static moe_status_t carry_row(work_t *work, double near, const float *from,
                              float *out)
{
    const int64_t n = work->trial.in.cols;
    bool doubt = false;

    for (int64_t i = 0; i < n; i++) {
        doubt = doubt || from[i] > 0.0f;
        work->width[i] =
            from[i] > 0.0f && isfinite(work->x[i])
                ? (float)((double)from[i] + near * fabs(work->x[i]))
                : from[i];
    }
    return doubt ? moe_trial_run(&work->trial, work->x, work->width, out)
                 : MOE_OK;
}

/* A row of a place from row `at` of its source. */
static moe_status_t make_row(const moe_judge_t *judge, moe_role_t role,
                             int64_t row, int64_t at, work_t *work)
{
    const moe_role_t source = moe_judge_quantised_from(judge, role);
    const moe_widths_t *from = &judge->widths[source];
    const moe_widths_t *to = &judge->widths[role];
    const double near = carried_budget(judge, role)->near;
    const int64_t n = work->trial.in.cols;
    moe_status_t status = MOE_OK;

    moe_judge_source_values(judge, source, at, 0, n, work->x);
    for (int w = 0; status == MOE_OK && w < MOE_WIDTHS && to->at[w] != NULL;
         w++) {
        status =
            carry_row(work, near, from->at[w] + at * n, to->at[w] + row * n);
    }
    if (status == MOE_OK && to->flips != NULL && near > 0.0) {
        status = flip_row(work, near, &to->flips[row]);
    }
    if (status == MOE_OK && to->flips != NULL && from->flips != NULL) {
        moe_norms_add(&to->flips[row], &from->flips[at]);
    }
    return status;
}

/* A row of a token whose first one is made. */
static void copy_row(const moe_widths_t *to, int64_t n, int64_t row,
                     int64_t first)
{
    for (int w = 0; w < MOE_WIDTHS && to->at[w] != NULL; w++) {
        memcpy(to->at[w] + row * n, to->at[w] + first * n,
               (size_t)n * sizeof(float));
    }
    if (to->flips != NULL) {
        to->flips[row] = to->flips[first];
    }
}

static moe_status_t make_rows(const moe_judge_t *judge, moe_role_t role)
{
    const moe_rows_t *dst = &judge->layer.at[role];
    work_t work;
    moe_status_t status = work_init(judge, role, &work);

    for (int64_t i = 0; status == MOE_OK && i < dst->rows; i++) {
        const int64_t at = moe_judge_source_row(judge, role, i);
        const int64_t first = moe_judge_first_row(judge, role, i);

        if (first != i) {
            copy_row(&judge->widths[role], dst->cols, i, first);
        } else if (at >= 0) {
            status = make_row(judge, role, i, at, &work);
        }
    }
    work_fini(&work);
    return status;
}

/* True of a dispatch that is expert_in but for the order of its rows: that one
 * is made of hidden as well. */
static bool is_copied(const moe_judge_t *judge, moe_role_t role)
{
    const moe_storage_t *at = judge->layer.about.chain.at;

    return role == MOE_ROLE_dispatch &&
           moe_storage_equal(&at[role], &at[MOE_ROLE_expert_in]);
}

moe_status_t moe_judge_carry_codes(moe_judge_t *judge, moe_role_t role)
{
    const moe_role_t source = moe_judge_quantised_from(judge, role);
    const moe_widths_t *from = &judge->widths[source];
    const moe_rows_t *dst = &judge->layer.at[role];
    moe_widths_t *to = &judge->widths[role];
    const bool flips =
        from->flips != NULL || carried_budget(judge, role)->near > 0.0;
    moe_status_t status = MOE_OK;

    moe_widths_free(to);
    if (source == MOE_ROLE_none || is_copied(judge, role) ||
        (from->at[0] == NULL && !flips)) {
        return MOE_OK;
    }
    if (from->at[0] != NULL) {
        status = moe_widths_alloc(to, dst->rows, dst->cols);
    }
    if (status == MOE_OK && flips) {
        to->flips = calloc((size_t)dst->rows + 1, sizeof(*to->flips));
        status = to->flips != NULL
                     ? MOE_OK
                     : moe_fail(MOE_ERR_NOMEM, "no memory for rows of codes");
    }
    return status == MOE_OK ? make_rows(judge, role) : status;
}
