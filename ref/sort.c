/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/sort.h"

#include "base/checked.h"

#include <stdlib.h>
#include <string.h>

/* An index of n grouped rows, none of them taken. */
static moe_status_t make(int64_t rows, int topk, int64_t parts, int64_t n,
                         moe_ref_index_t *index_p)
{
    moe_ref_index_t index = {
        .n = n, .source_rows = rows, .topk = topk, .n_experts = parts};
    int64_t pairs = 0;

    if (rows < 0 || n < 0 || !moe_mul_i64(rows, topk, &pairs)) {
        return moe_fail(MOE_ERR_RANGE, "index of %lld rows, top %d",
                        (long long)rows, topk);
    }
    index.offset = calloc((size_t)parts + 1, sizeof(*index.offset));
    index.row = calloc((size_t)n + 1, sizeof(*index.row));
    index.place = calloc((size_t)pairs + 1, sizeof(*index.place));
    if (index.offset == NULL || index.row == NULL || index.place == NULL) {
        moe_ref_index_fini(&index);
        return moe_fail(MOE_ERR_NOMEM, "no memory for an index of %lld pairs",
                        (long long)pairs);
    }
    memset(index.row, 0xff, (size_t)n * sizeof(*index.row));
    memset(index.place, 0xff, (size_t)pairs * sizeof(*index.place));
    *index_p = index;
    return MOE_OK;
}

moe_status_t moe_ref_sort_slots(const int32_t *ids, int64_t rows, int topk,
                                int64_t n_experts, int64_t capacity,
                                moe_ref_index_t *index_p)
{
    int64_t *used = calloc((size_t)n_experts + 1, sizeof(*used));
    moe_status_t status =
        used == NULL
            ? moe_fail(MOE_ERR_NOMEM, "no memory for slots")
            : make(rows, topk, n_experts, n_experts * capacity, index_p);

    for (int64_t i = 0; status == MOE_OK && i < rows * topk; i++) {
        int64_t e = ids[i];

        if (e >= 0 && e < n_experts && used[e] < capacity) {
            index_p->place[i] = e * capacity + used[e]++;
            index_p->row[index_p->place[i]] = i / topk;
        }
    }
    for (int64_t e = 0; status == MOE_OK && e <= n_experts; e++) {
        index_p->offset[e] = e * capacity;
    }
    free(used);
    return status;
}

/* Member of a (row, slot) pair, or -1. */
static int64_t member_of(const moe_ref_members_t *members, int32_t id)
{
    return id >= 0 && id < members->n_experts ? members->of_expert[id] : -1;
}

/* Counts of each member into offset[m + 1], then where each begins. seen[m]
 * is the last row, from 1, that had the member. */
static int64_t count_members(const int32_t *ids, int64_t rows, int topk,
                             const moe_ref_members_t *members, int64_t *offset,
                             int64_t *seen)
{
    for (int64_t i = 0; i < rows * topk; i++) {
        const int64_t m = member_of(members, ids[i]);

        if (m >= 0 && seen[m] != i / topk + 1) {
            seen[m] = i / topk + 1;
            offset[m + 1]++;
        }
    }
    for (int64_t m = 0; m < members->n; m++) {
        offset[m + 1] += offset[m];
    }
    return offset[members->n];
}

/* The members of a row in order, whatever the slots. */
static void list_members(const int64_t *seen, int64_t row, int64_t *next,
                         moe_ref_index_t *index)
{
    int64_t *place = index->place + row * index->topk;

    for (int64_t m = 0; m < index->n_experts; m++) {
        if (seen[m] == row + 1) {
            index->row[next[m]] = row;
            *place++ = next[m]++;
        }
    }
}

static void place_members(const int32_t *ids, const moe_ref_members_t *members,
                          int64_t *seen, int64_t *next, moe_ref_index_t *index)
{
    const int topk = index->topk;

    memset(seen, 0, (size_t)members->n * sizeof(*seen));
    memcpy(next, index->offset, (size_t)members->n * sizeof(*next));
    for (int64_t i = 0; i < index->source_rows; i++) {
        for (int s = 0; s < topk; s++) {
            const int64_t m = member_of(members, ids[i * topk + s]);

            if (m >= 0 && seen[m] != i + 1) {
                seen[m] = i + 1;
                if (members->in_slots) {
                    index->row[next[m]] = i;
                    index->place[i * topk + s] = next[m]++;
                }
            }
        }
        if (!members->in_slots) {
            list_members(seen, i, next, index);
        }
    }
}

moe_status_t moe_ref_sort_members(const int32_t *ids, int64_t rows, int topk,
                                  const moe_ref_members_t *members,
                                  moe_ref_index_t *index_p)
{
    size_t size = (size_t)members->n + 1;
    int64_t *seen = calloc(3 * size, sizeof(*seen));
    int64_t *offset = seen + size;
    moe_status_t status;
    int64_t n;

    if (seen == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for an index");
    }
    n = count_members(ids, rows, topk, members, offset, seen);
    status = make(rows, topk, members->n, n, index_p);
    if (status == MOE_OK) {
        memcpy(index_p->offset, offset, size * sizeof(*offset));
        place_members(ids, members, seen, offset + size, index_p);
    }
    free(seen);
    return status;
}

/* Rows of an expert in all chunks, at most `most` if that is not 0. */
static int64_t rows_of_expert(const int64_t *chunk, int64_t n_sources,
                              int64_t n_experts, int64_t e, int64_t most)
{
    int64_t rows = 0;

    for (int64_t s = 0; s < n_sources; s++) {
        rows += chunk[s * n_experts + e];
    }
    return most > 0 && rows > most ? most : rows;
}

moe_status_t moe_ref_sort_chunks(const int64_t *chunk, int64_t n_sources,
                                 int64_t n_experts, int64_t stride,
                                 int64_t most, moe_ref_index_t *index_p)
{
    int64_t n_chunks = n_sources * n_experts;
    int64_t *begin = calloc((size_t)n_chunks + 1, sizeof(*begin));
    int64_t n = 0;
    moe_status_t status;

    if (begin == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for chunks");
    }
    for (int64_t i = 0; i < n_chunks; i++) {
        begin[i + 1] = begin[i] + (stride > 0 ? stride : chunk[i]);
    }
    for (int64_t e = 0; e < n_experts; e++) {
        n += rows_of_expert(chunk, n_sources, n_experts, e, most);
    }
    status = make(begin[n_chunks], 1, n_experts, n, index_p);
    for (int64_t e = 0; status == MOE_OK && e < n_experts; e++) {
        n = index_p->offset[e];
        index_p->offset[e + 1] =
            n + rows_of_expert(chunk, n_sources, n_experts, e, most);
        for (int64_t s = 0; s < n_sources; s++) {
            int64_t at = s * n_experts + e;

            for (int64_t i = 0; i < chunk[at] && n < index_p->offset[e + 1];
                 i++) {
                index_p->row[n] = begin[at] + i;
                index_p->place[begin[at] + i] = n++;
            }
        }
    }
    free(begin);
    return status;
}

static void copy_row(const moe_rows_t *src, int64_t from, const moe_rows_t *dst,
                     int64_t to)
{
    size_t codes = (size_t)moe_rows_code_bytes(src);
    size_t scales = src->scales == NULL ? 0 : (size_t)moe_rows_scale_bytes(src);

    if (from < 0) {
        memset(moe_rows_codes(dst, to), 0, codes);
    } else {
        memcpy(moe_rows_codes(dst, to), moe_rows_codes(src, from), codes);
    }
    if (scales > 0 && from < 0) {
        memset((char *)dst->scales + (size_t)to * scales, 0, scales);
    } else if (scales > 0) {
        memcpy((char *)dst->scales + (size_t)to * scales,
               (const char *)src->scales + (size_t)from * scales, scales);
    }
}

void moe_ref_scatter_rows(const moe_rows_t *src, const moe_ref_index_t *index,
                          const moe_rows_t *dst)
{
    for (int64_t i = 0; i < index->source_rows * index->topk; i++) {
        copy_row(src, index->place[i], dst, i);
    }
}
