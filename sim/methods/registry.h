/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The one list of methods, from methods.def.
 */
#ifndef SIM_METHODS_REGISTRY_H
#define SIM_METHODS_REGISTRY_H

#include "moe/method.h"

/** Bytes of the texts of moe_method_numbers_t. */
#define MOE_METHOD_TEXT 256

/** Number of methods of sim/methods/methods.def, and each of them. */
int moe_method_count(void);
const moe_method_t *moe_method_get(int i);

/** "F0" .. "F4". */
const char *moe_method_family(const moe_method_t *method);

/** What a card says of a method's numbers, of its contract with default
 * options, weights on the experts' output. */
typedef struct {
    char points[MOE_METHOD_TEXT]; /* where it rounds */
    char sum[MOE_METHOD_TEXT];    /* order of a token's terms, first those of
                                   * some k alone: "storage (k 2 to 4),
                                   * storage_terms" */
    const char *reduce;           /* order of the ranks' sums */
    const char *weigh;
} moe_method_numbers_t;

moe_method_numbers_t moe_method_numbers(const moe_method_t *method);

/** True if a method can leave out pairs that the router chose, by its gate or
 * by its experts' bins. */
bool moe_method_can_drop(const moe_method_t *method);

/** Method of a name; NULL if there is none. */
const moe_method_t *moe_method_find(const char *name);

#endif
