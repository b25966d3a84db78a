/* SPDX-License-Identifier: Apache-2.0 */
#include "models/summary.h"

#include "base/checked.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

moe_status_t moe_summary_init(int world, bool with_pairs,
                              moe_summary_t *summary_p)
{
    moe_summary_t s = {.world = world, .with_pairs = with_pairs};

    s.rank = world < 1 ? NULL : calloc((size_t)world, sizeof(*s.rank));
    if (s.rank == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the sums of %d ranks",
                        world);
    }
    *summary_p = s;
    return MOE_OK;
}

void moe_summary_fini(moe_summary_t *summary)
{
    for (int r = 0; summary->rank != NULL && r < summary->world; r++) {
        free(summary->rank[r].rows_per_expert);
    }
    for (int s = 0; s < MOE_STAGE_COUNT; s++) {
        free(summary->pairs[s]);
        summary->pairs[s] = NULL;
    }
    free(summary->rank);
    summary->rank = NULL;
}

static moe_status_t add_pairs(moe_summary_t *summary,
                              const moe_trace_record_t *record)
{
    int64_t **pairs = &summary->pairs[record->stage];
    size_t n;

    if (!summary->with_pairs) {
        return MOE_OK;
    }
    if (*pairs == NULL) {
        *pairs = moe_mul_size(summary->world, summary->world, &n)
                     ? calloc(n, sizeof(**pairs))
                     : NULL;
    }
    if (*pairs == NULL) {
        return moe_fail(MOE_ERR_NOMEM,
                        "no memory for the bytes of %d x %d "
                        "pairs of ranks",
                        summary->world, summary->world);
    }
    moe_trace_add_pairs(record, summary->world, *pairs);
    return MOE_OK;
}

/* A rank's own rows are in a collective; in a broadcast only the root's are. */
static bool has_own_rows(const moe_trace_record_t *record)
{
    return record->op != MOE_OP_broadcast ||
           record->transfer.root == record->transfer.me;
}

static moe_status_t add_collective(moe_summary_t *summary,
                                   const moe_trace_record_t *record)
{
    moe_summary_rank_t *rank = &summary->rank[record->rank];
    moe_bytes_t *bytes = &rank->stage[record->stage];
    moe_op_t op = moe_trace_moves(record);
    moe_algorithm_t algorithm = moe_wire_algorithm(op);
    moe_wire_t wire = moe_wire(op, algorithm, &record->transfer);

    bytes->payload += record->payload;
    bytes->carried += record->carried;
    bytes->wire_sent += wire.sent;
    bytes->wire_received += wire.received;
    summary->algorithms[record->stage] |= 1U << algorithm;
    if (record->op == op && moe_stage_is_dispatch(record->stage) &&
        has_own_rows(record)) {
        rank->dispatch_row_bytes += record->transfer.row_bytes;
    }
    return add_pairs(summary, record);
}

static moe_status_t keep_experts(moe_summary_rank_t *rank,
                                 const moe_trace_record_t *record)
{
    size_t n = (size_t)record->n_experts;

    if (record->n_experts == 0 || rank->rows_per_expert != NULL) {
        return MOE_OK;
    }
    rank->rows_per_expert = calloc(n, sizeof(*rank->rows_per_expert));
    if (rank->rows_per_expert == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the rows of %lld experts",
                        (long long)record->n_experts);
    }
    memcpy(rank->rows_per_expert, record->rows_per_expert,
           n * sizeof(*rank->rows_per_expert));
    rank->n_experts = record->n_experts;
    return MOE_OK;
}

static moe_status_t add_record(void *self, const moe_trace_record_t *record)
{
    moe_summary_t *summary = self;

    if (record->rank < 0 || record->rank >= summary->world) {
        return moe_fail(MOE_ERR_RANGE, "a record of rank %d of %d",
                        record->rank, summary->world);
    }
    summary->rank[record->rank].calls[record->op]++;
    if (moe_trace_moves(record) != MOE_OP_agree) {
        return add_collective(summary, record);
    }
    return moe_op_plane(record->op) == MOE_PLANE_LOCAL
               ? keep_experts(&summary->rank[record->rank], record)
               : MOE_OK;
}

static void note_memory(void *self, int rank, int64_t bytes)
{
    moe_summary_t *summary = self;

    if (rank >= 0 && rank < summary->world &&
        bytes > summary->rank[rank].peak_bytes) {
        summary->rank[rank].peak_bytes = bytes;
    }
}

moe_trace_sink_t moe_summary_sink(moe_summary_t *summary)
{
    moe_trace_sink_t sink = {
        .self = summary, .record = add_record, .memory = note_memory};

    return sink;
}

moe_bytes_t moe_summary_bytes(const moe_summary_t *summary, int rank,
                              moe_stage_set_t stages)
{
    moe_bytes_t sum = {0};

    for (int s = 0; s < MOE_STAGE_COUNT; s++) {
        const moe_bytes_t *of = &summary->rank[rank].stage[s];

        if ((stages >> s & 1) != 0) {
            sum.payload += of->payload;
            sum.carried += of->carried;
            sum.wire_sent += of->wire_sent;
            sum.wire_received += of->wire_received;
        }
    }
    return sum;
}

void moe_summary_add_pairs(const moe_summary_t *summary, moe_stage_set_t stages,
                           int64_t *out)
{
    int64_t n = (int64_t)summary->world * summary->world;

    for (int s = 0; s < MOE_STAGE_COUNT; s++) {
        if ((stages >> s & 1) == 0 || summary->pairs[s] == NULL) {
            continue;
        }
        for (int64_t i = 0; i < n; i++) {
            out[i] += summary->pairs[s][i];
        }
    }
}

int64_t moe_summary_dispatch_bytes_per_token(const moe_summary_t *summary)
{
    int64_t most = 0;

    for (int r = 0; r < summary->world; r++) {
        int64_t bytes = summary->rank[r].dispatch_row_bytes;

        most = bytes > most ? bytes : most;
    }
    return most;
}

void moe_summary_algorithms(const moe_summary_t *summary,
                            moe_stage_set_t stages, char *out, size_t size)
{
    uint32_t set = 0;
    size_t used = 0;

    for (int s = 0; s < MOE_STAGE_COUNT; s++) {
        set |= (stages >> s & 1) != 0 ? summary->algorithms[s] : 0;
    }
    (void)snprintf(out, size, "%s", set == 0 ? "none" : "");
    for (int a = 0; a < MOE_ALGORITHM_COUNT; a++) {
        if ((set >> a & 1) != 0 && used < size) {
            int n =
                snprintf(out + used, size - used, "%s%s", used > 0 ? "," : "",
                         moe_algorithm_name((moe_algorithm_t)a));

            used += n > 0 ? (size_t)n : 0;
        }
    }
}

static moe_status_t tee_record(void *self, const moe_trace_record_t *record)
{
    const moe_tee_t *tee = self;
    moe_status_t status = MOE_OK;

    for (int i = 0; i < tee->n && status == MOE_OK; i++) {
        if (tee->sink[i]->record != NULL) {
            status = tee->sink[i]->record(tee->sink[i]->self, record);
        }
    }
    return status;
}

static void tee_memory(void *self, int rank, int64_t bytes)
{
    const moe_tee_t *tee = self;

    for (int i = 0; i < tee->n; i++) {
        if (tee->sink[i]->memory != NULL) {
            tee->sink[i]->memory(tee->sink[i]->self, rank, bytes);
        }
    }
}

static void tee_timed(void *self, int rank, int64_t record, double start_s,
                      double wall_s)
{
    const moe_tee_t *tee = self;

    for (int i = 0; i < tee->n; i++) {
        const moe_trace_sink_t *sink = tee->sink[i];

        if (sink->timed != NULL) {
            sink->timed(sink->self, rank, record, start_s, wall_s);
        }
    }
}

moe_trace_sink_t moe_tee_sink(moe_tee_t *tee)
{
    moe_trace_sink_t sink = {.self = tee,
                             .record = tee_record,
                             .memory = tee_memory,
                             .timed = tee_timed};

    return sink;
}
