/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Sums over a trace, by rank and stage: what reports, comparisons of
 * ledgers and tests all read.
 */
#ifndef MODELS_SUMMARY_H
#define MODELS_SUMMARY_H

#include "models/wire.h"
#include "moe/trace.h"

#include <stdbool.h>
#include <stddef.h>

/** Bytes of one rank's collectives, a plan's agreements with traffic among
 * them. */
typedef struct {
    int64_t payload;
    int64_t carried;
    int64_t wire_sent; /* under moe_wire_algorithm() */
    int64_t wire_received;
} moe_bytes_t;

typedef struct {
    moe_bytes_t stage[MOE_STAGE_COUNT];
    int64_t calls[MOE_OP_COUNT]; /* operations by kind */
    int64_t dispatch_row_bytes;  /* of one own row, over all collectives of the
                                  * dispatch stages that it is in */
    int64_t n_experts;           /* local ones; 0 until an expert operation
                                  * was seen */
    int64_t *rows_per_expert;    /* [n_experts] of the first such operation */
    int64_t peak_bytes;          /* largest memory seen */
} moe_summary_rank_t;

typedef struct {
    int world;
    moe_summary_rank_t *rank;             /* [W] */
    uint32_t algorithms[MOE_STAGE_COUNT]; /* bits 1 << moe_algorithm_t */
    bool with_pairs;
    int64_t *pairs[MOE_STAGE_COUNT]; /* [W][W] by origin and destination;
                                      * NULL: no collective, or not asked */
} moe_summary_t;

/** An empty summary of W ranks; with_pairs takes 8 W^2 bytes a stage that
 * has collectives. Ended with moe_summary_fini(). */
moe_status_t moe_summary_init(int world, bool with_pairs,
                              moe_summary_t *summary_p);
void moe_summary_fini(moe_summary_t *summary);

/** A sink that adds to a summary (kept). */
moe_trace_sink_t moe_summary_sink(moe_summary_t *summary);

/** Bytes of a rank over some stages. */
moe_bytes_t moe_summary_bytes(const moe_summary_t *summary, int rank,
                              moe_stage_set_t stages);

/** Add pair bytes of some stages to out[W][W]. */
void moe_summary_add_pairs(const moe_summary_t *summary, moe_stage_set_t stages,
                           int64_t *out);

/** Payload that one token's rows have over all tensors of the dispatch;
 * 0 if nothing is dispatched. */
int64_t moe_summary_dispatch_bytes_per_token(const moe_summary_t *summary);

/** Names of the algorithms of some stages, in order of the list, joined by
 * a comma; "none" without collectives. out always ends with a NUL. */
void moe_summary_algorithms(const moe_summary_t *summary,
                            moe_stage_set_t stages, char *out, size_t size);

/** Several sinks at once: each gets every call, in order, up to an error. */
typedef struct {
    int n;
    const moe_trace_sink_t *sink[8]; /* kept */
} moe_tee_t;

/** Sink of a tee (kept). */
moe_trace_sink_t moe_tee_sink(moe_tee_t *tee);

#endif
