/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/hand_trace.h"

#include "tests/layers.h"
#include "tests/support.h"

#include <string.h>

const int moe_hand_ranks[RANKS_MAX] = {0, 1, 2,  3,  4,  5,  6,  7,
                                       8, 9, 10, 11, 12, 13, 14, 15};

void moe_hand_begin(moe_hand_t *t, int n_ranks)
{
    memset(t, 0, sizeof(*t));
    t->machine = moe_test_machine();
    t->n_ranks = n_ranks;
    ck_assert_int_eq(moe_price_create(&t->machine, n_ranks, &t->price), MOE_OK);
}

void moe_hand_finish(moe_hand_t *t)
{
    ck_assert_msg(moe_price_finish(t->price, &t->result) == MOE_OK, "%s",
                  moe_error_text());
}

void moe_hand_end(moe_hand_t *t)
{
    moe_price_result_fini(&t->result);
    moe_price_free(t->price);
}

moe_trace_record_t moe_hand_record(moe_hand_t *t, moe_op_t op, int rank, int in,
                                   int out)
{
    moe_trace_record_t r = {.id = ++t->id[rank],
                            .rank = rank,
                            .op = op,
                            .bracket = t->bracket,
                            .bracket_fused = t->fused,
                            .group = MOE_GROUP_ep};

    r.n_read = in > 0;
    r.read[0] = in;
    r.n_written = out > 0;
    r.written[0] = out;
    return r;
}

void moe_hand_local(moe_hand_t *t, int rank, int64_t bytes, int in, int out)
{
    moe_trace_record_t r = moe_hand_record(t, MOE_OP_quantize, rank, in, out);

    r.stage = MOE_STAGE_experts;
    r.read_bytes = bytes / 2;
    r.write_bytes = bytes - bytes / 2;
    ck_assert_int_eq(moe_price_record(t->price, &r), MOE_OK);
}

moe_status_t moe_hand_matmul(moe_hand_t *t, moe_format_t operand, double flops,
                             int64_t bytes)
{
    moe_trace_record_t r = moe_hand_record(t, MOE_OP_grouped_matmul, 0, 0, 1);

    r.operand = operand;
    r.flops = flops;
    r.read_bytes = bytes;
    return moe_price_record(t->price, &r);
}

void moe_hand_gather(moe_hand_t *t, const int64_t *rows, int64_t row_bytes,
                     int in, int out)
{
    for (int rank = 0; rank < t->n_ranks; rank++) {
        moe_trace_record_t r =
            moe_hand_record(t, MOE_OP_allgatherv, rank, in, out);
        int64_t send[RANKS_MAX];

        for (int i = 0; i < t->n_ranks; i++) {
            send[i] = rows[rank];
        }
        r.stage = MOE_STAGE_prepare;
        r.call = ++t->call[rank];
        r.transfer = (moe_transfer_t){
            t->n_ranks, rank, moe_hand_ranks, send, rows, row_bytes,
            1,          -1,   false,          0,    0};
        ck_assert_int_eq(moe_price_record(t->price, &r), MOE_OK);
    }
}
