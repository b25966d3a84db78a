/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Traces made by hand, and closed forms of their prices on the machine of
 * tests/layers.h, whose constants are powers of two.
 */
#ifndef TESTS_HAND_TRACE_H
#define TESTS_HAND_TRACE_H

#include "models/price.h"

#include <math.h>

#define US         1e6
#define LAUNCH     (US * ldexp(1.0, -17))
#define COLLECTIVE (US * ldexp(1.0, -16))
#define STEP       (US * ldexp(1.0, -20))
#define OUTER_STEP (US * ldexp(1.0, -18))
#define PORT(b)    (US * (double)(b) / ldexp(1.0, 38))
#define OUTER(b)   (US * (double)(b) / ldexp(1.0, 36))
#define MEMORY(b)  (US * (double)(b) / ldexp(1.0, 41))

enum {
    RANKS_MAX = 16
};

extern const int moe_hand_ranks[RANKS_MAX]; /* 0, 1, 2, ... */

/* A trace in the making. */
typedef struct {
    moe_machine_t machine;
    moe_price_t *price;
    int n_ranks;
    int64_t id[RANKS_MAX];
    int64_t call[RANKS_MAX];
    int bracket;
    bool fused;
    moe_price_result_t result;
} moe_hand_t;

/** Start a trace of some ranks; finish prices it; end frees. Each fails the
 * test on error. t->machine may be changed between. */
void moe_hand_begin(moe_hand_t *t, int n_ranks);
void moe_hand_finish(moe_hand_t *t);
void moe_hand_end(moe_hand_t *t);

/** The next record of a rank: reads tensor in, writes out; 0 for none. */
moe_trace_record_t moe_hand_record(moe_hand_t *t, moe_op_t op, int rank, int in,
                                   int out);

/** A local operation that moves some bytes from tensor in to tensor out. */
void moe_hand_local(moe_hand_t *t, int rank, int64_t bytes, int in, int out);

/** A matmul on rank 0. */
moe_status_t moe_hand_matmul(moe_hand_t *t, moe_format_t operand, double flops,
                             int64_t bytes);

/** All ranks gather rows[] of some bytes. */
void moe_hand_gather(moe_hand_t *t, const int64_t *rows, int64_t row_bytes,
                     int in, int out);

#endif
