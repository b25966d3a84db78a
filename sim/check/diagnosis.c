/* SPDX-License-Identifier: Apache-2.0 */
/* What a failed check looks like, in the document. */
#include "sim/check/check.h"

#include "ref/diagnose.h"

#include <string.h>

enum {
    MOST = 2,   /* parts that are diagnosed: each may take a minute or more */
    TEXT = 1024 /* of a line */
};

/* The rank whose own tokens the faults are all of; -1 if there is none, or
 * but one rank. */
static int only_rank(const moe_check_t *check, const moe_diagnosis_t *d)
{
    for (size_t i = 0; check->golden.n_ranks > 1 && i < check->golden.n_ranks;
         i++) {
        const moe_golden_rank_t *rank = &check->golden.rank[i];

        if (d->tokens_from >= rank->tokens.begin &&
            d->tokens_to < rank->tokens.end) {
            return rank->rank;
        }
    }
    return -1;
}

static json_t *names_of(const moe_diagnosis_t *d)
{
    json_t *names = json_array();

    for (int i = 0; i < d->n_suspects; i++) {
        (void)json_array_append_new(
            names, json_string(moe_fault_name(d->suspect[i].kind)));
    }
    return names;
}

static json_t *untried_of(const moe_diagnosis_t *d)
{
    json_t *names = json_array();

    for (int k = 0; k < MOE_FAULT_COUNT; k++) {
        if (d->untried[k]) {
            (void)json_array_append_new(
                names, json_string(moe_fault_name((moe_fault_kind_t)k)));
        }
    }
    return names;
}

static moe_role_t role_of(const json_t *item)
{
    const char *name = json_string_value(json_object_get(item, "tensor"));
    int r = 0;

    while (r < MOE_ROLE_COUNT - 1 && name != NULL &&
           strcmp(moe_role_name((moe_role_t)r), name) != 0) {
        r++;
    }
    return (moe_role_t)r;
}

/* True if a diagnosis is of the rank, and of a place behind this one. */
static bool is_behind(const json_t *item, moe_role_t role, int rank)
{
    return role_of(item) > role &&
           json_integer_value(json_object_get(item, "rank")) == rank;
}

/* A rank's places as they lie in the chain: one may be wrong for what is wrong
 * before it. */
static int insert(json_t *list, json_t *item, moe_role_t role, int rank)
{
    size_t at = json_array_size(list);

    while (at > 0 && is_behind(json_array_get(list, at - 1), role, rank)) {
        at--;
    }
    return json_array_insert_new(list, at, item);
}

static moe_status_t add(moe_check_t *check, const moe_diagnosis_t *d, int rank)
{
    json_t *list = json_object_get(check->document, "diagnosis");
    char text[TEXT];
    json_t *item;
    int only;

    moe_diagnosis_words(d, text, sizeof(text));
    item =
        json_pack("{s:i, s:s, s:b, s:o, s:o, s:s}", "rank", rank, "tensor",
                  moe_role_name(d->role), "named", moe_diagnosis_is_named(d),
                  "names", names_of(d), "untried", untried_of(d), "text", text);
    only = only_rank(check, d);
    if (item != NULL && d->fits) {
        (void)json_object_set_new(item, "fits_right_rows", json_true());
    }
    if (item != NULL && only >= 0) {
        (void)json_object_set_new(item, "only_tokens_of_rank",
                                  json_integer(only));
    }
    return item != NULL && insert(list, item, d->role, rank) == 0
               ? MOE_OK
               : moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
}

static bool fits(const json_t *item)
{
    return json_is_true(json_object_get(item, "fits_right_rows"));
}

/* Sums that are right but for rows of experts give way to what is told of
 * these, and to what else is wrong. */
static void make_room(json_t *list, moe_role_t role)
{
    for (size_t i = json_array_size(list); i > 0; i--) {
        if (fits(json_array_get(list, i - 1)) &&
            (moe_ref_layer_is_paired(role) || json_array_size(list) >= MOST)) {
            (void)json_array_remove(list, i - 1);
        }
    }
}

/* True if such a sum need not be told: what it is made of was, or others. */
static bool is_told(const json_t *list)
{
    bool told = json_array_size(list) >= MOST;

    for (size_t i = 0; i < json_array_size(list); i++) {
        told =
            told || moe_ref_layer_is_paired(role_of(json_array_get(list, i)));
    }
    return told;
}

static bool is_full(const json_t *list)
{
    size_t n = 0;

    for (size_t i = 0; i < json_array_size(list); i++) {
        n += !fits(json_array_get(list, i));
    }
    return n >= MOST;
}

moe_status_t moe_check_diagnose(moe_check_t *check, moe_judge_t *judge,
                                int rank)
{
    json_t *list = json_object_get(check->document, "diagnosis");
    moe_diagnosis_t d;
    moe_status_t status;

    if (moe_judge_is_good(judge) || is_full(list)) {
        return MOE_OK;
    }
    status = moe_diagnosis_make(judge, MOE_DIAGNOSIS_WORK, &d);
    if (status != MOE_OK || (d.fits && is_told(list))) {
        return status;
    }
    if (!d.fits) {
        make_room(list, d.role);
    }
    return add(check, &d, rank);
}
