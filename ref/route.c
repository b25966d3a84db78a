/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/route.h"

#include "base/hot.h"
#include "ref/route_fast.h"
#include "ref/route_row.h"

#include <math.h>
#include <stddef.h>

enum {
    CHUNK = 256,
    FEW = 4 /* tokens, for which lanes are not worth it */
};

static moe_status_t check_groups(const moe_model_t *m)
{
    const bool each = m->group_limit == MOE_GROUP_LIMIT_each;

    if (m->n_group < 1 || m->experts < m->n_group ||
        m->experts % m->n_group != 0 || m->topk_group < 1 ||
        m->topk_group > m->n_group || m->topk < 1 || m->topk > MOE_TOPK_MAX ||
        m->topk > m->experts / m->n_group * m->topk_group ||
        (each && (m->topk % m->n_group != 0 || m->topk_group < m->n_group))) {
        return moe_fail(MOE_ERR_UNSUPPORTED,
                        "top-%d of %lld experts in %d groups, %d kept, limit "
                        "%s",
                        m->topk, (long long)m->experts, m->n_group,
                        m->topk_group, moe_group_limit_name(m->group_limit));
    }
    return MOE_OK;
}

static moe_status_t check(const moe_model_t *m, const float *bias)
{
    const bool limited = m->topk_group < m->n_group;
    moe_status_t status = check_groups(m);

    if (status != MOE_OK) {
        return status;
    }
    if (limited && (m->score == MOE_SCORE_softmax_chosen ||
                    (m->group_limit == MOE_GROUP_LIMIT_max && bias != NULL))) {
        return moe_fail(MOE_ERR_UNSUPPORTED,
                        "groups limited by %s with score %s%s",
                        moe_group_limit_name(m->group_limit),
                        moe_score_name(m->score), bias ? " and a bias" : "");
    }
    for (int64_t e = 0; bias != NULL && e < m->experts; e++) {
        if (!isfinite(bias[e])) {
            return moe_fail(MOE_ERR_RANGE, "bias of expert %lld is not finite",
                            (long long)e);
        }
    }
    return MOE_OK;
}

/* Place of the first NaN, or n. */
MOE_HOT static int64_t first_nan(const float *x, int64_t n)
{
    int64_t at = 0;

    for (; at < n; at += CHUNK) {
        int64_t m = n - at < CHUNK ? n - at : CHUNK;
        int nans = 0;

        for (int64_t i = at; i < at + m; i++) {
            nans += x[i] != x[i];
        }
        if (nans != 0) {
            break;
        }
    }
    for (; at < n && !isnan(x[at]); at++) {
    }
    return at < n ? at : n;
}

static bool find_nan(const float *logits, int64_t n, int64_t experts,
                     int64_t bad[2])
{
    int64_t at = first_nan(logits, n * experts);

    if (at == n * experts) {
        return false;
    }
    bad[0] = at / experts;
    bad[1] = at % experts;
    return true;
}

/* All that routing a call's tokens needs. */
typedef struct {
    moe_model_t model; /* without its shared experts */
    moe_route_row_t row;
    moe_route_fast_t *fast; /* NULL: no router for it */
} router_t;

static moe_status_t router_init(router_t *r, const float *bias)
{
    moe_status_t status = moe_route_row_init(&r->row, &r->model);

    if (status == MOE_OK && moe_route_fast_suits(&r->model)) {
        r->fast = moe_route_fast_new(&r->model, bias);
        status = r->fast == NULL ? MOE_ERR_NOMEM : MOE_OK;
    }
    return status;
}

/* n tokens, at most MOE_ROUTE_LANES. */
static void route_block(const router_t *r, const moe_model_t *model,
                        const moe_route_block_t *b, moe_ref_stats_t *stats)
{
    uint32_t left = (UINT32_C(1) << b->n) - 1;

    if (r->fast != NULL && b->n >= FEW) {
        left = moe_route_fast(r->fast, b, stats);
    }
    for (int i = 0; i < b->n; i++) {
        int32_t *ids = b->ids + i * b->slots;
        float *weights = b->weights + i * b->slots;

        if ((left >> i & 1) != 0) {
            moe_route_row(&r->model, b->logits + i * b->stride, b->bias,
                          &r->row, ids, weights, stats);
        }
        moe_model_add_shared(model, ids, weights);
    }
}

moe_status_t moe_ref_route(const moe_model_t *model, const float *logits,
                           const float *bias, int64_t n, int32_t *ids,
                           float *weights, moe_ref_stats_t *stats,
                           int64_t bad[2])
{
    router_t router = {.model = moe_model_routed(model)};
    moe_status_t status = check(&router.model, bias);

    bad[0] = -1;
    bad[1] = -1;
    if (status == MOE_OK) {
        status = router_init(&router, bias);
    }
    for (int64_t i = 0; status == MOE_OK && i < n; i += MOE_ROUTE_LANES) {
        const moe_route_block_t block = {
            .logits = logits + i * model->experts,
            .stride = model->experts,
            .bias = bias,
            .n = n - i < MOE_ROUTE_LANES ? (int)(n - i) : MOE_ROUTE_LANES,
            .ids = ids + i * model->topk,
            .weights = weights + i * model->topk,
            .slots = model->topk};

        if (find_nan(block.logits, block.n, model->experts, bad)) {
            bad[0] += i;
            status = MOE_ERR_RANGE;
        } else {
            route_block(&router, model, &block, stats);
        }
    }
    moe_route_row_fini(&router.row);
    moe_route_fast_free(router.fast);
    return status;
}
