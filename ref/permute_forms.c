/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/permute_forms.h"

#include "base/checked.h"

#include <stdlib.h>

void moe_ref_group_list(const moe_ref_index_t *index, moe_group_list_t type,
                        int64_t *out)
{
    for (int64_t e = 0; e < index->n_experts; e++) {
        out[e] = type == MOE_GROUP_LIST_cumsum
                     ? index->offset[e + 1]
                     : index->offset[e + 1] - index->offset[e];
    }
}

moe_status_t moe_ref_group_offsets(const int64_t *list, moe_group_list_t type,
                                   int64_t n_experts, int64_t *offset)
{
    offset[0] = 0;
    for (int64_t e = 0; e < n_experts; e++) {
        int64_t end = list[e];

        if ((type == MOE_GROUP_LIST_count &&
             (end < 0 || !moe_add_i64(offset[e], end, &end))) ||
            end < offset[e]) {
            return moe_fail(MOE_ERR_RANGE,
                            "group list: number %lld of expert %lld",
                            (long long)list[e], (long long)e);
        }
        offset[e + 1] = end;
    }
    return MOE_OK;
}

static int64_t padded(const moe_ref_index_t *index, int64_t e, int64_t block)
{
    int64_t n = index->offset[e + 1] - index->offset[e];

    return (n + block - 1) / block * block;
}

/* Pairs to their places: those of expert e begin at start[e]. */
static void fill_blocks(const moe_ref_index_t *index, int64_t block,
                        moe_ref_blocks_t *b)
{
    const int64_t pairs = index->source_rows * index->topk;
    int64_t start = 0;

    for (int64_t i = 0; i < b->n; i++) {
        b->sorted_ids[i] = pairs;
    }
    for (int64_t e = 0; e < index->n_experts; e++) {
        int64_t n = padded(index, e, block);

        for (int64_t i = start / block; i < (start + n) / block; i++) {
            b->expert_ids[i] = (int32_t)e;
        }
        for (int64_t p = 0; n > 0 && p < pairs; p++) {
            int64_t at = index->place[p] - index->offset[e];

            if (at >= 0 && index->place[p] < index->offset[e + 1]) {
                b->sorted_ids[start + at] = p;
            }
        }
        start += n;
    }
}

moe_status_t moe_ref_blocks_init(const moe_ref_index_t *index, int64_t block,
                                 moe_ref_blocks_t *blocks_p)
{
    moe_ref_blocks_t b = {0};

    if (block < 1 || block > INT32_MAX) {
        return moe_fail(MOE_ERR_RANGE, "blocks of %lld rows", (long long)block);
    }
    for (int64_t e = 0; e < index->n_experts; e++) {
        b.n += padded(index, e, block);
    }
    b.sorted_ids = calloc((size_t)b.n + 1, sizeof(*b.sorted_ids));
    b.expert_ids = calloc((size_t)(b.n / block) + 1, sizeof(*b.expert_ids));
    if (b.sorted_ids == NULL || b.expert_ids == NULL) {
        const int64_t n = b.n;

        moe_ref_blocks_fini(&b);
        return moe_fail(MOE_ERR_NOMEM, "no memory for %lld aligned rows",
                        (long long)n);
    }
    fill_blocks(index, block, &b);
    *blocks_p = b;
    return MOE_OK;
}

void moe_ref_blocks_fini(moe_ref_blocks_t *blocks)
{
    free(blocks->sorted_ids);
    free(blocks->expert_ids);
    *blocks = (moe_ref_blocks_t){0};
}

/* One pair into its row; false if it has none. */
static bool put_pair(moe_ref_index_t *index, int64_t pair, int64_t e,
                     int64_t at, int64_t capacity)
{
    if (e < 0 || at < 0) {
        return true; /* dropped */
    }
    if (e >= index->n_experts || at >= capacity ||
        index->row[e * capacity + at] >= 0) {
        return false;
    }
    index->place[pair] = e * capacity + at;
    index->row[e * capacity + at] = pair / index->topk;
    return true;
}

static bool put_pairs(moe_ref_index_t *index, const int32_t *ids,
                      const int64_t *location, int64_t pairs, int64_t capacity)
{
    bool good = true;

    for (int64_t e = 0; e <= index->n_experts; e++) {
        index->offset[e] = 0; /* rows taken, while there are no locations */
    }
    for (int64_t p = 0; good && p < pairs; p++) {
        int64_t at = location != NULL ? location[p] : -1;

        index->place[p] = -1;
        if (location == NULL && ids[p] >= 0 && ids[p] < index->n_experts) {
            at = index->offset[ids[p]]++;
            at = at < capacity ? at : -1;
        }
        good = put_pair(index, p, ids[p], at, capacity);
    }
    for (int64_t e = 0; e <= index->n_experts; e++) {
        index->offset[e] = e * capacity;
    }
    return good;
}

moe_status_t moe_ref_index_capacity(const int32_t *ids, const int64_t *location,
                                    int64_t rows, int topk, int64_t experts,
                                    int64_t capacity, moe_ref_index_t *index_p)
{
    moe_ref_index_t index = {
        .source_rows = rows, .topk = topk, .n_experts = experts};
    int64_t pairs;
    size_t room;
    bool good;

    if (rows < 0 || topk < 1 || experts < 1 || capacity < 0 ||
        !moe_mul_i64(rows, topk, &pairs) ||
        !moe_mul_i64(experts, capacity, &index.n) ||
        !moe_mul_size(index.n, (int64_t)sizeof(int64_t), &room)) {
        return moe_fail(MOE_ERR_RANGE, "%lld experts with capacity %lld",
                        (long long)experts, (long long)capacity);
    }
    index.offset = calloc((size_t)experts + 1, sizeof(*index.offset));
    index.place = calloc((size_t)pairs + 1, sizeof(*index.place));
    index.row = malloc(room + 1);
    if (index.offset == NULL || index.place == NULL || index.row == NULL) {
        const int64_t n = index.n;

        moe_ref_index_fini(&index);
        return moe_fail(MOE_ERR_NOMEM, "no memory for %lld rows of capacity",
                        (long long)n);
    }
    for (int64_t i = 0; i < index.n; i++) {
        index.row[i] = -1;
    }
    good = put_pairs(&index, ids, location, pairs, capacity);
    if (!good) {
        moe_ref_index_fini(&index);
        return moe_fail(MOE_ERR_RANGE, "capacity form: an id or a row is none, "
                                       "or a row is taken twice");
    }
    *index_p = index;
    return MOE_OK;
}
