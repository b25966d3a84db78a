/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel's gate gives beside ids and weights: rows, counts, loss. */
#include "sim/check/gate_inside.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A rank's tensors. */
typedef struct {
    moe_check_t *check;
    const moe_golden_rank_t *rank;
    const moe_safetensors_t *file; /* GOT's */
    const char *path;
    int64_t tokens;
    int64_t k;
    int64_t *ids;        /* [tokens][k] GOT's; NULL: the gate's */
    const int32_t *left; /* [tokens][k] the gate's */
} given_t;

static moe_status_t say_good(const given_t *g, moe_role_t role, int64_t n)
{
    json_t *finding = moe_check_finding(moe_role_name(role), g->rank->rank,
                                        true, "the gate's");

    if (finding != NULL) {
        (void)json_object_set_new(finding, "elements",
                                  json_integer((json_int_t)n));
    }
    return moe_check_add(g->check, finding);
}

/* Slot of the gate that GOT's slot is; -1: it has no expert, -2: the gate
 * gives the token no such expert. */
static int64_t slot_of(const given_t *g, int64_t token, int64_t slot)
{
    const int32_t *left = g->left + token * g->k;
    const int64_t id =
        g->ids != NULL ? g->ids[token * g->k + slot] : left[slot];

    for (int64_t j = 0; id >= 0 && j < g->k; j++) {
        if (left[j] == id) {
            return j;
        }
    }
    return id == -1 ? -1 : -2;
}

/* True if every token has the experts that the gate leaves it. */
static bool same_ids(const given_t *g)
{
    for (int64_t t = 0; t < g->tokens; t++) {
        uint64_t used = 0;

        for (int64_t i = 0; i < g->k; i++) {
            const int64_t slot = slot_of(g, t, i);

            if (slot == -2 || (slot >= 0 && (used >> slot & 1) != 0)) {
                return false;
            }
            used |= slot >= 0 ? UINT64_C(1) << slot : 0;
        }
        for (int64_t j = 0; j < g->k; j++) {
            if (g->left[t * g->k + j] >= 0 && (used >> j & 1) == 0) {
                return false;
            }
        }
    }
    return true;
}

/* GOT's list of a role, of n numbers; *list_p NULL: it has none, or another
 * number of them, which is a fault. The caller frees it. */
static moe_status_t read_list(const given_t *g, moe_role_t role, int64_t n,
                              int64_t **list_p)
{
    int64_t has = 0;
    moe_status_t status =
        moe_check_integers(g->file, g->path, moe_role_name(role), list_p, &has);

    if (status != MOE_OK || *list_p == NULL || has == n) {
        return status;
    }
    free(*list_p);
    *list_p = NULL;
    return moe_check_fault(g->check, g->rank, role, "shape",
                           "%lld elements, expected %lld", (long long)has,
                           (long long)n);
}

static moe_status_t judge_location(const given_t *g)
{
    const struct moe_check_gate *gate = g->check->gate;
    const int32_t *want = gate->gate.location + g->rank->tokens.begin * g->k;
    const int64_t n = g->tokens * g->k;
    int64_t wrong = 0;
    int64_t first = 0;
    int64_t expected = -1;
    int64_t *list;
    moe_status_t status = read_list(g, MOE_ROLE_location, n, &list);

    for (int64_t i = 0; list != NULL && i < n; i++) {
        const int64_t slot = slot_of(g, i / g->k, i % g->k);
        const int64_t row = slot < 0 ? -1 : want[i / g->k * g->k + slot];

        if (list[i] != row && wrong++ == 0) {
            first = i;
            expected = row;
        }
    }
    if (list != NULL && wrong == 0) {
        status = say_good(g, MOE_ROLE_location, n);
    } else if (list != NULL) {
        status = moe_check_fault(
            g->check, g->rank, MOE_ROLE_location, "not the gate's",
            "%lld of %lld rows are not the gate's; token %lld, slot %lld: got "
            "%lld, want %lld",
            (long long)wrong, (long long)n,
            (long long)(g->rank->tokens.begin + first / g->k),
            (long long)(first % g->k), (long long)list[first],
            (long long)expected);
    }
    free(list);
    return status;
}

/* Choices of an expert that near ties may have made others', or others' its. */
static int64_t room_of(const given_t *g, int64_t expert)
{
    const struct moe_check_gate *gate = g->check->gate;
    int64_t dropped = 0;

    if (g->check->scenario->router != MOE_ROUTER_data) {
        return 0;
    }
    if (gate->doubt >= 0) {
        return gate->room[expert];
    }
    for (int64_t i = 0; i < g->tokens * g->k; i++) {
        dropped += g->left[i] == -1;
    }
    return dropped;
}

/* Choices by which counts are apart, if near ties explain that: of experts that
 * are full by both, for a token that lost its choices of those has -1 either
 * way. -1: they do not. */
static int64_t apart(const given_t *g, const int64_t *got, const int32_t *want,
                     int64_t n)
{
    const int64_t capacity = g->check->gate->gate.capacity;
    int64_t sum = 0;
    int64_t more = 0;

    for (int64_t e = 0; e < n; e++) {
        const int64_t d = got[e] - want[e];

        if (d != 0 && (got[e] < capacity || want[e] < capacity ||
                       (d < 0 ? -d : d) > room_of(g, e))) {
            return -1;
        }
        sum += d;
        more += d > 0 ? d : 0;
    }
    return sum == 0 ? more : -1;
}

/* *moved_p: choices that near ties explain, and a warning tells; 0 where the
 * counts are the gate's; untouched without counts. */
static moe_status_t judge_counts(const given_t *g, int dp, int64_t *moved_p)
{
    const int64_t n = g->check->scenario->model.experts;
    const int32_t *want = g->check->gate->gate.counts + dp * n;
    int64_t wrong = 0;
    int64_t first = 0;
    int64_t moved = 0;
    int64_t *list;
    moe_status_t status = read_list(g, MOE_ROLE_expert_counts, n, &list);

    for (int64_t e = 0; list != NULL && e < n; e++) {
        if (list[e] != want[e] && wrong++ == 0) {
            first = e;
        }
    }
    if (list != NULL) {
        moved = apart(g, list, want, n);
        *moved_p = moved;
    }
    if (list != NULL && wrong == 0) {
        status = say_good(g, MOE_ROLE_expert_counts, n);
    } else if (moved > 0) {
        status = moe_check_warn(
            g->check,
            "rank %d: expert_counts of %lld full experts are not the gate's: "
            "near ties of choices that were dropped, or an error of %lld of "
            "them; they are not judged",
            g->rank->rank, (long long)wrong, (long long)moved);
    } else if (list != NULL) {
        status = moe_check_fault(
            g->check, g->rank, MOE_ROLE_expert_counts, "not the gate's",
            "%lld of %lld counts, before dropping, are not the gate's; expert "
            "%lld: got %lld, want %lld",
            (long long)wrong, (long long)n, (long long)first,
            (long long)list[first], (long long)want[first]);
    }
    free(list);
    return status;
}

static bool has(const given_t *g, moe_role_t role)
{
    return moe_safetensors_find(g->file, moe_role_name(role)) != NULL;
}

/* What a choice of another expert makes of the loss, at most: scores, of which
 * a token's are 1 in all, times counts. */
static double by_choice(const given_t *g)
{
    const double terms = g->check->gate->gate.rule.first_loss
                             ? (double)g->tokens
                             : (double)(g->tokens * g->k);

    return (double)g->check->scenario->model.experts / terms;
}

/* A sum of positive numbers in fp32, in any order, of scores that are off by
 * 2^-18 at most; of so many choices that may be others. */
static moe_status_t judge_loss(const given_t *g, int dp, int64_t moved)
{
    const double want = (double)g->check->gate->gate.loss[dp];
    const double room = moved > 0 ? (double)moved * by_choice(g) : 0.0;
    const double terms =
        (double)(g->tokens + g->check->scenario->model.experts) + 8.0;
    const moe_safetensor_t *t =
        moe_safetensors_find(g->file, moe_role_name(MOE_ROLE_aux_loss));
    float got = 0.0f;
    moe_status_t status;

    if (t == NULL) {
        return MOE_OK;
    }
    if (g->check->accumulator != MOE_ACCUMULATOR_fp32 &&
        !has(g, MOE_ROLE_logits)) {
        return moe_check_warn(g->check,
                              "rank %d: aux_loss is not judged without logits, "
                              "which this accumulator leaves open",
                              g->rank->rank);
    }
    if (t->dtype != MOE_DTYPE_fp32 || t->size_bytes != 4) {
        return moe_check_fault(g->check, g->rank, MOE_ROLE_aux_loss, "type",
                               "expected one number, F32");
    }
    status = moe_safetensors_read(g->file, t, 0, sizeof(got), &got);
    if (status != MOE_OK) {
        return status;
    }
    return fabs((double)got - want) <=
                       (0x1p-18 + terms * 0x1p-24) * want + room ||
                   (g->tokens == 0 && isnan(got)) /* a mean over nothing */
               ? say_good(g, MOE_ROLE_aux_loss, 1)
               : moe_check_fault(g->check, g->rank, MOE_ROLE_aux_loss,
                                 "not the gate's", "got %.9g, want %.9g",
                                 (double)got, want);
}

static moe_status_t judge(const given_t *g)
{
    const int dp =
        moe_layout_dp_rank(&g->check->gate->gate.layer.layout, g->rank->rank);
    moe_status_t status = judge_location(g);
    int64_t moved = g->check->scenario->router == MOE_ROUTER_data
                        ? g->check->gate->doubt
                        : 0;

    if (status == MOE_OK) {
        status = judge_counts(g, dp, &moved);
    }
    return status == MOE_OK ? judge_loss(g, dp, moved) : status;
}

moe_status_t moe_check_gate_given(moe_check_t *check,
                                  const moe_golden_rank_t *rank,
                                  const moe_safetensors_t *got,
                                  const char *path)
{
    given_t g = {.check = check,
                 .rank = rank,
                 .file = got,
                 .path = path,
                 .tokens = rank->tokens.end - rank->tokens.begin,
                 .k = check->scenario->model.topk};
    moe_rows_t ids;
    moe_rows_t weights;
    moe_status_t status;

    if (check->gate == NULL ||
        (!has(&g, MOE_ROLE_location) && !has(&g, MOE_ROLE_expert_counts) &&
         !has(&g, MOE_ROLE_aux_loss))) {
        return MOE_OK;
    }
    moe_check_gate_rows(check, rank->tokens, &ids, &weights);
    g.left = ids.codes;
    status = read_list(&g, MOE_ROLE_topk_ids, g.tokens * g.k, &g.ids);
    if (status == MOE_OK) {
        status = same_ids(&g)
                     ? judge(&g)
                     : moe_check_warn(check,
                                      "rank %d: ids are not the gate's: its "
                                      "location, expert_counts and aux_loss "
                                      "are not checked",
                                      rank->rank);
    }
    free(g.ids);
    return status;
}
