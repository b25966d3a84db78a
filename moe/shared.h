/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Arrays that ranks share which are played one after the other in one
 * process: what is as long as a group is made once, not once a rank, and
 * summed once.
 */
#ifndef MOE_SHARED_H
#define MOE_SHARED_H

#include "moe/vocabulary.h"

#include <stdint.h>

typedef struct moe_shared moe_shared_t;

/** NULL if out of memory. */
moe_shared_t *moe_shared_create(void);
void moe_shared_free(moe_shared_t *shared);

/** Members of a group of n ranks that begins at first, as fill() writes them;
 * kept until the next group of its kind is asked for. NULL if out of
 * memory. */
typedef void moe_members_func_t(void *self, int *ranks, int n);
const int *moe_shared_members(moe_shared_t *shared, moe_group_t group,
                              int first, int n, moe_members_func_t *fill,
                              void *self);

/** rows[n], all the same; NULL if there is no room for one more value, or no
 * memory. */
const int64_t *moe_shared_same(moe_shared_t *shared, int n, int64_t rows);

/** Learn the sum of an array that lives as long as this object. */
void moe_shared_learn(moe_shared_t *shared, const int64_t *rows, int n);

/** Sum of rows[n]: known, or added up. shared may be NULL. */
int64_t moe_shared_sum(const moe_shared_t *shared, const int64_t *rows, int n);

#endif
