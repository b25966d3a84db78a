/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Which of a rank's experts an expert's global number means to a kernel that
 * sees all tokens: the right one, or as two mistakes have it (ref/fault.def).
 */
#ifndef MOE_MAPPING_H
#define MOE_MAPPING_H

#include "moe/layout.h"

#include <stdint.h>

typedef enum {
    MOE_MAPPING_right,
    MOE_MAPPING_global, /* the number is taken for a local one */
    MOE_MAPPING_last    /* experts of other ranks mean the last local one */
} moe_mapping_t;

/** Number among the local experts, from 0; -1: none of them. An id below 0 is
 * no expert. */
int64_t moe_mapping_local(moe_mapping_t mapping, moe_range_t local, int64_t id);

/**
 * Rows of local experts.
 *
 * @param[in]  counts  [experts] of all.
 * @param[out] rows    [local.end - local.begin].
 */
void moe_mapping_rows(moe_mapping_t mapping, moe_range_t local, int64_t experts,
                      const int64_t *counts, int64_t *rows);

#endif
