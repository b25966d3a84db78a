/* SPDX-License-Identifier: Apache-2.0 */
/* Which row of somebody's tensor is which pair of a token and an expert. */
#include "sim/check/check.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Who GOT's rows are, as far as it says. */
typedef struct {
    int64_t *rank, *token, *slot, *expert, *physical, *valid;
    int64_t n_rank, n_token, n_slot, n_expert, n_physical, n_valid;
} names_t;

static void names_free(names_t *names)
{
    free(names->rank);
    free(names->token);
    free(names->slot);
    free(names->expert);
    free(names->physical);
    free(names->valid);
}

static moe_status_t names_read(const moe_safetensors_t *file, const char *path,
                               names_t *n)
{
    const struct {
        const char *name;
        int64_t **list;
        int64_t *count;
    } lists[] = {{"src_rank", &n->rank, &n->n_rank},
                 {"src_token", &n->token, &n->n_token},
                 {"slot", &n->slot, &n->n_slot},
                 {"expert", &n->expert, &n->n_expert},
                 {"physical_expert", &n->physical, &n->n_physical},
                 {"valid_rows", &n->valid, &n->n_valid}};
    moe_status_t status = MOE_OK;

    for (size_t i = 0; status == MOE_OK && i < sizeof(lists) / sizeof(*lists);
         i++) {
        status = moe_check_integers(file, path, lists[i].name, lists[i].list,
                                    lists[i].count);
    }
    return status;
}

moe_status_t moe_check_fault(moe_check_t *check, const moe_golden_rank_t *rank,
                             moe_role_t role, const char *kind,
                             const char *format, ...)
{
    const char *name = role == MOE_ROLE_none ? "rows" : moe_role_name(role);
    json_t *finding = moe_check_finding(name, rank->rank, false, kind);
    char text[256];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (finding != NULL) {
        (void)json_object_set_new(finding, "what", json_string(text));
    }
    return moe_check_add(check, finding);
}

/* Rows that hold data lie in so many pieces: one, or one an expert. */
static int64_t pieces(const names_t *names, int64_t rows, int64_t per_expert)
{
    const int64_t experts = per_expert > 0 ? rows / per_expert : 1;

    return names->valid == NULL || per_expert == 0 ? 1
           : names->n_valid < experts              ? names->n_valid
                                                   : experts;
}

static moe_range_t piece(const names_t *names, int64_t rows, int64_t per_expert,
                         int64_t i)
{
    const int64_t most =
        per_expert > 0 && names->valid != NULL ? per_expert : rows;
    int64_t n = names->valid == NULL  ? rows
                : names->n_valid == 0 ? 0
                                      : names->valid[i];

    n = n < 0 ? 0 : n > most ? most : n;
    return (moe_range_t){i * most, i * most + n};
}

moe_layer_t moe_check_layer(const moe_check_t *check)
{
    const moe_scenario_t *s = check->scenario;

    return check->golden.executed && s->n_methods > 0
               ? moe_method_layer(&s->layer, &s->method[0])
               : s->layer;
}

static bool is_in(const moe_ref_layer_t *layer, int64_t pair, int64_t physical)
{
    return pair >= 0 && layer->pairs.physical[pair] == physical;
}

/* Pair of a row that says who it is; -1 if it is none of this rank. */
static int64_t pair_of(const moe_check_t *check, const moe_ref_layer_t *layer,
                       const names_t *names, int64_t row)
{
    const moe_layer_t of_ranks = moe_check_layer(check);
    const moe_layout_t *layout = &of_ranks.layout;
    const int64_t world = moe_layout_world(layout);
    const int k = check->scenario->model.topk;
    const int32_t *ids = layer->at[MOE_ROLE_topk_ids].codes;
    int64_t rank = names->rank != NULL ? names->rank[row] : 0;
    int64_t local;
    moe_range_t own;

    if (rank < 0 || rank >= world) {
        return -1;
    }
    own = moe_layer_tokens(&of_ranks, moe_layout_dp_rank(layout, (int)rank));
    if (names->token[row] < 0 || names->token[row] >= own.end - own.begin) {
        return -1;
    }
    local = own.begin + names->token[row] - layer->about.tokens.begin;
    if (local < 0 || local >= layer->index.source_rows) {
        return -1;
    }
    for (int s = 0; s < k; s++) {
        const int64_t pair = layer->index.place[local * k + s];
        const bool here = names->slot != NULL ? names->slot[row] == s
                          : names->expert != NULL
                              ? ids[local * k + s] == names->expert[row]
                              : is_in(layer, pair, names->physical[row]);

        if (here) {
            return pair;
        }
    }
    return -1;
}

static bool names_rows(const names_t *names, int64_t rows)
{
    const int64_t choices = names->slot != NULL     ? names->n_slot
                            : names->expert != NULL ? names->n_expert
                                                    : names->n_physical;

    return names->token != NULL && names->n_token == rows && choices == rows &&
           (names->slot != NULL || names->expert != NULL ||
            names->physical != NULL) &&
           (names->rank == NULL || names->n_rank == rows);
}

static moe_status_t match_piece(moe_check_t *check,
                                const moe_golden_rank_t *rank,
                                const moe_ref_layer_t *layer,
                                const names_t *names, moe_range_t range,
                                moe_check_match_t *m, bool *good_p)
{
    for (int64_t i = range.begin; i < range.end; i++) {
        const int64_t pair = pair_of(check, layer, names, i);

        if (pair < 0 || m->from[pair] >= 0) {
            *good_p = false;
            return moe_check_fault(
                check, rank, MOE_ROLE_none,
                pair < 0 ? "unknown row" : "row twice",
                "row %lld: token %lld of rank %lld %s", (long long)i,
                (long long)names->token[i],
                (long long)(names->rank != NULL ? names->rank[i] : 0),
                pair < 0 ? "was not sent to this rank's experts"
                         : "is there twice");
        }
        m->from[pair] = i;
    }
    return MOE_OK;
}

/* Rows that say who they are. *good_p: each pair has one row. */
static moe_status_t
match_names(moe_check_t *check, const moe_golden_rank_t *rank,
            const moe_ref_layer_t *layer, const names_t *names, int64_t rows,
            int64_t per_expert, moe_check_match_t *m, bool *good_p)
{
    const int64_t n = pieces(names, rows, per_expert);

    for (int64_t i = 0; *good_p && i < n; i++) {
        const moe_range_t range = piece(names, rows, per_expert, i);
        const moe_status_t status =
            match_piece(check, rank, layer, names, range, m, good_p);

        if (status != MOE_OK || !*good_p) {
            return status;
        }
    }
    for (int64_t p = 0; p < m->n; p++) {
        if (m->from[p] < 0) {
            *good_p = false;
            return moe_check_fault(check, rank, MOE_ROLE_none, "row missing",
                                   "no row of token %lld for expert %d",
                                   (long long)layer->pairs.token[p],
                                   (int)layer->pairs.expert[p]);
        }
        m->moved = m->moved || (p > 0 && m->from[p] < m->from[p - 1]);
    }
    return MOE_OK;
}

/* Rows as they lie. */
static moe_status_t
match_places(moe_check_t *check, const moe_golden_rank_t *rank,
             const moe_ref_layer_t *layer, const names_t *names, int64_t rows,
             int64_t per_expert, moe_check_match_t *m, bool *good_p)
{
    const int64_t n = pieces(names, rows, per_expert);
    int64_t found = 0;

    for (int64_t i = 0; i < n; i++) {
        const moe_range_t range = piece(names, rows, per_expert, i);

        for (int64_t row = range.begin;
             row < range.end && found + row - range.begin < m->n; row++) {
            m->from[found + row - range.begin] = row;
        }
        found += range.end - range.begin;
    }
    if (found == m->n) {
        return MOE_OK;
    }
    *good_p = false;
    return moe_check_fault(
        check, rank, MOE_ROLE_none, "number of rows",
        "%lld valid rows, %lld pairs were sent to %sexperts %lld to %lld",
        (long long)found, (long long)m->n,
        layer->about.placed != NULL ? "physical " : "",
        (long long)layer->about.experts.begin,
        (long long)(layer->about.experts.end - 1));
}

/* Rows that moved although they may not. */
static bool moved_too_far(const moe_check_t *check,
                          const moe_ref_layer_t *layer,
                          const moe_check_match_t *m)
{
    int64_t end = -1; /* of the experts before, in GOT's rows */

    if (!m->moved || check->command->order == MOE_CHECK_any) {
        return false;
    }
    if (check->command->order == MOE_CHECK_exact) {
        return true;
    }
    for (int64_t e = 0; e < layer->index.n_experts; e++) {
        int64_t last = end;

        for (int64_t p = layer->index.offset[e]; p < layer->index.offset[e + 1];
             p++) {
            if (m->from[p] < end) {
                return true;
            }
            last = m->from[p] > last ? m->from[p] : last;
        }
        end = last;
    }
    return false;
}

moe_status_t moe_check_match(moe_check_t *check, const moe_golden_rank_t *rank,
                             const moe_ref_layer_t *layer,
                             const moe_safetensors_t *file, const char *path,
                             int64_t rows, int64_t per_expert,
                             moe_check_match_t *match_p)
{
    moe_check_match_t m = {.n = layer->index.n};
    names_t names = {0};
    bool good = true;
    moe_status_t status = names_read(file, path, &names);

    m.from = malloc((size_t)m.n * sizeof(*m.from) + 1);
    if (status == MOE_OK && m.from == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory to match rows");
    }
    for (int64_t p = 0; m.from != NULL && p < m.n; p++) {
        m.from[p] = -1;
    }
    if (status == MOE_OK) {
        status = names_rows(&names, rows)
                     ? match_names(check, rank, layer, &names, rows, per_expert,
                                   &m, &good)
                     : match_places(check, rank, layer, &names, rows,
                                    per_expert, &m, &good);
    }
    if (status == MOE_OK && good && moved_too_far(check, layer, &m)) {
        good = false;
        status =
            moe_check_fault(check, rank, MOE_ROLE_none, "order of rows",
                            "rows lie in another order than --order allows");
    }
    names_free(&names);
    if (status != MOE_OK || !good) {
        free(m.from);
        m.from = NULL;
    }
    *match_p = m;
    return status;
}
