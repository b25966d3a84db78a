/* SPDX-License-Identifier: Apache-2.0 */
/* One mistake at a time: a copy of the judge that borrows all that lies
 * before the mistake, and makes the rest anew. */
#include "ref/diagnose_inside.h"

#include "ref/judge_inside.h"
#include "ref/layer_inside.h"

#include <string.h>

#define FNV_START UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

static bool is_router(moe_role_t role)
{
    return role == MOE_ROLE_topk_ids || role == MOE_ROLE_topk_weights;
}

static bool is_sum(moe_role_t role)
{
    return role == MOE_ROLE_combine || role == MOE_ROLE_output;
}

/* A trusted router's ids and weights may still be what is wrong. */
static bool is_given(const moe_judge_t *judge, moe_role_t role)
{
    return judge->got[role].codes != NULL ||
           (judge->trusted[role] && !is_router(role));
}

static bool any_given(const moe_judge_t *judge, moe_role_t from, moe_role_t to)
{
    for (int r = (int)from; r < (int)to; r++) {
        if (is_given(judge, (moe_role_t)r) && !is_router((moe_role_t)r)) {
            return true;
        }
    }
    return false;
}

bool moe_diagnose_leads(const moe_judge_t *judge, moe_role_t made,
                        moe_role_t seen)
{
    if (is_router(made) && judge->gate_ids.codes != NULL) {
        return false; /* routers without a gate */
    }
    if (made == seen) {
        return true;
    }
    if (made > seen || is_router(seen) || is_sum(made)) {
        return false;
    }
    if (made == MOE_ROLE_topk_weights) {
        return is_sum(seen) && !is_given(judge, made);
    }
    if (made == MOE_ROLE_topk_ids) {
        return is_sum(seen) && !is_given(judge, made) &&
               !is_given(judge, MOE_ROLE_topk_weights) &&
               !any_given(judge, MOE_ROLE_expert_in, seen);
    }
    return !any_given(judge, made, seen);
}

int64_t moe_diagnose_faulty(const moe_verdict_t *v)
{
    if (v->good) {
        return 0;
    }
    return v->codes && v->role != MOE_ROLE_topk_ids
               ? moe_judge_wrong_codes(v) + v->scales_differ -
                     v->scales_near_ties
               : v->beyond[MOE_WIDTH_likely] + v->rows_beyond +
                     v->experts_beyond;
}

int64_t moe_diagnose_faulty_sums(const moe_verdict_t *v)
{
    const bool codes = v->codes && v->role != MOE_ROLE_topk_ids;

    return v->good || codes ? 0 : v->rows_beyond + v->experts_beyond;
}

/* A place is made anew; what it held stays with the other judge. */
static void forget(moe_judge_t *judge, moe_role_t role)
{
    judge->layer.at[role] = (moe_rows_t){0};
    judge->layer.held[role] = false;
    judge->widths[role] = (moe_widths_t){0};
}

static void borrow(const moe_judge_t *from, moe_fault_t fault, moe_role_t seen,
                   moe_judge_t *judge)
{
    *judge = *from;
    judge->fine = (moe_rows_t){0};
    judge->known_ids = (moe_rows_t){0};
    judge->layer.fault = fault;
    memset(judge->layer.owned, 0, sizeof(judge->layer.owned));
    memset(judge->verdict, 0, sizeof(judge->verdict));
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        if (r != (int)seen && r != MOE_ROLE_topk_ids) {
            judge->got[r] = (moe_rows_t){0};
        }
    }
    judge->widths[seen] = (moe_widths_t){0}; /* made anew; the owner's stay */
    if (is_router(seen)) {
        return;
    }
    judge->got[MOE_ROLE_topk_ids] = (moe_rows_t){0};
    if (fault.role == MOE_ROLE_topk_ids) {
        forget(judge, MOE_ROLE_topk_ids);
        judge->layer.index = (moe_ref_index_t){0};
        judge->layer.pairs = (moe_ref_pairs_t){0};
    }
    if (is_router(fault.role)) {
        forget(judge, MOE_ROLE_topk_weights);
    }
    for (int r = MOE_ROLE_dispatch; r <= MOE_ROLE_output; r++) {
        if (is_sum((moe_role_t)r) ||
            (r >= (int)fault.role && fault.role >= MOE_ROLE_dispatch) ||
            (r >= MOE_ROLE_expert_in && fault.role == MOE_ROLE_topk_ids)) {
            forget(judge, (moe_role_t)r);
        }
    }
}

static void give_back(moe_judge_t *from, moe_judge_t *judge)
{
    /* made once, used by all */
    from->layer.router = judge->layer.router;
    from->layer.bias = judge->layer.bias;
    from->layer.before = judge->layer.before;
    judge->layer.before = NULL;
    memcpy(from->layer.norms, judge->layer.norms, sizeof(from->layer.norms));
    judge->layer.router = NULL;
    judge->layer.bias = NULL;
    memset(judge->layer.norms, 0, sizeof(judge->layer.norms));
    if (judge->layer.index.offset == from->layer.index.offset) {
        judge->layer.index = (moe_ref_index_t){0};
        judge->layer.pairs = (moe_ref_pairs_t){0};
    }
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        if (judge->widths[r].at[0] == from->widths[r].at[0]) {
            judge->widths[r] = (moe_widths_t){0};
        }
    }
    moe_judge_fini(judge);
}

static moe_status_t run(moe_judge_t *judge, moe_role_t made, moe_role_t seen)
{
    moe_status_t status = MOE_OK;

    if (is_router(seen)) {
        judge->verdict[seen].role = seen;
        return moe_judge_route(judge);
    }
    for (int r = (int)made; status == MOE_OK && r <= (int)seen; r++) {
        const moe_role_t role = (moe_role_t)r;

        if (is_router(role)) {
            status = moe_ref_layer_make(&judge->layer, role);
        } else if (!is_sum(role) || role == seen) {
            status = moe_judge_role(judge, role);
        }
    }
    return status;
}

static uint64_t add_bytes(uint64_t digest, const void *bytes, int64_t n)
{
    const uint8_t *p = bytes;

    for (int64_t i = 0; i < n; i++) {
        digest = (digest ^ p[i]) * FNV_PRIME;
    }
    return digest;
}

static moe_status_t digest_of(moe_judge_t *judge, moe_role_t seen,
                              uint64_t *digest_p)
{
    const moe_storage_t storage = moe_ref_layer_storage(&judge->layer, seen);
    int64_t rows;
    int64_t cols;
    moe_rows_t out;
    moe_status_t status;

    (void)moe_ref_layer_shape(&judge->layer, seen, &rows, &cols);
    status = moe_ref_rows_alloc(&storage, rows, cols, &out);
    if (status == MOE_OK) {
        status = moe_ref_layer_compute(&judge->layer, seen, &out);
    }
    if (status == MOE_OK) {
        *digest_p =
            add_bytes(FNV_START, out.codes, rows * moe_rows_code_bytes(&out));
    }
    if (status == MOE_OK && out.scales != NULL) {
        *digest_p =
            add_bytes(*digest_p, out.scales, rows * moe_rows_scale_bytes(&out));
    }
    moe_ref_rows_free(&out);
    return status;
}

moe_status_t moe_diagnose_try(moe_judge_t *judge, moe_fault_t fault,
                              moe_role_t seen, moe_judge_sites_t *sites,
                              int64_t most, int64_t *faulty_p,
                              uint64_t *digest_p)
{
    moe_judge_t other;
    moe_status_t status;

    borrow(judge, fault, seen, &other);
    other.sites = sites;
    other.only_zeros = fault.kind == MOE_FAULT_not_run ||
                       fault.kind == MOE_FAULT_tail_tile ||
                       fault.kind == MOE_FAULT_stale_padding;
    status = run(&other, fault.role, seen);
    if (status == MOE_OK) {
        *faulty_p = moe_diagnose_faulty(&other.verdict[seen]);
    }
    if (status == MOE_OK && digest_p != NULL && *faulty_p <= most) {
        other.sites = NULL;
        status = digest_of(&other, seen, digest_p);
    }
    give_back(judge, &other);
    return status;
}

moe_status_t moe_diagnose_fits(moe_judge_t *judge, int64_t most,
                               moe_diagnosis_t *d)
{
    const moe_fault_t none = {.role = MOE_ROLE_expert_in};
    const double work = moe_diagnose_work(judge, none, d->role);
    int64_t faulty = 0;
    moe_status_t status;

    if (d->role != MOE_ROLE_output || !judge->trusted[MOE_ROLE_gemm2_out] ||
        work > d->most) {
        return MOE_OK;
    }
    d->work += work;
    d->wanted += work;
    status = moe_diagnose_try(judge, none, d->role, NULL, most, &faulty, NULL);
    d->fits = status == MOE_OK && faulty <= most;
    return status;
}
