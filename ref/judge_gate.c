/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Experts and weights that a gate with capacity leaves. One token's near tie
 * may change which pairs of other tokens are dropped, so the gate is asked as a
 * whole: once more, by logits that lie at those ends of their widths that speak
 * for somebody's ids.
 */
#include "ref/judge_route.h"

#include <math.h>
#include <string.h>

/* How somebody's ids of a token are not the gate's; in any order, each one
 * once. */
typedef struct {
    int64_t n;
    int col;      /* of somebody's */
    int32_t want; /* -1: none */
} differ_t;

static differ_t compare(const int32_t *got, const int32_t *want, int k)
{
    bool used[MOE_TOPK_MAX] = {false};
    int64_t missing = 0;
    int none = 0; /* a slot of got without an expert */
    differ_t d = {0, -1, -1};

    for (int i = 0; i < k; i++) {
        bool found = got[i] == -1;

        none = found ? i : none;
        for (int j = 0; !found && j < k; j++) {
            found = !used[j] && want[j] == got[i];
            used[j] = used[j] || found;
        }
        d.col = !found && d.n++ == 0 ? i : d.col;
    }
    for (int j = 0; j < k; j++) {
        if (want[j] >= 0 && !used[j] && missing++ == 0) {
            d.want = want[j];
        }
    }
    d.n = missing > d.n ? missing : d.n;
    d.col = d.col < 0 ? none : d.col;
    return d;
}

static void take(const moe_rows_t *ids, const moe_rows_t *weights, int64_t row,
                 moe_route_token_t *token)
{
    const size_t bytes = (size_t)ids->cols * 4;
    const int64_t at = row * ids->cols;

    memcpy(token->ids, (const int32_t *)ids->codes + at, bytes);
    memcpy(token->weights, (const float *)weights->codes + at, bytes);
}

/* True if the ids are right, or a near tie: then the token has those. */
static bool judge_ids(moe_judge_t *judge, int64_t row, const int32_t *got,
                      moe_route_token_t *token)
{
    const int k = judge->layer.about.model->topk;
    moe_verdict_t *v = &judge->verdict[MOE_ROLE_topk_ids];
    const differ_t d = compare(got, token->ids, k);

    v->differ += d.n;
    if (d.n > 0 && judge->near_ids.codes != NULL) {
        take(&judge->near_ids, &judge->near_weights, row, token);
        if (compare(got, token->ids, k).n == 0) {
            v->near_ties += d.n;
            return true;
        }
    }
    if (d.n > 0) {
        v->beyond[MOE_WIDTH_likely] += d.n;
        v->beyond[MOE_WIDTH_hard] += d.n;
        moe_judge_site(judge, row, -1);
        moe_route_note(judge, MOE_ROLE_topk_ids, row, d.col, got[d.col], d.want,
                       HUGE_VAL);
    }
    return d.n == 0;
}

static const float *logits_of(const moe_judge_t *judge, int64_t row)
{
    return (const float *)judge->layer.at[MOE_ROLE_logits].codes +
           row * judge->layer.about.model->experts;
}

void moe_judge_gated(moe_judge_t *judge, int64_t row, const int32_t *ids,
                     moe_route_token_t *token)
{
    const int64_t experts = judge->layer.about.model->experts;
    const float *x = logits_of(judge, row);
    bool right;

    token->moved = MOE_ROUTE_SCORE_ERROR;
    for (int64_t e = 0; e < experts; e++) {
        token->moved =
            fmax(token->moved, moe_route_width(judge, x[e], row * experts + e));
    }
    take(&judge->gate_ids, &judge->gate_weights, row, token);
    right = judge->got[MOE_ROLE_topk_ids].codes == NULL ||
            judge_ids(judge, row, ids, token);
    if (right && judge->got[MOE_ROLE_topk_weights].codes != NULL) {
        moe_route_weights(judge, row, ids, token);
    }
}

static bool is_among(const int32_t *ids, int k, int64_t id)
{
    bool among = false;

    for (int i = 0; i < k; i++) {
        among = among || ids[i] == id;
    }
    return among;
}

void moe_judge_gate_moved(const moe_judge_t *judge, float *out)
{
    const moe_model_t *m = judge->layer.about.model;
    const int k = m->topk;

    for (int64_t row = 0; row < judge->layer.at[MOE_ROLE_logits].rows; row++) {
        const float *x = logits_of(judge, row);
        const int32_t *got =
            (const int32_t *)judge->got[MOE_ROLE_topk_ids].codes + row * k;
        const int32_t *want = (const int32_t *)judge->gate_ids.codes + row * k;
        const bool differs = compare(got, want, k).n > 0;
        const bool fewer = is_among(got, k, -1);

        for (int64_t e = 0; e < m->experts; e++) {
            const int64_t at = row * m->experts + e;
            const double sign = is_among(got, k, e)    ? 1.0
                                : is_among(want, k, e) ? -1.0
                                : fewer                ? 1.0
                                                       : 0.0;

            out[at] = differs ? (float)((double)x[e] +
                                        sign * moe_route_width(judge, x[e], at))
                              : x[e];
        }
    }
}

/* Other experts whose logits are above an expert's: surely, or at most. */
static int above(const moe_judge_t *judge, int64_t row, int64_t e, bool surely)
{
    const int64_t experts = judge->layer.about.model->experts;
    const double sign = surely ? 1.0 : -1.0;
    const float *x = logits_of(judge, row);
    const int64_t at = row * experts;
    const double limit =
        (double)x[e] + sign * moe_route_width(judge, x[e], at + e);
    int n = 0;

    for (int64_t i = 0; i < experts; i++) {
        const double y =
            (double)x[i] - sign * moe_route_width(judge, x[i], at + i);

        n += i != e && (surely ? y > limit : y >= limit);
    }
    return n;
}

/* Dropped choices of a token that may be of other experts: all but those that
 * are surely among the k largest. */
static int64_t doubtful(const moe_judge_t *judge, int64_t row, int64_t *room)
{
    const moe_model_t *m = judge->layer.about.model;
    const int32_t *left =
        (const int32_t *)judge->gate_ids.codes + row * m->topk;
    const bool known =
        !m->bias && m->n_group <= 1 && judge->layer.held[MOE_ROLE_logits];
    int64_t n = 0;

    for (int i = 0; i < m->topk; i++) {
        n += left[i] == -1;
    }
    for (int64_t e = 0; n > 0 && e < m->experts; e++) {
        const bool kept = is_among(left, m->topk, e);

        if (known && !kept && above(judge, row, e, false) < m->topk) {
            n--; /* surely chosen, and dropped */
        } else if (!kept && (!known || above(judge, row, e, true) < m->topk)) {
            room[e]++;
        }
    }
    return n;
}

int64_t moe_judge_gate_doubt(const moe_judge_t *judge, int64_t *room)
{
    int64_t n = 0;

    memset(room, 0, (size_t)judge->layer.about.model->experts * sizeof(*room));
    for (int64_t row = 0; row < judge->gate_ids.rows; row++) {
        n += doubtful(judge, row, room);
    }
    return n;
}

moe_status_t moe_judge_gate_again(moe_judge_t *judge)
{
    for (int r = MOE_ROLE_topk_ids; r <= MOE_ROLE_topk_weights; r++) {
        moe_verdict_t *v = &judge->verdict[r];

        *v = (moe_verdict_t){.role = v->role, .from_given = v->from_given};
    }
    return moe_judge_route(judge);
}
