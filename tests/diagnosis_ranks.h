/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A layer that ranks share: each has a part of the tokens and of the experts.
 */
#ifndef TESTS_DIAGNOSIS_RANKS_H
#define TESTS_DIAGNOSIS_RANKS_H

#include "tests/diagnosis_cases.h"

enum {
    DIAGNOSIS_MOST_RANKS = 4
};

/* What the second rank has: what belongs to its tokens, hidden to dispatch and
 * output, with the experts' rows of these wherever they were made; and what its
 * experts made of all tokens. */
typedef struct {
    moe_ref_layer_t own;
    moe_ref_layer_t experts;
} diagnosis_rank_t;

/** The second rank of so many, which divide tokens and experts, each of which
 * makes the mistake. False if it means nothing. Ended with
 * diagnosis_rank_fini() either way. */
bool diagnosis_rank_make(const case_t *c, int ranks, moe_fault_t fault,
                         diagnosis_rank_t *rank_p);
void diagnosis_rank_fini(diagnosis_rank_t *rank);

/** Judge and diagnose it as `moesim check` does: all that it has, of which the
 * first place of the chain that failed is told; or its output alone. */
void diagnosis_rank_examine(const diagnosis_rank_t *rank, bool stages,
                            moe_diagnosis_t *d);

#endif
