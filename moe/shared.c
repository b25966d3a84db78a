/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays that ranks share.
 *
 * How it works: of each kind of group the last one asked for is kept, since
 * neighbours are mostly in the same; of equal rows the first values; of sums
 * those of arrays that were named. Rows that every member has different are
 * made by each rank again, as without this.
 * Test: tests/check_shared.c.
 */
#include "moe/shared.h"

#include <stdlib.h>

enum {
    SAME_MAX = 8,
    SUMS_MAX = 16
};

typedef struct {
    const int64_t *rows; /* [n] */
    int n;
    int64_t sum;
} sum_t;

typedef struct {
    int64_t rows;
    int n;
    int64_t *array; /* [n] rows */
} same_t;

struct moe_shared {
    struct {
        int first;
        int n;
        int *ranks;
    } group[MOE_GROUP_COUNT];
    int n_same;
    same_t same[SAME_MAX];
    int n_sums;
    sum_t sum[SUMS_MAX];
};

moe_shared_t *moe_shared_create(void)
{
    return calloc(1, sizeof(moe_shared_t));
}

void moe_shared_free(moe_shared_t *shared)
{
    if (shared == NULL) {
        return;
    }
    for (int g = 0; g < MOE_GROUP_COUNT; g++) {
        free(shared->group[g].ranks);
    }
    for (int i = 0; i < shared->n_same; i++) {
        free(shared->same[i].array);
    }
    free(shared);
}

const int *moe_shared_members(moe_shared_t *shared, moe_group_t group,
                              int first, int n, moe_members_func_t *fill,
                              void *self)
{
    int *ranks = shared->group[group].ranks;

    if (ranks != NULL && shared->group[group].first == first &&
        shared->group[group].n == n) {
        return ranks;
    }
    free(ranks);
    ranks = calloc((size_t)n + 1, sizeof(*ranks));
    shared->group[group].ranks = ranks;
    shared->group[group].first = first;
    shared->group[group].n = n;
    if (ranks != NULL) {
        fill(self, ranks, n);
    }
    return ranks;
}

const int64_t *moe_shared_same(moe_shared_t *shared, int n, int64_t rows)
{
    int64_t *array;

    for (int i = 0; i < shared->n_same; i++) {
        if (shared->same[i].rows == rows && shared->same[i].n == n) {
            return shared->same[i].array;
        }
    }
    if (shared->n_same == SAME_MAX) {
        return NULL;
    }
    array = calloc((size_t)n + 1, sizeof(*array));
    if (array == NULL) {
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        array[i] = rows;
    }
    shared->same[shared->n_same++] = (same_t){rows, n, array};
    moe_shared_learn(shared, array, n);
    return array;
}

static int64_t add_up(const int64_t *rows, int n)
{
    int64_t sum = 0;

    for (int i = 0; i < n; i++) {
        sum += rows[i];
    }
    return sum;
}

void moe_shared_learn(moe_shared_t *shared, const int64_t *rows, int n)
{
    for (int i = 0; i < shared->n_sums; i++) {
        if (shared->sum[i].rows == rows && shared->sum[i].n == n) {
            return;
        }
    }
    if (shared->n_sums < SUMS_MAX) {
        shared->sum[shared->n_sums++] = (sum_t){rows, n, add_up(rows, n)};
    }
}

int64_t moe_shared_sum(const moe_shared_t *shared, const int64_t *rows, int n)
{
    for (int i = 0; shared != NULL && i < shared->n_sums; i++) {
        if (shared->sum[i].rows == rows && shared->sum[i].n == n) {
            return shared->sum[i].sum;
        }
    }
    return add_up(rows, n);
}
