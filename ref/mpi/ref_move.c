/* SPDX-License-Identifier: Apache-2.0 */
/* Local operations of rows that travel one by one: indices, records. */
#include "config.h"

#include "ref/mpi/experts.h"

#include "base/checked.h"
#include "ref/permute_forms.h"
#include "ref/sort.h"

#include <stdlib.h>
#include <string.h>

/* What an index holds is what the plan counted. */
static moe_status_t check_index(const moe_ref_backend_t *be,
                                const moe_tensor_t *t,
                                const moe_ref_index_t *index)
{
    for (int64_t i = 0; i < t->n_experts && t->capacity == 0; i++) {
        int64_t n = index->offset[i + 1] - index->offset[i];

        if (n != t->rows_per_expert[i]) {
            return moe_fail(MOE_ERR_CHECK,
                            "rank %d: part %lld of an index has %lld rows, "
                            "the plan of %s counted %lld",
                            moe_world_rank(be->in.world), (long long)i,
                            (long long)n, be->use->label,
                            (long long)t->rows_per_expert[i]);
        }
    }
    return MOE_OK;
}

/* Pairs in the rows that a gate gave them. */
static moe_status_t sort_located(const moe_call_t *call)
{
    const moe_tensor_t *ids = call->in[0];
    const moe_tensor_t *out = call->out[0];
    const int64_t pairs = ids->valid_rows * ids->dim[1];
    const int32_t *narrow = call->in[1]->data;
    int64_t *location = calloc((size_t)pairs + 1, sizeof(*location));
    moe_status_t status;

    if (location == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for %lld rows",
                        (long long)pairs);
    }
    for (int64_t i = 0; i < pairs; i++) {
        location[i] = narrow[i];
    }
    status = moe_ref_index_capacity(ids->data, location, ids->valid_rows,
                                    (int)ids->dim[1], out->n_experts,
                                    out->capacity, out->data);
    free(location);
    return status;
}

/* Place in the group of the rank that each row came from, then as ids. */
static moe_status_t sort_sources(const moe_call_t *call)
{
    const moe_tensor_t *origins = call->in[0];
    const int32_t *origin = origins->data;
    int32_t *member = calloc((size_t)origins->valid_rows + 1, sizeof(*member));
    moe_status_t status;

    if (member == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for sources of rows");
    }
    for (int64_t i = 0; i < origins->valid_rows; i++) {
        member[i] = -1;
        for (int m = 0; m < call->n_ranks; m++) {
            member[i] = call->ranks[m] == origin[3 * i] ? m : member[i];
        }
    }
    status = moe_ref_index_init(member, origins->valid_rows, 1, 0,
                                call->n_ranks, call->out[0]->data);
    free(member);
    return status;
}

moe_status_t moe_ref_origins(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_ref_index_t *index = moe_ref_index_of(call->in[0]);
    int32_t *origin = call->out[0]->data;

    for (int64_t i = 0; index != NULL && i < index->source_rows * index->topk;
         i++) {
        if (index->place[i] >= 0) {
            int32_t *to = origin + 3 * index->place[i];

            to[0] = moe_world_rank(be->in.world);
            to[1] = (int32_t)(i / index->topk);
            to[2] = (int32_t)(i % index->topk);
        }
    }
    return MOE_OK;
}

moe_status_t moe_ref_pair_weights(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_ref_index_t *index = moe_ref_index_of(call->in[1]);
    const float *weights = call->in[0]->data;
    float *out = call->out[0]->data;

    (void)be;
    memset(out, 0, (size_t)call->out[0]->valid_rows * sizeof(*out));
    for (int64_t i = 0; index != NULL && i < index->source_rows * index->topk;
         i++) {
        if (index->place[i] >= 0) {
            out[index->place[i]] = weights[i];
        }
    }
    return MOE_OK;
}

moe_status_t moe_ref_sort(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_tensor_t *ids = call->in[0];
    const moe_tensor_t *out = call->out[0];
    int topk = (int)ids->dim[1];
    moe_status_t status;

    if (out->index == MOE_INDEX_sources) {
        status = sort_sources(call);
    } else if (call->n_parts > 0) {
        const moe_ref_members_t members = {.of_expert = call->parts,
                                           .n_experts = call->n_parts,
                                           .n = out->n_experts,
                                           .in_slots = out->index ==
                                                       MOE_INDEX_first_slots};

        status = moe_ref_sort_members(ids->data, ids->valid_rows, topk,
                                      &members, out->data);
    } else if (call->n_in > 1) {
        status = sort_located(call);
    } else if (out->capacity > 0) {
        status = moe_ref_sort_slots(ids->data, ids->valid_rows, topk,
                                    out->n_experts, out->capacity, out->data);
    } else {
        status = moe_ref_index_init(ids->data, ids->valid_rows, topk, 0,
                                    out->n_experts, out->data);
    }
    return status == MOE_OK ? check_index(be, out, out->data) : status;
}

moe_status_t moe_ref_sort_received(moe_ref_backend_t *be,
                                   const moe_call_t *call)
{
    const moe_tensor_t *out = call->out[0];
    int64_t experts = out->n_experts;
    moe_status_t status = moe_ref_sort_chunks(
        call->parts, experts > 0 ? call->n_parts / experts : 0, experts,
        call->stride, call->capacity, out->data);

    (void)be;
    if (status == MOE_OK) {
        moe_ref_make_list(call);
    }
    return status;
}

void moe_ref_make_list(const moe_call_t *call)
{
    const moe_tensor_t *index = call->out[0];

    if (index->list != NULL) {
        moe_ref_group_list(moe_ref_index_of(index), index->list_type,
                           index->list->data);
    }
}

moe_status_t moe_ref_read_list(const moe_tensor_t *index, int64_t *offset)
{
    const moe_ref_index_t *rows = moe_ref_index_of(index);
    moe_status_t status =
        index->list != NULL
            ? moe_ref_group_offsets(index->list->data, index->list_type,
                                    rows->n_experts, offset)
            : MOE_OK;

    for (int64_t e = 0; status == MOE_OK && e <= rows->n_experts; e++) {
        offset[e] = index->list != NULL ? offset[e] : rows->offset[e];
        if (offset[e] != rows->offset[e]) {
            status = moe_fail(MOE_ERR_CHECK,
                              "a group list begins expert %lld at row %lld, "
                              "its rows at %lld",
                              (long long)(index->first_expert + e),
                              (long long)offset[e], (long long)rows->offset[e]);
        }
    }
    return status;
}

moe_status_t moe_ref_scatter(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_ref_index_t *index = moe_ref_index_of(call->in[1]);
    moe_rows_t in = moe_ref_rows(call->in[0]);
    moe_rows_t out = moe_ref_rows(call->out[0]);

    (void)be;
    if (index != NULL) {
        moe_ref_scatter_rows(&in, index, &out);
    }
    return MOE_OK;
}

/* Codes, or scales, of every row into or out of records from *at_p on. */
static void move_field(const moe_tensor_t *records, const moe_tensor_t *field,
                       int64_t align, bool pack, int64_t *at_p)
{
    size_t bytes = (size_t)moe_tensor_row_bytes(field, 1);
    int64_t at = moe_div_up(*at_p, align) * align;

    for (int64_t i = 0; i < records->valid_rows; i++) {
        char *in_record = (char *)records->data + i * records->dim[1] + at;
        char *in_field = (char *)field->data + i * (int64_t)bytes;

        if (pack) {
            memcpy(in_record, in_field, bytes);
        } else {
            memcpy(in_field, in_record, bytes);
        }
    }
    *at_p = at + (int64_t)bytes;
}

static void move_fields(const moe_tensor_t *records,
                        const moe_tensor_t *const *field, int n, int64_t align,
                        bool pack)
{
    int64_t at = 0;

    for (int i = 0; i < n; i++) {
        move_field(records, field[i], align, pack, &at);
        if (field[i]->scale != NULL) {
            move_field(records, field[i]->scale, align, pack, &at);
        }
    }
}

moe_status_t moe_ref_pack(moe_ref_backend_t *be, const moe_call_t *call)
{
    (void)be;
    move_fields(call->out[0], call->in, call->n_in, call->stride, true);
    return MOE_OK;
}

moe_status_t moe_ref_unpack(moe_ref_backend_t *be, const moe_call_t *call)
{
    const moe_tensor_t *out[MOE_CALL_TENSORS];

    (void)be;
    for (int i = 0; i < call->n_out; i++) {
        out[i] = call->out[i];
    }
    move_fields(call->in[0], out, call->n_out, call->stride, false);
    return MOE_OK;
}
