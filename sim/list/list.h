/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Items of `moesim list`: each a JSON object with texts and numbers, all of
 * a list with the same keys.
 */
#ifndef SIM_LIST_LIST_H
#define SIM_LIST_LIST_H

#include "base/diag.h"
#include "base/status.h"

#include <jansson.h>

/** Append the items of a list. Problems of files go to diag. */
#define MOE_LIST(id, text)                                                     \
    moe_status_t moe_list_##id(json_t *items, moe_diag_t *diag);
#include "sim/list/lists.def"
#undef MOE_LIST

/** Append a new reference; MOE_ERR_NOMEM if it is NULL. */
moe_status_t moe_list_add(json_t *items, json_t *item);

#endif
