/* SPDX-License-Identifier: Apache-2.0 */
/* Other forms of permute: group lists, aligned blocks, capacity. */
#include "sim/op/forms.h"

#include "ref/permute_forms.h"

#include <string.h>

static const char *list_name(int i)
{
    return i == 0 ? "cumsum" : "count";
}

moe_tool_forms_t moe_tool_forms(moe_tool_job_t *job)
{
    moe_tool_forms_t forms = {
        .block = moe_tool_number(job, "block", 1, INT32_MAX, 0),
        .capacity = moe_tool_number(job, "capacity", 1, INT32_MAX, 0)};

    if (moe_tool_setting(job, "group_list") != NULL) {
        int type = moe_tool_choice(job, "group_list", 2, list_name, 0);

        forms.list = (moe_group_list_t)((int)MOE_GROUP_LIST_cumsum + type);
    }
    if (forms.capacity > 0 &&
        (forms.block > 0 || forms.list != MOE_GROUP_LIST_none)) {
        moe_tool_wrong(job, "capacity",
                       "is given with block or group_list, expected one form");
    }
    return forms;
}

bool moe_tool_ids_alone(const moe_tool_job_t *job,
                        const moe_tool_forms_t *forms)
{
    return (forms->block > 0 || forms->list != MOE_GROUP_LIST_none) &&
           strcmp(moe_tool_name(job, "x"), "x") == 0;
}

static void put_group_list(moe_tool_job_t *job, const moe_ref_index_t *index,
                           moe_group_list_t type)
{
    int64_t *list = moe_tool_memory(job, index->n_experts, sizeof(*list));

    if (list != NULL) {
        moe_ref_group_list(index, type, list);
        moe_tool_put_list(job, "group_list", MOE_DTYPE_i64, index->n_experts,
                          list);
    }
}

/* As vLLM allocates: room rows whatever the routing, behind those of blocks
 * padding, and expert 0. */
static void put_aligned(moe_tool_job_t *job, const moe_ref_blocks_t *blocks,
                        int64_t pairs, int64_t room, int64_t block)
{
    const int64_t n_blocks = (room + block - 1) / block;
    int32_t *ids = moe_tool_memory(job, room, sizeof(*ids));
    int32_t *experts = moe_tool_memory(job, n_blocks, sizeof(*experts));
    int32_t *n = moe_tool_memory(job, 1, sizeof(*n));

    if (ids == NULL || experts == NULL || n == NULL) {
        return;
    }
    for (int64_t i = 0; i < room; i++) {
        ids[i] = (int32_t)(i < blocks->n ? blocks->sorted_ids[i] : pairs);
    }
    memcpy(experts, blocks->expert_ids,
           (size_t)(blocks->n / block) * sizeof(*experts));
    *n = (int32_t)blocks->n;
    moe_tool_put_list(job, "sorted_token_ids", MOE_DTYPE_i32, room, ids);
    moe_tool_put_list(job, "expert_ids", MOE_DTYPE_i32, n_blocks, experts);
    moe_tool_put_list(job, "num_tokens_post_pad", MOE_DTYPE_i32, 1, n);
}

/* Rows that any routing of so many pairs fills at most, as vLLM counts: each
 * expert pads one block, or, of fewer pairs than experts, each pair one. */
static int64_t room_of(int64_t pairs, int64_t experts, int64_t block)
{
    const int64_t room = pairs + experts * (block - 1);

    return pairs < experts && pairs * block < room ? pairs * block : room;
}

static void put_blocks(moe_tool_job_t *job, const moe_ref_index_t *index,
                       int64_t block)
{
    const int64_t pairs = index->source_rows * index->topk;
    const int64_t padding = index->n_experts * (block - 1);
    moe_ref_blocks_t blocks = {0};

    if (pairs > INT32_MAX || padding > INT32_MAX - pairs) {
        moe_tool_wrong(job, "block",
                       "is %lld, which needs room for %lld rows, expected at "
                       "most %d",
                       (long long)block, (long long)(pairs + padding),
                       INT32_MAX);
        return;
    }
    job->status = moe_ref_blocks_init(index, block, &blocks);
    if (job->status == MOE_OK) {
        put_aligned(job, &blocks, pairs,
                    room_of(pairs, index->n_experts, block), block);
    }
    moe_ref_blocks_fini(&blocks);
}

void moe_tool_put_forms(moe_tool_job_t *job, const moe_tool_forms_t *forms,
                        const moe_ref_index_t *index)
{
    if (forms->list != MOE_GROUP_LIST_none) {
        put_group_list(job, index, forms->list);
    }
    if (forms->block > 0 && moe_tool_good(job)) {
        put_blocks(job, index, forms->block);
    }
}

/* Rows of an index of capacity form, and the pairs that they are of. */
static void put_places(moe_tool_job_t *job, const moe_rows_t *x,
                       const moe_ref_index_t *index, int64_t capacity)
{
    const int64_t dim[2] = {index->source_rows, index->topk};
    const int64_t places[2] = {index->n_experts, capacity};
    const moe_safetensor_t shape = {.ndim = 3, .dim = {places[0], capacity}};
    const int64_t pairs = dim[0] * dim[1];
    int64_t *pair = moe_tool_memory(job, index->n, sizeof(*pair));
    int64_t *place = moe_tool_memory(job, pairs, sizeof(*place));
    moe_rows_t out;

    if (pair == NULL || place == NULL ||
        !moe_tool_rows_new(job, &x->storage, index->n, x->cols, &out)) {
        return;
    }
    moe_ref_gather_rows(x, index, &out);
    memcpy(place, index->place, (size_t)pairs * sizeof(*place));
    for (int64_t i = 0; i < index->n; i++) {
        pair[i] = -1;
    }
    for (int64_t p = 0; p < pairs; p++) {
        if (place[p] >= 0) {
            pair[place[p]] = p;
        }
    }
    moe_tool_put_rows(job, "rows", &out, &shape);
    moe_tool_put(job, "pair", MOE_DTYPE_i64, 2, places, pair);
    moe_tool_put(job, "place", MOE_DTYPE_i64, 2, dim, place);
}

void moe_tool_put_capacity(moe_tool_job_t *job, const moe_rows_t *x,
                           const int32_t *ids, int topk, int64_t first,
                           int64_t experts, int64_t capacity)
{
    const int64_t pairs = x->rows * topk;
    int32_t *local = moe_tool_memory(job, pairs, sizeof(*local));
    moe_ref_index_t index = {0};

    if (local == NULL) {
        return;
    }
    for (int64_t p = 0; p < pairs; p++) {
        const int64_t e = ids[p] - first;

        local[p] = e >= 0 && e < experts ? (int32_t)e : -1;
    }
    job->status = moe_ref_index_capacity(local, NULL, x->rows, topk, experts,
                                         capacity, &index);
    if (job->status == MOE_OK) {
        put_places(job, x, &index, capacity);
    }
    moe_ref_index_fini(&index);
}
