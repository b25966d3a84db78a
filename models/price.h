/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Price of a trace on a machine: alpha-beta for collectives, roofline for
 * the rest, played on a timeline of all ranks.
 */
#ifndef MODELS_PRICE_H
#define MODELS_PRICE_H

#include "base/status.h"
#include "models/machine.h"
#include "moe/trace.h"

#include <stdbool.h>
#include <stddef.h>

/** Ranks up to which a result tells its events. */
#define MOE_EVENT_RANKS 256

/** A predicted time with its 90 % interval. */
typedef struct {
    double us;
    double low_us;
    double high_us;
} moe_time_t;

/** What a time is made of, microseconds. */
typedef struct {
    double launch;    /* starts of kernels and collectives */
    double latency;   /* steps of collectives */
    double bandwidth; /* bytes on links */
    double memory;    /* local operations bound by memory */
    double compute;   /* local operations bound by arithmetic */
} moe_parts_t;

/** One operation on the timeline. */
typedef struct {
    int rank;
    int64_t record; /* id of the trace record */
    moe_stage_t stage;
    moe_op_t op;
    moe_role_t role;
    int stream;    /* 0 compute, 1 communication */
    int64_t bytes; /* wire bytes sent, or memory bytes */
    double start_us;
    double end_us;
    double low_us; /* of its duration */
    double high_us;
    moe_parts_t parts;
} moe_event_t;

/** A constant of the machine that the price rests on. */
typedef struct {
    char name[128];   /* key in the machine file */
    const char *unit; /* static */
    moe_constant_t constant;
    double us; /* part of the total that is proportional to it */
} moe_price_constant_t;

/** The total is the longest path through the timeline: without a gap, over
 * the ranks that held up the others. Its stages sum to it, and so do its
 * parts. */
typedef struct {
    moe_time_t total;                  /* until the last rank is done */
    moe_time_t stage[MOE_STAGE_COUNT]; /* of the longest path */
    moe_parts_t parts;                 /* of the longest path */
    int n_ranks;
    moe_time_t *rank; /* [n_ranks] end of each rank */
    size_t n_events;
    moe_event_t *event; /* by rank, then start; none above MOE_EVENT_RANKS */
    size_t n_constants;
    moe_price_constant_t *constant; /* in order of the machine file */
    size_t n_warnings;
    char (*warning)[512]; /* what a reader must know */
} moe_price_result_t;

typedef struct moe_price moe_price_t;

/** A pricer of one layer's trace; ended with moe_price_free(). machine is
 * kept. */
moe_status_t moe_price_create(const moe_machine_t *machine, int n_ranks,
                              moe_price_t **price_p);
void moe_price_free(moe_price_t *price);

/** Take one record; records of a rank come in its order. As a sink's
 * record function: self is the moe_price_t. */
moe_status_t moe_price_record(void *self, const moe_trace_record_t *record);

/**
 * Play all ranks: a collective starts when its last rank arrives. Once.
 * @param[out] result_p  Ended with moe_price_result_fini().
 */
moe_status_t moe_price_finish(moe_price_t *price, moe_price_result_t *result_p);
void moe_price_result_fini(moe_price_result_t *result);

#endif
