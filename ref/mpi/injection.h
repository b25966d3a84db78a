/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Faults on demand, to show that a run notices them.
 */
#ifndef REF_MPI_INJECTION_H
#define REF_MPI_INJECTION_H

#include "base/status.h"
#include "moe/vocabulary.h"
#include "ref/fault.h"

#include <stdbool.h>
#include <stddef.h>

typedef enum {
#define MOE_INJECTION(id, name, where, text) MOE_INJECTION_##id,
#include "ref/mpi/injection.def"
#undef MOE_INJECTION
    MOE_INJECTION_COUNT
} moe_injection_kind_t;

/** Name, what follows it, and one line about an injection; "?" if out of
 * range. */
const char *moe_injection_name(moe_injection_kind_t kind);
const char *moe_injection_where(moe_injection_kind_t kind);
const char *moe_injection_text(moe_injection_kind_t kind);

typedef struct {
    moe_injection_kind_t kind; /* MOE_INJECTION_COUNT: a mistake */
    moe_fault_kind_t fault;    /* of a kernel, ref/fault.def; or none */
    int rank;                  /* -1: every rank, of a mistake */
    moe_stage_set_t stages;    /* kill, oom: the first of these */
    bool last;                 /* skip_collective: the last one */
    bool fired;                /* it had an effect on this rank */
    const char *given;         /* as the user wrote it; kept */
} moe_injection_t;

/** Bytes of what was expected of an injection. */
#define MOE_INJECTION_TEXT 256

/**
 * Parse NAME@RANK[:STAGE], or NAME[@RANK] of a kernel's mistake.
 * @param[in]  given  Kept.
 * @param[in]  ranks  W; 0 if not yet known.
 * @param[out] expected  What was expected, if it is none; NULL: nobody asks.
 * @return True if it was parsed.
 */
bool moe_injection_parse(const char *given, int ranks,
                         moe_injection_t *injection_p,
                         char expected[MOE_INJECTION_TEXT]);

/** The first of n that is of this kind, meant for this rank and has not
 * fired; NULL if none. */
moe_injection_t *moe_injection_due(moe_injection_t *list, size_t n,
                                   moe_injection_kind_t kind, int rank);

#endif
