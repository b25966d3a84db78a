/* SPDX-License-Identifier: Apache-2.0 */
/* Where experts lie, if they are placed: as the manifest has it, and what GOT
 * says of it. */
#include "sim/check/placed.h"

#include "moe/placed.h"

#include <stdlib.h>
#include <string.h>

/* What the scenario says by itself: eplb without loads is of the routing of all
 * tokens, of which the manifest has the outcome. */
static bool is_told_by_scenario(const moe_layer_t *layer)
{
    return layer->place.kind != MOE_PLACING_eplb || layer->place.load != NULL;
}

static moe_status_t refuse(const moe_check_t *check, const char *why)
{
    return moe_fail(MOE_ERR_INPUT, "%s: physical_to_logical: %s",
                    check->golden.path, why);
}

/* What was said of the list, with where it is. */
static moe_status_t refuse_range(const moe_check_t *check)
{
    char why[128];

    (void)snprintf(why, sizeof(why), "%s", moe_error_text());
    moe_error_clear();
    return refuse(check, why);
}

/* The list against the scenario's rule. */
static moe_status_t compare_rule(const moe_check_t *check,
                                 const moe_layer_t *layer)
{
    const size_t bytes = check->golden.n_holds * sizeof(*check->golden.holds);
    moe_placed_t rule;
    moe_status_t status = moe_layer_place(layer, NULL, &rule);
    bool same;

    if (status != MOE_OK) {
        return status;
    }
    same = memcmp(rule.map.logical_of, check->golden.holds, bytes) == 0;
    moe_placed_fini(&rule);
    return same ? MOE_OK : refuse(check, "is not the scenario's placement");
}

moe_status_t moe_check_place_experts(moe_check_t *check)
{
    moe_layer_t *layer = &check->scenario->layer;
    const moe_golden_t *g = &check->golden;
    moe_status_t status = MOE_OK;

    if (!moe_layer_is_placed(layer)) {
        return g->n_holds == 0
                   ? MOE_OK
                   : refuse(check, "the scenario has experts in order");
    }
    if ((int64_t)g->n_holds != layer->model->experts) {
        return refuse(check, "expected the expert of each slot that the "
                             "scenario has");
    }
    if (is_told_by_scenario(layer)) {
        status = compare_rule(check, layer);
    }
    if (status == MOE_OK) {
        status = moe_layer_place_as(layer, g->holds, &check->golden.placed);
        if (status == MOE_ERR_RANGE) {
            return refuse_range(check);
        }
    }
    if (status == MOE_OK) {
        layer->placed = &check->golden.placed;
    }
    return status;
}

/* The first of n that differs; n: none does. */
static int64_t first_of(const int64_t *got, const int32_t *want, int64_t n,
                        int64_t *differ_p)
{
    int64_t first = n;

    *differ_p = 0;
    for (int64_t i = 0; i < n; i++) {
        if (want[i] >= 0 && got[i] != want[i]) { /* else ids are at fault */
            first = first < i ? first : i;
            ++*differ_p;
        }
    }
    return first;
}

static moe_status_t add(moe_check_t *check, int rank, bool good,
                        const char *what, int64_t elements)
{
    json_t *finding = moe_check_finding("physical_ids", rank, good,
                                        good ? "as placed" : "not as placed");

    if (finding != NULL && what != NULL) {
        (void)json_object_set_new(finding, "what", json_string(what));
    }
    if (finding != NULL) {
        (void)json_object_set_new(finding, "elements",
                                  json_integer((json_int_t)elements));
    }
    return moe_check_add(check, finding);
}

static moe_status_t judge_ids(moe_check_t *check, const moe_golden_rank_t *rank,
                              const moe_ref_layer_t *layer, const int64_t *got,
                              int64_t n_got)
{
    const moe_rows_t *ids = &layer->at[MOE_ROLE_topk_ids];
    const int64_t n = ids->rows * ids->cols;
    int32_t *want = malloc((size_t)n * sizeof(*want) + 1);
    char what[160];
    int64_t differ = 0;
    int64_t i;

    if (want == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for %lld ids", (long long)n);
    }
    moe_ref_case_route(&layer->about, ids->codes, want);
    i = n_got == n ? first_of(got, want, n, &differ) : n;
    if (n_got != n) {
        (void)snprintf(what, sizeof(what), "%lld ids, expected %lld",
                       (long long)n_got, (long long)n);
    } else if (i < n) {
        (void)snprintf(what, sizeof(what),
                       "%lld of %lld; token %lld, slot %lld, expert %d: got "
                       "%lld, want %d",
                       (long long)differ, (long long)n,
                       (long long)(rank->tokens.begin + i / ids->cols),
                       (long long)(i % ids->cols),
                       ((const int32_t *)ids->codes)[i], (long long)got[i],
                       want[i]);
    }
    free(want);
    return n_got == n && i == n ? add(check, rank->rank, true, NULL, n)
                                : add(check, rank->rank, false, what, n);
}

moe_status_t moe_check_physical_ids(moe_check_t *check,
                                    const moe_golden_rank_t *rank,
                                    const moe_ref_layer_t *layer,
                                    const moe_safetensors_t *got,
                                    const char *path)
{
    int64_t *list = NULL;
    int64_t n = 0;
    moe_status_t status;

    if (layer->about.placed == NULL || !layer->held[MOE_ROLE_topk_ids] ||
        moe_safetensors_find(got, "physical_ids") == NULL) {
        return MOE_OK;
    }
    status = moe_check_integers(got, path, "physical_ids", &list, &n);
    if (status == MOE_OK) {
        status = judge_ids(check, rank, layer, list, n);
    }
    free(list);
    return status;
}
