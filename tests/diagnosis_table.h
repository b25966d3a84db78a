/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * tests/diagnosis_expected.csv: what a diagnosis makes of each mistake.
 */
#ifndef TESTS_DIAGNOSIS_TABLE_H
#define TESTS_DIAGNOSIS_TABLE_H

#include "ref/diagnose.h"

enum {
    DIAGNOSIS_LINE = 1024
};

/** True if all places hold the same bytes. */
bool diagnosis_same(const moe_ref_layer_t *a, const moe_ref_layer_t *b);

/** The word of the table for what was found of a mistake; text is room for
 * DIAGNOSIS_LINE characters. WRONG and a name where that is not the mistake's.
 */
const char *diagnosis_outcome(const moe_diagnosis_t *d, moe_fault_kind_t kind,
                              char *text);

/** True if the table has this line, and a reason where a name is missing. */
bool diagnosis_is_expected(const char *line);

#endif
