/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The last step of the oracle: from what a token's experts return to its
 * output.
 */
#ifndef REF_ORACLE_COMBINE_H
#define REF_ORACLE_COMBINE_H

#include "ref/oracle.h"

#include <mpfr.h>

typedef struct {
    const moe_oracle_t *oracle;
    const moe_oracle_token_t *token;
    int parts;    /* of I that round by themselves; 1: whole experts */
    double *term; /* [parts][k][H] what the experts return, and */
    double *rest; /* what is to be added to that; 0 if rounded */
    mpfr_ptr sum; /* ORACLE_BITS wide */
} oracle_terms_t;

/** token->output by weighted sums, in the chain's numerics and orders. */
moe_status_t oracle_combine(const oracle_terms_t *terms);

#endif
