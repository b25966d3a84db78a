/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/permute.h"

#include "base/checked.h"
#include "ref/swizzle.h"

#include <stdlib.h>
#include <string.h>

int64_t moe_ref_index_bytes(int64_t rows, int topk, int64_t n_experts,
                            int64_t n)
{
    return (n_experts + 1 + n + rows * topk) * (int64_t)sizeof(int64_t);
}

/* Local number of an expert, or -1. */
static int64_t local_expert(int32_t id, int64_t first, int64_t n_experts)
{
    return id >= first && id < first + n_experts ? id - first : -1;
}

/* offset[e + 1] = pairs of expert e; returns their sum. */
static int64_t count_pairs(const int32_t *ids, int64_t pairs, int64_t first,
                           moe_ref_index_t *index)
{
    int64_t n = 0;

    for (int64_t i = 0; i < pairs; i++) {
        int64_t e = local_expert(ids[i], first, index->n_experts);

        if (e >= 0) {
            index->offset[e + 1]++;
            n++;
        }
    }
    return n;
}

/* Counting sort: offset[e] runs from the first to the last row of e, then is
 * set back. */
static void place_pairs(const int32_t *ids, int64_t pairs, int64_t first,
                        moe_ref_index_t *index)
{
    int64_t *offset = index->offset;

    for (int64_t e = 0; e < index->n_experts; e++) {
        offset[e + 1] += offset[e];
    }
    for (int64_t i = 0; i < pairs; i++) {
        int64_t e = local_expert(ids[i], first, index->n_experts);

        index->place[i] = e < 0 ? -1 : offset[e]++;
        if (e >= 0) {
            index->row[index->place[i]] = i / index->topk;
        }
    }
    for (int64_t e = index->n_experts; e > 0; e--) {
        offset[e] = offset[e - 1];
    }
    offset[0] = 0;
}

moe_status_t moe_ref_index_init(const int32_t *ids, int64_t rows, int topk,
                                int64_t first, int64_t n_experts,
                                moe_ref_index_t *index_p)
{
    moe_ref_index_t index = {
        .source_rows = rows, .topk = topk, .n_experts = n_experts};
    int64_t pairs = 0;
    size_t bytes;

    if (rows < 0 || n_experts < 0 || n_experts == INT64_MAX ||
        !moe_mul_i64(rows, topk, &pairs) ||
        !moe_mul_size(pairs, (int64_t)sizeof(int64_t), &bytes)) {
        return moe_fail(MOE_ERR_RANGE, "index of %lld rows, top %d",
                        (long long)rows, topk);
    }
    index.offset = calloc((size_t)n_experts + 1, sizeof(*index.offset));
    index.place = malloc(bytes > 0 ? bytes : 1);
    if (index.offset == NULL || index.place == NULL) {
        goto err_free_index;
    }
    index.n = count_pairs(ids, pairs, first, &index);
    index.row = calloc((size_t)(index.n > 0 ? index.n : 1), sizeof(*index.row));
    if (index.row == NULL) {
        goto err_free_index;
    }
    place_pairs(ids, pairs, first, &index);
    *index_p = index;
    return MOE_OK;

err_free_index:
    moe_ref_index_fini(&index);
    return moe_fail(MOE_ERR_NOMEM, "no memory for an index of %lld pairs",
                    (long long)pairs);
}

void moe_ref_index_fini(moe_ref_index_t *index)
{
    if (index == NULL) {
        return;
    }
    free(index->offset);
    free(index->row);
    free(index->place);
    *index = (moe_ref_index_t){0};
}

static void copy_scales(const moe_rows_t *src, int64_t from,
                        const moe_rows_t *dst, int64_t to)
{
    const moe_format_info_t *info = moe_format_info(src->storage.format);
    int64_t blocks = moe_format_scale_cols(src->storage.format, src->cols);
    int64_t bytes = moe_dtype_bits(info->scale) / 8;
    const uint8_t *in = src->scales;
    uint8_t *out = (uint8_t *)dst->scales + to * blocks * bytes;

    for (int64_t b = 0; b < blocks; b++) {
        int64_t at = moe_scales_offset(src->layout, blocks, from, b);

        memcpy(out + b * bytes, in + at * bytes, (size_t)bytes);
    }
}

/* A row that no pair has: codes and scales 0. */
static void zero_row(const moe_rows_t *dst, int64_t row)
{
    const int64_t bytes = moe_rows_scale_bytes(dst);

    memset(moe_rows_codes(dst, row), 0, (size_t)moe_rows_code_bytes(dst));
    if (dst->scales != NULL) {
        memset((uint8_t *)dst->scales + row * bytes, 0, (size_t)bytes);
    }
}

void moe_ref_gather_some(const moe_rows_t *src, int64_t first,
                         const moe_ref_index_t *index, const moe_rows_t *dst)
{
    const size_t bytes = (size_t)moe_rows_code_bytes(src);

    for (int64_t i = 0; i < index->n; i++) {
        const int64_t from = index->row[i] - first;

        if (index->row[i] < 0) {
            zero_row(dst, i);
        } else if (from >= 0 && from < src->rows) {
            memcpy(moe_rows_codes(dst, i), moe_rows_codes(src, from), bytes);
            if (src->scales != NULL) {
                copy_scales(src, from, dst, i);
            }
        }
    }
}

void moe_ref_gather_rows(const moe_rows_t *src, const moe_ref_index_t *index,
                         const moe_rows_t *dst)
{
    moe_ref_gather_some(src, 0, index, dst);
}
