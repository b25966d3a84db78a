/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A timeline of ranks with two streams each; inside of models/.
 *
 * Methods have no streams. A node starts when the tensors that it reads are
 * written, those that it writes are free, and its stream has done what was
 * enqueued before. Nodes of several ranks that meet (a collective) start
 * when the last of them could.
 */
#ifndef MODELS_TIMELINE_H
#define MODELS_TIMELINE_H

#include "models/cost.h"

enum {
    MOE_STREAM_compute,
    MOE_STREAM_communication,
    MOE_STREAM_COUNT
};

/** A node's place; at < 0: none. */
typedef struct {
    int rank;
    int at;
} moe_node_at_t;

/** What a node has to do with other ranks. */
typedef struct {
    moe_group_t group;
    int first; /* lowest member; with group and call: the same meeting */
    int64_t call;
    int n; /* members; 0: the node meets nobody */
    int tier;
    int64_t sent; /* wire bytes of this member */
    int64_t received;
    int steps;
} moe_meet_t;

typedef struct {
    int64_t record; /* id of the first record in it */
    moe_stage_t stage;
    moe_op_t op;
    moe_role_t role;
    int stream;
    int64_t bytes;   /* of memory, or sent */
    bool holds_host; /* the rank enqueues nothing before its end */
    moe_meet_t meet;
    int meeting;     /* its number, found by moe_meetings_find() */
    moe_cost_t cost; /* own; a meeting's is added by the play */
    double start_s;
    double end_s;
    moe_node_at_t cause; /* whose end was waited for last */
    int first_need;      /* list of nodes of the rank that must end before */
} moe_node_t;

typedef struct moe_line moe_line_t; /* of one rank */

typedef struct {
    int n_ranks;
    moe_line_t *line; /* [n_ranks] */
} moe_timeline_t;

moe_status_t moe_timeline_init(moe_timeline_t *timeline, int n_ranks);
void moe_timeline_fini(moe_timeline_t *timeline);

/** Enqueue a node; *at_p is its number on the rank, from 0. */
moe_status_t moe_timeline_add(moe_timeline_t *timeline, int rank,
                              const moe_node_t *node, int *at_p);

/** Node reads or writes a tensor (id from 1) of its rank. */
moe_status_t moe_timeline_reads(moe_timeline_t *timeline, int rank, int at,
                                int tensor);
moe_status_t moe_timeline_writes(moe_timeline_t *timeline, int rank, int at,
                                 int tensor);

int moe_timeline_count(const moe_timeline_t *timeline, int rank);
moe_node_t *moe_timeline_node(const moe_timeline_t *timeline, int rank, int at);

/**
 * Give every node its start and end, from 0.
 * @return MOE_OK; MOE_ERR_DISAGREE if ranks do not make the same calls;
 *         MOE_ERR_NOMEM.
 */
moe_status_t moe_timeline_play(moe_timeline_t *timeline,
                               const moe_machine_t *machine);

/** All members of a meeting; they end it together, each with what it does
 * alone after it. */
typedef struct {
    int first; /* of its members */
    int n;
    int arrived; /* of the play */
    double start_s;
    moe_node_at_t cause;
} moe_meeting_t;

typedef struct {
    int n;
    moe_meeting_t *meeting; /* [n] */
    moe_node_at_t *member;  /* by meeting, then rank */
} moe_meetings_t;

/**
 * Find who meets whom: nodes of one group, first member and call. Adds each
 * meeting's common cost, that of its busiest member, to its nodes.
 * @param[out] meetings_p  Ended with moe_meetings_fini().
 */
moe_status_t moe_meetings_find(const moe_timeline_t *timeline,
                               const moe_machine_t *machine,
                               moe_meetings_t *meetings_p);
void moe_meetings_fini(moe_meetings_t *meetings);

/** Node that a need (node->first_need) asks for; returns the next need, -1 at
 * the end. */
int moe_timeline_need(const moe_timeline_t *timeline, int rank, int need,
                      int *node_p);

#endif
