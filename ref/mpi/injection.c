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

/* A sentence that grows, up to MOE_INJECTION_TEXT bytes. */
static void add(char *out, const char *text)
{
    size_t used = strlen(out);

    (void)snprintf(out + used, MOE_INJECTION_TEXT - used, "%s", text);
}

/* All forms, as a sentence that says what was expected. */
static void say_forms(char *out)
{
    out[0] = '\0';
    for (int k = 0; k < MOE_INJECTION_COUNT; k++) {
        add(out, k == 0 ? "one of: " : ", ");
        add(out, injections[k].name);
        add(out, injections[k].where);
    }
    add(out, ", or NAME[@RANK] of 'moesim list diagnoses'");
}

/* What may follow the rank of an injection of this kind. */
static void say_rest(moe_injection_kind_t kind, char *out)
{
    out[0] = '\0';
    add(out, injections[kind].name);
    add(out, injections[kind].where);
    if (strstr(injections[kind].where, "STAGE") == NULL) {
        return;
    }
    add(out, ", STAGE one of: ");
    for (int s = 0; s < MOE_STAGE_COUNT; s++) {
        add(out, moe_stage_name((moe_stage_t)s));
        add(out, ", ");
    }
    add(out, "dispatch, combine, comm, all");
}

static void say_ranks(int ranks, char *out)
{
    if (ranks == 0) {
        (void)snprintf(out, MOE_INJECTION_TEXT, "a rank, from 0, after @");
    } else if (ranks == 1) {
        (void)snprintf(out, MOE_INJECTION_TEXT,
                       "rank 0 after @: there is one rank");
    } else {
        (void)snprintf(out, MOE_INJECTION_TEXT,
                       "a rank from 0 to %d after @: there are %d", ranks - 1,
                       ranks);
    }
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

/* A kernel's mistake. */
static bool find_fault(const char *given, size_t n, moe_injection_t *injection)
{
    for (int k = MOE_FAULT_none + 1; k < MOE_FAULT_COUNT; k++) {
        const char *name = moe_fault_name((moe_fault_kind_t)k);

        if (strlen(name) == n && strncmp(name, given, n) == 0) {
            injection->fault = (moe_fault_kind_t)k;
            injection->kind = MOE_INJECTION_COUNT;
            injection->rank = -1;
            return true;
        }
    }
    return false;
}

static bool parse_fault(const char *given, size_t n, int ranks,
                        moe_injection_t *injection, char *expected)
{
    const char *rest = "";

    if (given[n] == '@' &&
        !find_rank(given + n + 1, ranks, &injection->rank, &rest)) {
        say_ranks(ranks, expected);
        return false;
    }
    if (*rest != '\0') {
        (void)snprintf(expected, MOE_INJECTION_TEXT, "%s[@RANK]",
                       moe_fault_name(injection->fault));
        return false;
    }
    return true;
}

bool moe_injection_parse(const char *given, int ranks,
                         moe_injection_t *injection_p,
                         char expected[MOE_INJECTION_TEXT])
{
    char unasked[MOE_INJECTION_TEXT];
    moe_injection_t injection = {.given = given};
    size_t n = strcspn(given, "@");
    const char *rest;

    if (expected == NULL) {
        expected = unasked;
    }
    if (find_fault(given, n, &injection)) {
        if (!parse_fault(given, n, ranks, &injection, expected)) {
            return false;
        }
        *injection_p = injection;
        return true;
    }
    if (given[n] != '@' || !find_kind(given, n, &injection.kind)) {
        say_forms(expected);
        return false;
    }
    if (!find_rank(given + n + 1, ranks, &injection.rank, &rest)) {
        say_ranks(ranks, expected);
        return false;
    }
    if (!find_rest(rest, &injection)) {
        say_rest(injection.kind, expected);
        return false;
    }
    *injection_p = injection;
    return true;
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
