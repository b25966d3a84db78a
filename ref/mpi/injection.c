/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/mpi/injection.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *where;
    const char *text;
} injections[MOE_INJECTION_COUNT] = {
#define MOE_INJECTION(id, name, where, text)                                   \
    [MOE_INJECTION_##id] = {name, where, text},
#include "ref/mpi/injection.def"
#undef MOE_INJECTION
};

static bool in_range(moe_injection_kind_t kind)
{
    return kind >= 0 && kind < MOE_INJECTION_COUNT;
}

const char *moe_injection_name(moe_injection_kind_t kind)
{
    return in_range(kind) ? injections[kind].name : "?";
}

const char *moe_injection_where(moe_injection_kind_t kind)
{
    return in_range(kind) ? injections[kind].where : "?";
}

const char *moe_injection_text(moe_injection_kind_t kind)
{
    return in_range(kind) ? injections[kind].text : "?";
}

/* All forms, as a sentence that says what was expected. */
static const char *forms(void)
{
    static char text[512];
    size_t used = 0;

    for (int k = 0; k < MOE_INJECTION_COUNT; k++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s%s",
                                 k == 0 ? "one of: " : ", ", injections[k].name,
                                 injections[k].where);
        if (used >= sizeof(text)) {
            break;
        }
    }
    return text;
}

static bool find_kind(const char *given, size_t n, moe_injection_kind_t *kind_p)
{
    for (int k = 0; k < MOE_INJECTION_COUNT; k++) {
        if (strlen(injections[k].name) == n &&
            strncmp(injections[k].name, given, n) == 0) {
            *kind_p = (moe_injection_kind_t)k;
            return true;
        }
    }
    return false;
}

static bool find_rank(const char *text, int ranks, int *rank_p,
                      const char **rest_p)
{
    char *end;
    long rank;

    errno = 0;
    rank = strtol(text, &end, 10);
    if (end == text || errno != 0 || rank < 0 || rank > INT_MAX ||
        *text == '+' || *text == ' ') {
        return false;
    }
    *rank_p = (int)rank;
    *rest_p = end;
    return ranks == 0 || rank < ranks;
}

/* What follows the rank: a stage, "last", or nothing. */
static bool find_rest(const char *rest, moe_injection_t *injection)
{
    if (injection->kind == MOE_INJECTION_kill ||
        injection->kind == MOE_INJECTION_oom) {
        return *rest == ':' && moe_stage_set_find(rest + 1, &injection->stages);
    }
    if (injection->kind == MOE_INJECTION_skip_collective &&
        strcmp(rest, ":last") == 0) {
        injection->last = true;
        return true;
    }
    return *rest == '\0';
}

const char *moe_injection_parse(const char *given, int ranks,
                                moe_injection_t *injection_p)
{
    static char text[64];
    moe_injection_t injection = {.given = given};
    size_t n = strcspn(given, "@");
    const char *rest;

    if (given[n] != '@' || !find_kind(given, n, &injection.kind)) {
        return forms();
    }
    if (!find_rank(given + n + 1, ranks, &injection.rank, &rest)) {
        if (ranks == 0) {
            return "a rank, from 0, after @";
        }
        (void)snprintf(text, sizeof(text), "a rank from 0 to %d after @",
                       ranks - 1);
        return text;
    }
    if (!find_rest(rest, &injection)) {
        return forms();
    }
    *injection_p = injection;
    return NULL;
}

moe_injection_t *moe_injection_due(moe_injection_t *list, size_t n,
                                   moe_injection_kind_t kind, int rank)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].kind == kind && list[i].rank == rank && !list[i].fired) {
            return &list[i];
        }
    }
    return NULL;
}
