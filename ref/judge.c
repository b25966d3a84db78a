/* SPDX-License-Identifier: Apache-2.0 */
/* The walk along the chain: compute, widen, then judge what is given or round
 * and hand on. */
#include "ref/judge.h"

#include "ref/formats.h"
#include "ref/judge_inside.h"
#include "ref/layer_inside.h"

#include <math.h>

#define FALSE_ALARMS 1e-6 /* of a whole check */
#define SHARES       4.0  /* elements, rows, experts, and room */

moe_status_t moe_judge_init(const moe_ref_case_t *about,
                            moe_accumulator_t accumulator, int64_t elements,
                            moe_judge_t *judge_p)
{
    *judge_p = (moe_judge_t){.accumulator = accumulator, .partials = 1};
    judge_p->log_tail =
        log(2.0 * SHARES * ((double)elements + 1.0) / FALSE_ALARMS);
    return moe_ref_layer_init(about, &judge_p->layer);
}

void moe_judge_fini(moe_judge_t *judge)
{
    moe_ref_layer_fini(&judge->layer);
    moe_ref_rows_free(&judge->fine);
    moe_ref_rows_free(&judge->known_ids);
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        moe_widths_free(&judge->widths[r]);
    }
}

static bool is_known(const moe_judge_t *judge, int32_t id)
{
    return id >= -1 && id < judge->layer.about.model->experts;
}

static int64_t count_unknown(const moe_judge_t *judge, const moe_rows_t *ids)
{
    int64_t n = 0;

    for (int64_t i = 0; i < ids->rows * ids->cols; i++) {
        n += !is_known(judge, ((const int32_t *)ids->codes)[i]);
    }
    return n;
}

/* Let the layer have somebody's ids, as far as experts have them. */
static moe_status_t give_ids(moe_judge_t *judge, const moe_rows_t *rows)
{
    moe_rows_t *known = &judge->known_ids;
    moe_rows_t copy = {0};
    moe_status_t status = MOE_OK;

    if (count_unknown(judge, rows) > 0) {
        status =
            moe_ref_rows_alloc(&rows->storage, rows->rows, rows->cols, &copy);
        for (int64_t i = 0; status == MOE_OK && i < rows->rows * rows->cols;
             i++) {
            const int32_t id = ((const int32_t *)rows->codes)[i];

            ((int32_t *)copy.codes)[i] = is_known(judge, id) ? id : -1;
        }
    }
    if (status == MOE_OK) {
        status = moe_ref_layer_give(&judge->layer, MOE_ROLE_topk_ids,
                                    copy.codes != NULL ? &copy : rows);
    }
    moe_ref_rows_free(status == MOE_OK ? known : &copy);
    *known = status == MOE_OK ? copy : *known;
    return status;
}

moe_status_t moe_judge_trust(moe_judge_t *judge, moe_role_t role,
                             const moe_rows_t *rows)
{
    judge->trusted[role] = true;
    return role == MOE_ROLE_topk_ids
               ? give_ids(judge, rows)
               : moe_ref_layer_give(&judge->layer, role, rows);
}

moe_status_t moe_judge_give(moe_judge_t *judge, moe_role_t role,
                            const moe_rows_t *rows)
{
    /* ids say what the pairs are; the layer checks the others' shapes when
     * it takes them over */
    const moe_status_t status =
        role == MOE_ROLE_topk_ids ? give_ids(judge, rows) : MOE_OK;

    if (status != MOE_OK) {
        return status;
    }
    judge->got[role] = *rows;
    judge->verdict[role] = (moe_verdict_t){0};
    return MOE_OK;
}

/* The last place that has to be looked at. */
static moe_role_t last_given(const moe_judge_t *judge)
{
    for (int r = MOE_ROLE_output; r >= MOE_ROLE_hidden; r--) {
        if (judge->got[r].codes != NULL) {
            return (moe_role_t)r;
        }
    }
    return MOE_ROLE_none;
}

/* Somebody's own tensor takes the place of ours, without doubt. */
static moe_status_t take_over(moe_judge_t *judge, moe_role_t role)
{
    moe_widths_free(&judge->widths[role]);
    return moe_ref_layer_give(&judge->layer, role, &judge->got[role]);
}

/* Can the next place be made of somebody's tensor? No router chooses by NaN,
 * and the NVFP4 grid has none: then ours stays. */
static bool can_go_on(const moe_judge_t *judge, moe_role_t role)
{
    const moe_verdict_t *v = &judge->verdict[role];
    const bool needs_numbers =
        role == MOE_ROLE_logits ||
        judge->got[role].storage.format == MOE_FORMAT_nvfp4;

    return !needs_numbers || (v->nans == 0 && v->infinities == 0);
}

static moe_status_t check_shape(const moe_judge_t *judge, moe_role_t role)
{
    const moe_rows_t *got = &judge->got[role];
    int64_t rows;
    int64_t cols;

    (void)moe_ref_layer_shape(&judge->layer, role, &rows, &cols);
    if (got->codes != NULL && (got->rows != rows || got->cols != cols)) {
        return moe_fail(MOE_ERR_RANGE,
                        "%lld x %lld given, expected %lld x %lld",
                        (long long)got->rows, (long long)got->cols,
                        (long long)rows, (long long)cols);
    }
    return MOE_OK;
}

/* Numbers: the exact result in fp32, its widths, then the verdict. */
static moe_status_t judge_numbers(moe_judge_t *judge, moe_role_t role)
{
    const moe_storage_t fp32 = {.format = MOE_FORMAT_fp32};
    moe_widths_t *widths = &judge->widths[role];
    int64_t rows;
    int64_t cols;
    moe_status_t status;

    (void)moe_ref_layer_shape(&judge->layer, role, &rows, &cols);
    moe_ref_rows_free(&judge->fine);
    moe_widths_free(widths);
    status = moe_ref_rows_alloc(&fp32, rows, cols, &judge->fine);
    if (status == MOE_OK) {
        status = moe_ref_layer_compute(&judge->layer, role, &judge->fine);
    }
    if (status == MOE_OK) {
        status = moe_widths_alloc(widths, rows, cols);
    }
    if (status == MOE_OK) {
        status = moe_judge_widen(judge, role, widths);
    }
    if (status == MOE_OK && judge->got[role].codes != NULL) {
        status = moe_judge_numbers(judge, role, widths);
        if (status != MOE_OK || can_go_on(judge, role)) {
            return status == MOE_OK ? take_over(judge, role) : status;
        }
    }
    return status == MOE_OK ? moe_judge_round(judge, role, widths) : status;
}

/* Codes, or numbers that come without errors of their own: copied rows. */
static moe_status_t judge_codes(moe_judge_t *judge, moe_role_t role)
{
    moe_status_t status = moe_ref_layer_make(&judge->layer, role);

    if (status == MOE_OK) {
        status = moe_judge_carry_codes(judge, role);
    }
    if (status == MOE_OK && judge->got[role].codes != NULL) {
        status = moe_judge_codes(judge, role, &judge->widths[role]);
        if (status == MOE_OK && can_go_on(judge, role)) {
            status = take_over(judge, role);
        }
    }
    return status;
}

/* Ids and weights; logits are wanted only where these are judged: those that
 * were made for pairs before have no widths. */
static moe_status_t judge_router(moe_judge_t *judge)
{
    moe_ref_layer_t *layer = &judge->layer;
    const bool made = judge->widths[MOE_ROLE_logits].at[0] != NULL ||
                      judge->trusted[MOE_ROLE_logits];
    const bool ids = judge->got[MOE_ROLE_topk_ids].codes != NULL;
    const bool weights = judge->got[MOE_ROLE_topk_weights].codes != NULL;
    moe_status_t status = MOE_OK;

    if (judge->got[MOE_ROLE_logits].codes != NULL ||
        ((ids || weights) && !made)) {
        moe_ref_layer_drop(layer, MOE_ROLE_logits);
        status = judge_numbers(judge, MOE_ROLE_logits);
    }
    if (status == MOE_OK && !ids) {
        status = moe_ref_layer_make(layer, MOE_ROLE_topk_ids);
    }
    if (status == MOE_OK && (ids || weights)) {
        status = moe_judge_route(judge);
    }
    if (status == MOE_OK && weights) {
        status = take_over(judge, MOE_ROLE_topk_weights);
    }
    return status;
}

moe_status_t moe_judge_role(moe_judge_t *judge, moe_role_t role)
{
    moe_verdict_t *v = &judge->verdict[role];
    moe_status_t status;

    if (role != MOE_ROLE_logits && judge->layer.held[role] &&
        judge->got[role].codes == NULL) {
        return MOE_OK; /* an input that is true, or made before */
    }
    status = check_shape(judge, role);
    v->role = role;
    v->from_given =
        role > MOE_ROLE_hidden && judge->got[role - 1].codes != NULL;
    if (status != MOE_OK) {
        return status;
    }
    switch (role) {
    case MOE_ROLE_hidden:
    case MOE_ROLE_dispatch:
    case MOE_ROLE_expert_in:
    case MOE_ROLE_gemm2_in:
        return judge_codes(judge, role);
    case MOE_ROLE_logits:
        return judge_router(judge);
    case MOE_ROLE_topk_ids:
    case MOE_ROLE_topk_weights:
        return MOE_OK; /* with the logits */
    case MOE_ROLE_combine:
    case MOE_ROLE_output:
        if (judge->got[role].codes == NULL) {
            return MOE_OK; /* nothing comes after it */
        }
        return judge_numbers(judge, role);
    default:
        return judge_numbers(judge, role);
    }
}

static moe_role_t first_given(const moe_judge_t *judge)
{
    int r = MOE_ROLE_hidden;

    while (r < MOE_ROLE_COUNT && judge->got[r].codes == NULL) {
        r++;
    }
    return (moe_role_t)r;
}

/* What an earlier run made of the tensors that it was given is not what these
 * make. Routing stays: pairs lie in its order. */
static void forget_made(moe_judge_t *judge)
{
    moe_role_t from = first_given(judge);

    from = from < MOE_ROLE_topk_weights ? MOE_ROLE_topk_weights : from;
    for (int r = (int)from + 1; r < MOE_ROLE_COUNT; r++) {
        if (judge->layer.owned[r]) {
            moe_widths_free(&judge->widths[r]);
            moe_ref_layer_drop(&judge->layer, (moe_role_t)r);
        }
    }
}

/* A place of pairs that nobody gave, before one that is trusted. */
static bool is_passed(const moe_judge_t *judge, moe_role_t role)
{
    if (!moe_ref_layer_is_paired(role)) {
        return false;
    }
    for (int r = (int)role; r < MOE_ROLE_COUNT; r++) {
        if (judge->got[r].codes != NULL) {
            return false;
        }
        if (judge->trusted[r]) {
            return true;
        }
    }
    return false;
}

static moe_status_t run_from(moe_judge_t *judge, moe_role_t first)
{
    const moe_role_t last = last_given(judge);
    moe_status_t status = MOE_OK;

    for (int r = (int)first; status == MOE_OK && r <= (int)last; r++) {
        if (!is_passed(judge, (moe_role_t)r)) {
            status = moe_judge_role(judge, (moe_role_t)r);
        }
    }
    return status;
}

/* Judge all rows again. */
static moe_status_t run_rows(moe_judge_t *judge)
{
    for (int r = MOE_ROLE_dispatch; r <= MOE_ROLE_output; r++) {
        if (judge->layer.owned[r] || judge->got[r].codes != NULL) {
            moe_widths_free(&judge->widths[r]);
            moe_ref_layer_drop(&judge->layer, (moe_role_t)r);
        }
        judge->verdict[r] = (moe_verdict_t){0};
    }
    return run_from(judge, MOE_ROLE_dispatch);
}

static bool is_good_from(const moe_judge_t *judge, moe_role_t first)
{
    for (int r = (int)first; r < MOE_ROLE_COUNT; r++) {
        if (judge->verdict[r].judged && !judge->verdict[r].good) {
            return false;
        }
    }
    return true;
}

/* What fails may be right for a machine that divides, where nothing says how
 * gemm1's rows were quantised. */
moe_status_t moe_judge_run(moe_judge_t *judge)
{
    const moe_chain_t chain = judge->layer.about.chain;
    moe_status_t status;

    forget_made(judge);
    status = run_from(judge, MOE_ROLE_hidden);
    if (status == MOE_OK && !is_good_from(judge, MOE_ROLE_act_out) &&
        !is_passed(judge, MOE_ROLE_expert_in) && moe_judge_try_exact(judge)) {
        status = run_rows(judge);
        judge->layer.about.chain = chain;
        if (status == MOE_OK && !is_good_from(judge, MOE_ROLE_dispatch)) {
            status = run_rows(judge);
        }
    }
    return status;
}

void moe_judge_site(moe_judge_t *judge, int64_t row, int64_t col)
{
    if (judge->sites != NULL) {
        judge->sites->rows[row]++;
        judge->sites->cols[col & 15] += col >= 0;
    }
}

bool moe_judge_is_good(const moe_judge_t *judge)
{
    return is_good_from(judge, MOE_ROLE_none);
}
