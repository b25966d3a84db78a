/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Which experts a token gets: groups, and the largest choices.
 */
#ifndef REF_ROUTE_CHOOSE_H
#define REF_ROUTE_CHOOSE_H

#include "moe/model.h"

#include <stdbool.h>
#include <stdint.h>

/** What is computed for one token. */
typedef struct {
    float *score;  /* [E] */
    float *choice; /* [E] what the largest are taken of */
    float *group;  /* [n_group] */
    bool *keep;    /* [n_group] */
} moe_route_row_t;

/**
 * The k experts of a token, in slot order: larger choice first, equal ones by
 * the lower id; with group_limit `each` group by group. The limit `max` sets
 * choice and score of the groups that are not kept to 0.
 */
void moe_route_choose(const moe_model_t *model, const moe_route_row_t *row,
                      int32_t *ids);

#endif
