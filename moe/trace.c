/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/trace.h"

/* Rows that travel from the record's rank to member d. */
static int64_t rows_to(const moe_trace_record_t *r, int d)
{
    const moe_transfer_t *t = &r->transfer;

    if (r->op == MOE_OP_broadcast && t->me != t->root) {
        return 0;
    }
    if (r->op == MOE_OP_allgather || r->op == MOE_OP_allgatherv) {
        return t->send_rows[t->me];
    }
    return t->send_rows[d];
}

void moe_trace_add_pairs(const moe_trace_record_t *record, int world,
                         int64_t *pairs)
{
    const moe_transfer_t *t = &record->transfer;

    if (moe_op_plane(record->op) != MOE_PLANE_COLLECTIVE) {
        return;
    }
    for (int d = 0; d < t->n; d++) {
        if (d != t->me) {
            pairs[(int64_t)record->rank * world + t->ranks[d]] +=
                rows_to(record, d) * t->row_bytes;
        }
    }
}
