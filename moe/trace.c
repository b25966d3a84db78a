/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/trace.h"

moe_op_t moe_trace_moves(const moe_trace_record_t *record)
{
    switch (moe_op_plane(record->op)) {
    case MOE_PLANE_COLLECTIVE:
        return record->op;
    case MOE_PLANE_HOST:
        return record->call > 0 ? moe_agree_op(record->agree_kind)
                                : MOE_OP_agree;
    case MOE_PLANE_LOCAL:
    default:
        return MOE_OP_agree;
    }
}

/* Rows that travel from the record's rank to member d. */
static int64_t rows_to(const moe_trace_record_t *r, int d)
{
    const moe_transfer_t *t = &r->transfer;

    moe_op_t op = moe_trace_moves(r);

    if (op == MOE_OP_broadcast && t->me != t->root) {
        return 0;
    }
    if (op == MOE_OP_allgather || op == MOE_OP_allgatherv) {
        return t->send_rows[t->me];
    }
    return t->send_rows[d];
}

void moe_trace_add_pairs(const moe_trace_record_t *record, int world,
                         int64_t *pairs)
{
    const moe_transfer_t *t = &record->transfer;

    if (moe_trace_moves(record) == MOE_OP_agree) {
        return;
    }
    for (int d = 0; d < t->n; d++) {
        if (d != t->me) {
            pairs[(int64_t)record->rank * world + t->ranks[d]] +=
                rows_to(record, d) * t->row_bytes;
        }
    }
}
