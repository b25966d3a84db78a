/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The formulas of doc/formats.md, stated once more for tests: each step by
 * MPFR.
 */
#ifndef TESTS_QUANTIZE_STATEMENTS_H
#define TESTS_QUANTIZE_STATEMENTS_H

#include "moe/profile.h"

#define STATEMENT_MOST 384 /* columns of a block */

/** What a statement is given, and what it finds. */
typedef struct {
    double x[STATEMENT_MOST];
    int n;
    double v; /* largest magnitude */
    double gs;
    double scale;             /* found: its value, as stored */
    double y[STATEMENT_MOST]; /* found: elements before the conversion */
} statement_block_t;

typedef void statement_t(statement_block_t *b);

/** Statement of a profile; NULL for those that other tests hold. */
statement_t *quantize_statement(moe_profile_t profile);

/** RN32(a / b). */
double quantize_quotient(double a, double b);

#endif
