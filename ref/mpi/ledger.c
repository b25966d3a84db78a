/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/mpi/ledger.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Lines are kept as text: what is gathered is what is written. */
struct moe_ledger {
    int rank;
    int64_t n;
    char *text; /* lines, each ended by a newline */
    size_t used;
    size_t size;
};

moe_status_t moe_ledger_create(int rank, moe_ledger_t **ledger_p)
{
    moe_ledger_t *ledger = calloc(1, sizeof(*ledger));

    if (ledger == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for the ledger");
    }
    ledger->rank = rank;
    *ledger_p = ledger;
    return MOE_OK;
}

void moe_ledger_free(moe_ledger_t *ledger)
{
    if (ledger != NULL) {
        free(ledger->text);
        free(ledger);
    }
}

int64_t moe_ledger_count(const moe_ledger_t *ledger)
{
    return ledger->n;
}

static json_t *numbers(const int64_t *value, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++) {
        (void)json_array_append_new(list, json_integer(value[i]));
    }
    return list;
}

static json_t *ranks_of(const moe_transfer_t *t)
{
    json_t *list = json_array();

    for (int i = 0; i < t->n; i++) {
        (void)json_array_append_new(list, json_integer(t->ranks[i]));
    }
    return list;
}

static json_t *moved(const moe_trace_record_t *r, const moe_ledger_mpi_t *mpi)
{
    json_t *list = json_array();

    if (mpi->function != NULL) {
        (void)json_array_append_new(list, json_string(mpi->function));
    }
    if (mpi->second != NULL) {
        (void)json_array_append_new(list, json_string(mpi->second));
    }
    return json_pack("{s:o, s:I, s:I, s:I, s:I}", "functions", list, "calls",
                     (json_int_t)mpi->calls, "bytes", (json_int_t)mpi->bytes,
                     "carried", (json_int_t)r->carried, "redone",
                     (json_int_t)mpi->redone);
}

/* How a plan's numbers travel; NULL for the stages' collectives. */
static const char *agreed_by(const moe_trace_record_t *r)
{
    return r->op == MOE_OP_agree ? moe_agree_name(r->agree_kind) : NULL;
}

static json_t *line_of(const moe_ledger_t *ledger, const char *method,
                       const moe_trace_record_t *r, const moe_ledger_mpi_t *mpi)
{
    const moe_transfer_t *t = &r->transfer;

    return json_pack(
        "{s:I, s:i, s:s, s:s, s:s, s:s*, s:I, s:s, s:o, s:o, s:o, s:s, s:I, "
        "s:i,"
        " s:I, s:i, s:o}",
        "seq", (json_int_t)ledger->n + 1, "rank", ledger->rank, "method",
        method, "stage", moe_stage_name(r->stage), "op", moe_op_name(r->op),
        "agree", agreed_by(r), "call", (json_int_t)r->call, "group",
        moe_group_name(r->group), "ranks", ranks_of(t), "send_rows",
        numbers(t->send_rows, t->n), "recv_rows", numbers(t->recv_rows, t->n),
        "dtype", moe_dtype_name(r->dtype), "row_bytes",
        (json_int_t)t->row_bytes, "root", t->root, "payload",
        (json_int_t)r->payload, "bracket", r->bracket, "mpi", moved(r, mpi));
}

/* Room for n more bytes. */
static bool grow(moe_ledger_t *ledger, size_t n)
{
    size_t size = ledger->size + ledger->size / 2 + n;
    char *text;

    if (ledger->used + n <= ledger->size) {
        return true;
    }
    text = realloc(ledger->text, size);
    if (text == NULL) {
        return false;
    }
    ledger->text = text;
    ledger->size = size;
    return true;
}

moe_status_t moe_ledger_add(moe_ledger_t *ledger, const char *method,
                            const moe_trace_record_t *record,
                            const moe_ledger_mpi_t *mpi)
{
    json_t *line = line_of(ledger, method, record, mpi);
    char *text = line == NULL ? NULL : json_dumps(line, JSON_COMPACT);
    size_t n = text == NULL ? 0 : strlen(text);
    moe_status_t status = MOE_OK;

    json_decref(line);
    if (text == NULL || !grow(ledger, n + 1)) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for the ledger");
    } else {
        memcpy(ledger->text + ledger->used, text, n);
        ledger->text[ledger->used + n] = '\n';
        ledger->used += n + 1;
        ledger->n++;
    }
    free(text);
    return status;
}

/* Move the first line of what is left to the stream. */
static bool write_line(moe_blob_t *left, FILE *stream)
{
    const char *text = left->data;
    const char *end = memchr(text, '\n', (size_t)left->size);
    size_t n = end == NULL ? (size_t)left->size : (size_t)(end - text) + 1;
    bool good = fwrite(text, 1, n, stream) == n;

    left->data = (char *)left->data + n;
    left->size -= (int64_t)n;
    return good;
}

/* Rank r's line i has the sequence number i + 1. */
static moe_status_t merge(moe_blob_t *all, int ranks, FILE *stream)
{
    bool left = true;

    while (left) {
        left = false;
        for (int r = 0; r < ranks; r++) {
            if (all[r].size == 0) {
                continue;
            }
            left = true;
            if (!write_line(&all[r], stream)) {
                return moe_fail(MOE_ERR_IO, "cannot write the ledger: %s",
                                strerror(errno));
            }
        }
    }
    return MOE_OK;
}

moe_status_t moe_ledger_write(const moe_ledger_t *ledger, moe_world_t *world,
                              FILE *stream)
{
    moe_blob_t *all = NULL;
    moe_status_t status =
        moe_world_gather(world, 0, ledger->text, (int64_t)ledger->used, &all);

    if (status == MOE_OK && all != NULL) {
        status = merge(all, moe_world_size(world), stream);
    }
    moe_blobs_free(all);
    return status;
}
