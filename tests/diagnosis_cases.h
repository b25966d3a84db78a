/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Layers of several formats and routers for the tests of the diagnosis.
 */
#ifndef TESTS_DIAGNOSIS_CASES_H
#define TESTS_DIAGNOSIS_CASES_H

#include "ref/diagnose.h"

/* A layer. */
typedef struct {
    const char *name;
    const moe_model_t *model;
    moe_format_t sent;   /* of rows as they travel */
    moe_format_t format; /* of rows before both matmuls */
    int64_t tokens;
    moe_range_t experts;
    bool full;            /* of make check-full alone, but for: */
    moe_fault_kind_t own; /* the mistake that means something here alone */
} case_t;

extern const case_t diagnosis_cases[];
extern const int diagnosis_case_count;

/** The last place that the layer has: output, or combine of a rank. */
moe_role_t diagnosis_last_of(const case_t *c);

/** The layer with a mistake, all places made; false if it means nothing.
 * Ended with moe_ref_layer_fini() either way. */
bool diagnosis_make(const case_t *c, moe_fault_t fault, moe_ref_layer_t *layer);

/** What the layer is made of. */
moe_ref_case_t diagnosis_about(const case_t *c);

/** Judge and diagnose those of places [first, last] that a layer holds, but for
 * one that is trusted, or none; with so much work at most. */
void diagnosis_judge(const moe_ref_case_t *about, const moe_ref_layer_t *layer,
                     moe_role_t first, moe_role_t last, moe_role_t trusted,
                     double most, moe_diagnosis_t *d);

/** Judge and diagnose a layer's tensors: all stages, or the last alone. */
void diagnosis_examine(const case_t *c, const moe_ref_layer_t *layer,
                       bool stages, moe_diagnosis_t *d);

/** The same with so much work at most. */
void diagnosis_examine_most(const case_t *c, const moe_ref_layer_t *layer,
                            bool stages, double most, moe_diagnosis_t *d);

#endif
