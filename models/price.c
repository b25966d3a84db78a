/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From trace records to the nodes of a timeline.
 *
 * How it works: a record is a node: local operations on the compute stream,
 * collectives on the communication stream. A bracket's operations are one
 * node: of a batch its collectives, which start once, share their steps and
 * add their bytes; of a fused bracket everything, with one launch. What a
 * plan learns through a real collective holds the host, and so all that
 * follows.
 * Test: tests/check_price.c.
 */
#include "models/price_inside.h"

#include <math.h>
#include <stdlib.h>

moe_status_t moe_price_create(const moe_machine_t *machine, int n_ranks,
                              moe_price_t **price_p)
{
    moe_status_t status = moe_machine_check(machine);
    moe_price_t *price;

    if (status != MOE_OK) {
        return status;
    }
    if (n_ranks < 1) {
        return moe_fail(MOE_ERR_RANGE, "a price of %d ranks", n_ranks);
    }
    price = calloc(1, sizeof(*price));
    if (price == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a price");
    }
    price->machine = machine;
    price->open = calloc((size_t)n_ranks, sizeof(*price->open));
    status = price->open != NULL
                 ? moe_timeline_init(&price->timeline, n_ranks)
                 : moe_fail(MOE_ERR_NOMEM, "no memory for a price");
    if (status != MOE_OK) {
        moe_price_free(price);
        return status;
    }
    *price_p = price;
    return MOE_OK;
}

void moe_price_free(moe_price_t *price)
{
    if (price == NULL) {
        return;
    }
    moe_timeline_fini(&price->timeline);
    free(price->open);
    free(price);
}

static moe_status_t note_tensors(moe_price_t *price,
                                 const moe_trace_record_t *record, int at)
{
    moe_status_t status = MOE_OK;

    for (int i = 0; i < record->n_read && status == MOE_OK; i++) {
        status = moe_timeline_reads(&price->timeline, record->rank, at,
                                    record->read[i]);
    }
    for (int i = 0; i < record->n_written && status == MOE_OK; i++) {
        status = moe_timeline_writes(&price->timeline, record->rank, at,
                                     record->written[i]);
    }
    return status;
}

static bool same_group(const moe_meet_t *meet, const moe_trace_record_t *record)
{
    return meet->group == record->group &&
           meet->first == record->transfer.ranks[0];
}

/* The bracket's node that a record goes into; NULL: a new one. A batch joins
 * collectives only, and every node one group. */
static moe_node_t *open_node(const moe_price_t *price,
                             const moe_trace_record_t *record, int *at_p)
{
    const open_t *open = &price->open[record->rank];
    bool meets = moe_op_plane(record->op) == MOE_PLANE_COLLECTIVE;
    moe_node_t *node;

    if (record->bracket == 0 || open->bracket != record->bracket ||
        (!record->bracket_fused && !meets)) {
        return NULL;
    }
    node = moe_timeline_node(&price->timeline, record->rank, open->at);
    if (node->meet.n == 0 ? !record->bracket_fused
                          : meets && !same_group(&node->meet, record)) {
        return NULL;
    }
    *at_p = open->at;
    return node;
}

static moe_node_t describe(const moe_trace_record_t *record)
{
    moe_node_t node = {.record = record->id,
                       .stage = record->stage,
                       .op = record->op,
                       .role = record->role};

    node.stream = moe_op_plane(record->op) == MOE_PLANE_LOCAL &&
                          !(record->bracket != 0 && record->bracket_fused)
                      ? MOE_STREAM_compute
                      : MOE_STREAM_communication;
    return node;
}

/* One launch, one start; bytes add, steps overlap. */
static void join(moe_node_t *node, const moe_node_t *share)
{
    double launch =
        fmax(node->cost.s[MOE_COST_launch], share->cost.s[MOE_COST_launch]);

    moe_cost_add(&node->cost, &share->cost);
    if (node->meet.n == 0) {
        node->meet = share->meet;
    } else if (share->meet.n > 0) {
        node->meet.sent += share->meet.sent;
        node->meet.received += share->meet.received;
        node->meet.steps = share->meet.steps > node->meet.steps
                               ? share->meet.steps
                               : node->meet.steps;
    }
    node->cost.s[MOE_COST_launch] = node->meet.n > 0 ? 0.0 : launch;
    node->bytes += share->bytes;
}

/* Put a record's share into its bracket's node, or a node of its own. */
static moe_status_t put(moe_price_t *price, const moe_trace_record_t *record,
                        const moe_node_t *share)
{
    open_t *open = &price->open[record->rank];
    moe_status_t status = MOE_OK;
    moe_node_t *node;
    int at = 0;

    node = open_node(price, record, &at);
    if (node == NULL) {
        status = moe_timeline_add(&price->timeline, record->rank, share, &at);
        *open = (open_t){record->bracket, at};
    } else {
        join(node, share);
    }
    return status == MOE_OK ? note_tensors(price, record, at) : status;
}

static moe_status_t put_local(moe_price_t *price,
                              const moe_trace_record_t *record)
{
    moe_node_t node = describe(record);
    moe_format_t rate = record->operand;
    moe_status_t status =
        moe_cost_local(price->machine, record, &node.cost, &rate);

    if (status != MOE_OK) {
        return status;
    }
    if (rate != record->operand) {
        price->widened[record->operand] = (int)rate + 1;
    }
    node.bytes = record->read_bytes + record->write_bytes;
    return put(price, record, &node);
}

static moe_status_t set_meet(moe_price_t *price,
                             const moe_trace_record_t *record,
                             const moe_wire_t *wire, moe_node_t *node)
{
    const moe_transfer_t *t = &record->transfer;
    moe_status_t status;

    node->meet = (moe_meet_t){.group = record->group,
                              .first = t->ranks[0],
                              .call = record->call,
                              .n = t->n,
                              .sent = wire->sent,
                              .received = wire->received,
                              .steps = wire->steps};
    node->bytes = wire->sent;
    status = moe_cost_tier(price->machine, t->ranks[0], t->ranks[t->n - 1],
                           &node->meet.tier);
    if (status == MOE_OK && wire->sent + wire->received > 0 &&
        t->n > price->largest[node->meet.tier]) {
        price->largest[node->meet.tier] = t->n;
    }
    return status;
}

static moe_status_t put_collective(moe_price_t *price,
                                   const moe_trace_record_t *record)
{
    moe_wire_t wire =
        moe_wire(record->op, moe_wire_algorithm(record->op), &record->transfer);
    moe_node_t node = describe(record);
    moe_status_t status = set_meet(price, record, &wire, &node);

    return status == MOE_OK ? put(price, record, &node) : status;
}

/* What is known without traffic costs nothing. */
static moe_status_t put_agreement(moe_price_t *price,
                                  const moe_trace_record_t *record)
{
    moe_op_t op = moe_trace_moves(record);
    moe_node_t node = describe(record);
    moe_wire_t wire;
    moe_status_t status;

    if (op == MOE_OP_agree || record->transfer.n < 2) {
        return MOE_OK;
    }
    wire = moe_wire(op, moe_wire_algorithm(op), &record->transfer);
    node.holds_host = true;
    status = set_meet(price, record, &wire, &node);
    return status == MOE_OK ? put(price, record, &node) : status;
}

moe_status_t moe_price_record(void *self, const moe_trace_record_t *record)
{
    moe_price_t *price = self;

    if (record->rank < 0 || record->rank >= price->timeline.n_ranks) {
        return moe_fail(MOE_ERR_RANGE, "a record of rank %d of %d",
                        record->rank, price->timeline.n_ranks);
    }
    switch (moe_op_plane(record->op)) {
    case MOE_PLANE_LOCAL:
        return put_local(price, record);
    case MOE_PLANE_COLLECTIVE:
        return put_collective(price, record);
    case MOE_PLANE_HOST:
    default:
        return put_agreement(price, record);
    }
}
