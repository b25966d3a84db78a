/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The two parts of check_reductions: rows that lie in memory, and unrounded
 * sums.
 */
#ifndef TESTS_REDUCTIONS_H
#define TESTS_REDUCTIONS_H

#include "tests/mpi_support.h"

#define COLS 8

/** Nearest even; finite and normal values, whose sums float64 holds. */
uint16_t round_bf16(double value);

/** Of reductions_unrounded.c. */
TCase *unrounded_sums(void);

#endif
