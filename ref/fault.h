/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Mistakes of kernels, made on purpose in one place of a layer: the inputs
 * are right, the place is wrong, all that is made later follows.
 *
 * A layer whose `fault` is set computes that place so. A mistake that means
 * nothing for a format, model or place is MOE_ERR_UNSUPPORTED.
 */
#ifndef REF_FAULT_H
#define REF_FAULT_H

#include "moe/mapping.h"
#include "moe/vocabulary.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum {
    MOE_FAULT_none,
#define MOE_FAULT(id, name, places, text) MOE_FAULT_##id,
#include "ref/fault.def"
#undef MOE_FAULT
    MOE_FAULT_COUNT
} moe_fault_kind_t;

/** A mistake at a place. */
typedef struct {
    moe_fault_kind_t kind;
    moe_role_t role;
    int variant;          /* 0 to moe_fault_variants() - 1 */
    const int64_t *order; /* rows_permuted: row i is row order[i]; NULL:
                           * neighbours are exchanged */
} moe_fault_t;

/** Name and one line; "?" if out of range. */
const char *moe_fault_name(moe_fault_kind_t kind);
const char *moe_fault_text(moe_fault_kind_t kind);
bool moe_fault_find(const char *name, moe_fault_kind_t *kind_p);

/** True if the mistake can be made at a place. */
bool moe_fault_is_at(moe_fault_kind_t kind, moe_role_t role);

/** True for mistakes of a router that choose other experts. */
bool moe_fault_chooses(moe_fault_kind_t kind);

/** True for mistakes that a run makes in its inputs: choices, and hidden states
 * of the call before. */
bool moe_fault_is_of_inputs(moe_fault_kind_t kind);

/** Experts that numbers mean under a mistake; the right ones under most. A run
 * makes it where it plans rows (moe_layer_t.mapping). */
moe_mapping_t moe_fault_mapping(moe_fault_kind_t kind);

/** Forms of the same mistake: tiles of several sizes, other profiles. */
int moe_fault_variants(moe_fault_kind_t kind);

/** Words for a form, "by fast-rcp-sm90"; "" where the mistake's say it all. */
const char *moe_fault_variant_text(moe_fault_kind_t kind, int variant);

#endif
