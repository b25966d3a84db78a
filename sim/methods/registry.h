/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The one list of methods, from methods.def.
 */
#ifndef SIM_METHODS_REGISTRY_H
#define SIM_METHODS_REGISTRY_H

#include "moe/method.h"

/** Number of methods of sim/methods/methods.def, and each of them. */
int moe_method_count(void);
const moe_method_t *moe_method_get(int i);

/** "F0" .. "F4", or "none" of a method that moves nothing. */
const char *moe_method_family(const moe_method_t *method);

/** True if a method can leave out pairs that the router chose, by its gate or
 * by its experts' bins. */
bool moe_method_can_drop(const moe_method_t *method);

/** Method of a name; NULL if there is none. */
const moe_method_t *moe_method_find(const char *name);

#endif
