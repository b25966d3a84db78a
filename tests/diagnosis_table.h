/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * tests/diagnosis_expected.csv: what a diagnosis makes of each mistake.
 */
#ifndef TESTS_DIAGNOSIS_TABLE_H
#define TESTS_DIAGNOSIS_TABLE_H

#include "ref/diagnose.h"

/** What a mistake does to a layer. */
typedef enum {
    DIAGNOSIS_meaningless, /* by its model and formats */
    DIAGNOSIS_no_effect,   /* to the bit */
    DIAGNOSIS_changed
} diagnosis_effect_t;

/** A case of the table. */
typedef struct {
    const char *name;
    void *self;
    bool (*has_place)(const void *self, moe_role_t role);
    /* A part of the mistakes is tried but in make check-full. */
    bool (*is_tried)(const void *self, moe_fault_kind_t kind);
    /* Make the layer with a mistake; until the next one. */
    diagnosis_effect_t (*spoil)(void *self, moe_fault_t fault);
    /* Judge it: all stages, or the final output alone. */
    void (*examine)(const void *self, bool stages, moe_diagnosis_t *d);
} diagnosis_table_t;

/** True if MOESIM_DIAGNOSIS_SHOW asks for a case's lines, or for none. */
bool diagnosis_is_asked(const char *name);

/** Make each mistake in each place and look each line up in the table, which
 * has a reason where a name is missing; or print the lines, where asked. */
void diagnosis_compare(const diagnosis_table_t *table);

/** True if all places hold the same bytes. */
bool diagnosis_same(const moe_ref_layer_t *a, const moe_ref_layer_t *b);

#endif
