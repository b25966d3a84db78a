/* SPDX-License-Identifier: Apache-2.0 */
/* What a rank of a run computes, kept as it is made. */
#include "config.h"

#include "sim/golden/tap.h"

#include "ref/mpi/backend_ref.h"

#include <stdlib.h>
#include <string.h>

void moe_golden_tap_init(const moe_layer_t *layer, const moe_method_use_t *use,
                         int rank, moe_golden_tap_t *tap)
{
    const moe_layer_t l = moe_method_layer(layer, use);
    const int size = moe_layout_group_size(&l.layout, MOE_GROUP_ep, rank);

    *tap = (moe_golden_tap_t){.use = use, .rank = rank, .placed = l.placed};
    tap->own = moe_layer_tokens(&l, moe_layout_dp_rank(&l.layout, rank));
    tap->all =
        size == moe_layout_world(&l.layout) ? moe_layer_total_tokens(&l) : -1;
}

static void drop(moe_golden_tap_t *tap, int role)
{
    moe_ref_rows_free(&tap->at[role]);
    tap->at[role] = (moe_rows_t){0};
    tap->has[role] = false;
}

void moe_golden_tap_fini(moe_golden_tap_t *tap)
{
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        drop(tap, r);
    }
    free(tap->offset);
    free(tap->row);
    tap->offset = NULL;
    tap->row = NULL;
}

/* Rows [from, from + n) of some, to rows `to` on of a place. */
static void copy(const moe_rows_t *src, int64_t from, int64_t n,
                 moe_rows_t *dst, int64_t to)
{
    const size_t scales = (size_t)moe_rows_scale_bytes(dst);

    memcpy(moe_rows_codes(dst, to), moe_rows_codes(src, from),
           (size_t)(n * moe_rows_code_bytes(dst)));
    if (scales > 0) {
        memcpy((char *)dst->scales + (size_t)to * scales,
               (const char *)src->scales + (size_t)from * scales,
               (size_t)n * scales);
    }
}

/* True for rows that can be compared: rounded, and scales linear. */
static bool is_plain(const moe_rows_t *rows)
{
    return rows->storage.format != MOE_FORMAT_exact && rows->codes != NULL &&
           (moe_rows_scale_bytes(rows) == 0 ||
            (rows->scales != NULL && rows->layout == MOE_SCALES_linear));
}

/* All rows of a tensor as a place. */
static moe_status_t keep(moe_golden_tap_t *tap, moe_role_t role,
                         const moe_tensor_t *tensor)
{
    moe_rows_t rows;
    moe_status_t status;

    if (tensor->kept || moe_tensor_is_lazy(tensor)) {
        return MOE_OK;
    }
    rows = moe_ref_rows(tensor);
    if (tap->has[role] || !is_plain(&rows)) {
        return MOE_OK;
    }
    status =
        moe_ref_rows_alloc(&rows.storage, rows.rows, rows.cols, &tap->at[role]);
    if (status == MOE_OK) {
        copy(&rows, 0, rows.rows, &tap->at[role], 0);
        tap->has[role] = true;
    }
    return status;
}

/* The rows of the own tokens of what a router read or made. */
static moe_status_t keep_routed(moe_golden_tap_t *tap, const moe_call_t *call,
                                moe_role_t role, const moe_tensor_t *tensor)
{
    const moe_rows_t rows = moe_ref_rows(tensor);
    int64_t n = 0;
    moe_status_t status;

    if (tap->has[role] || !is_plain(&rows)) {
        return MOE_OK;
    }
    status = moe_ref_rows_alloc(&rows.storage, tap->own.end - tap->own.begin,
                                rows.cols, &tap->at[role]);
    for (int i = 0; status == MOE_OK && i < call->n_spans; i++) {
        const moe_span_t *s = &call->spans[i];
        const int64_t a = s->token > tap->own.begin ? s->token : tap->own.begin;
        const int64_t e =
            s->token + s->n < tap->own.end ? s->token + s->n : tap->own.end;

        if (a < e) {
            copy(&rows, s->row + a - s->token, e - a, &tap->at[role],
                 a - tap->own.begin);
            n += e - a;
        }
    }
    tap->has[role] = status == MOE_OK && n == tap->at[role].rows;
    if (!tap->has[role]) {
        drop(tap, (int)role);
    }
    return status;
}

static moe_status_t route(moe_golden_tap_t *tap, const moe_call_t *call)
{
    moe_status_t status = keep_routed(tap, call, MOE_ROLE_logits, call->in[0]);

    if (status == MOE_OK) {
        status = keep_routed(tap, call, MOE_ROLE_topk_ids, call->out[0]);
    }
    return status == MOE_OK
               ? keep_routed(tap, call, MOE_ROLE_topk_weights, call->out[1])
               : status;
}

/* What a gate leaves takes the place of what the router chose. */
static moe_status_t gate(moe_golden_tap_t *tap, const moe_call_t *call)
{
    static const moe_role_t roles[] = {
        MOE_ROLE_topk_ids, MOE_ROLE_location, MOE_ROLE_topk_weights,
        MOE_ROLE_expert_counts, MOE_ROLE_aux_loss};
    moe_status_t status = MOE_OK;

    for (int i = 0; status == MOE_OK && i < call->n_out; i++) {
        drop(tap, (int)roles[i]);
        status = keep(tap, roles[i], call->out[i]);
    }
    return status;
}

/* Rows that gemm1 reads, and whose they are. */
static moe_status_t enter(moe_golden_tap_t *tap, const moe_call_t *call)
{
    const moe_ref_index_t *index = moe_ref_index_of(call->in[1]);
    size_t n;

    if (tap->offset != NULL || index == NULL) {
        return MOE_OK;
    }
    tap->first_expert = call->in[1]->first_expert;
    tap->n_experts = index->n_experts;
    n = (size_t)index->n_experts + 1;
    tap->offset = malloc(n * sizeof(*tap->offset));
    if (tap->offset == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for rows of experts");
    }
    memcpy(tap->offset, index->offset, n * sizeof(*tap->offset));
    return keep(tap, MOE_ROLE_expert_in, call->in[0]);
}

static moe_status_t matmul(moe_golden_tap_t *tap, const moe_call_t *call)
{
    const bool up = call->weight == MOE_W13;
    moe_status_t status = up ? enter(tap, call) : MOE_OK;

    if (call->shares > 1) { /* parts of I, and sums over them */
        tap->in_parts = true;
        return status;
    }
    if (status == MOE_OK && !up) {
        status = keep(tap, MOE_ROLE_gemm2_in, call->in[0]);
    }
    return status == MOE_OK && call->halves == MOE_HALVES_both
               ? keep(tap, up ? MOE_ROLE_gemm1_out : MOE_ROLE_gemm2_out,
                      call->out[0])
               : status; /* w1 and w3 apart: no tensor has both */
}

/* What travels: the own tokens' rows in the dispatch format. */
static moe_status_t send(moe_golden_tap_t *tap, const moe_call_t *call)
{
    const moe_tensor_t *out = call->out[0];
    const bool own = call->in[0]->role == MOE_ROLE_hidden &&
                     out->role == MOE_ROLE_dispatch &&
                     out->valid_rows == tap->own.end - tap->own.begin;

    return own ? keep(tap, MOE_ROLE_dispatch, out) : MOE_OK;
}

/* Partial sums of all tokens over the local experts. */
static moe_status_t sum(moe_golden_tap_t *tap, const moe_call_t *call)
{
    const bool partial = call->in[1]->index == MOE_INDEX_experts &&
                         call->out[0]->valid_rows == tap->all &&
                         !call->out[0]->carried_exact;

    return partial ? keep(tap, MOE_ROLE_combine, call->out[0]) : MOE_OK;
}

moe_status_t moe_golden_tap_observe(void *self, const moe_call_t *call)
{
    moe_golden_tap_t *tap = self;

    switch ((int)call->op) {
    case MOE_OP_load_hidden:
        return keep(tap, MOE_ROLE_hidden, call->out[0]);
    case MOE_OP_topk:
        return route(tap, call);
    case MOE_OP_gate:
        return gate(tap, call);
    case MOE_OP_quantize:
    case MOE_OP_convert:
        return send(tap, call);
    case MOE_OP_grouped_matmul:
        return matmul(tap, call);
    case MOE_OP_activation:
        return tap->in_parts ? MOE_OK
                             : keep(tap, MOE_ROLE_act_out, call->out[0]);
    case MOE_OP_weighted_sum:
        return sum(tap, call);
    default:
        return MOE_OK;
    }
}

moe_status_t moe_golden_tap_output(moe_golden_tap_t *tap,
                                   const moe_tensor_t *output)
{
    return keep(tap, MOE_ROLE_output, output);
}

bool moe_golden_tap_is_plain(const moe_golden_tap_t *tap)
{
    const moe_chain_t *chain = &tap->use->chain;
    const moe_rounding_set_t experts = MOE_ROUND_EXPERTS;

    return chain->numerics == MOE_NUMERICS_exact &&
           (chain->contract.points & experts) == experts &&
           (chain->contract.points & MOE_ROUND(routing_weight)) == 0 &&
           moe_contract_computes(&chain->contract) &&
           !moe_format_is_coded(chain->at[MOE_ROLE_combine].format);
}

bool moe_golden_tap_rules(const moe_golden_tap_t *tap, moe_role_t role,
                          const moe_storage_t *storage)
{
    return (role == MOE_ROLE_combine || role == MOE_ROLE_output) &&
           tap->has[role] && !moe_golden_tap_is_plain(tap) &&
           moe_storage_equal(&tap->at[role].storage, storage);
}
