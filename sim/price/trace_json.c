/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/price/trace_json.h"

#include <jansson.h>
#include <stdbool.h>

static moe_status_t write_line(FILE *stream, json_t *line)
{
    bool written;

    if (line == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a line of the trace");
    }
    written = json_dumpf(line, stream, JSON_COMPACT) == 0 &&
              fputc('\n', stream) != EOF;
    json_decref(line);
    return written ? MOE_OK
                   : moe_fail(MOE_ERR_IO, "cannot write a line of the trace");
}

moe_status_t moe_trace_json_begin(FILE *stream)
{
    return write_line(stream, json_pack("{s:s, s:i}", "format", "moesim-trace",
                                        "version", MOE_TRACE_VERSION));
}

/* Takes value; false if there was none, or no memory. */
static bool set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static json_t *ids(const int *id, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n && list != NULL; i++) {
        if (json_array_append_new(list, json_integer(id[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *numbers(const int64_t *value, int64_t n)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < n && list != NULL; i++) {
        if (json_array_append_new(list, json_integer(value[i])) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

/* Rows by member: one number if they are even. */
static json_t *rows_by_member(const int64_t *rows, int n)
{
    for (int i = 1; i < n; i++) {
        if (rows[i] != rows[0]) {
            return numbers(rows, n);
        }
    }
    return json_integer(rows[0]);
}

static bool set_group(json_t *line, const moe_trace_record_t *r)
{
    const moe_transfer_t *t = &r->transfer;

    if (t->n == 0) {
        return true;
    }
    if (!set(line, "group", json_string(moe_group_name(r->group))) ||
        !set(line, "ranks", ids(t->ranks, t->n)) ||
        !set(line, "payload", json_integer(r->payload))) {
        return false;
    }
    if (r->op == MOE_OP_agree &&
        !set(line, "agree", json_string(moe_agree_name(r->agree_kind)))) {
        return false;
    }
    if (moe_trace_moves(r) == MOE_OP_agree) {
        return true;
    }
    return set(line, "call", json_integer(r->call)) &&
           set(line, "carried", json_integer(r->carried)) &&
           set(line, "row_bytes", json_integer(t->row_bytes)) &&
           set(line, "send_rows", rows_by_member(t->send_rows, t->n)) &&
           set(line, "recv_rows", rows_by_member(t->recv_rows, t->n)) &&
           (t->root < 0 || set(line, "root", json_integer(t->root)));
}

static bool set_work(json_t *line, const moe_trace_record_t *r)
{
    if (moe_op_plane(r->op) != MOE_PLANE_LOCAL) {
        return true;
    }
    return set(line, "read_bytes", json_integer(r->read_bytes)) &&
           set(line, "write_bytes", json_integer(r->write_bytes)) &&
           set(line, "flops", json_real(r->flops)) &&
           (r->n_experts == 0 ||
            set(line, "rows_per_expert",
                numbers(r->rows_per_expert, r->n_experts)));
}

static bool set_bracket(json_t *line, const moe_trace_record_t *r)
{
    return r->bracket == 0 ||
           set(line, "bracket",
               json_pack("{s:i, s:s, s:s}", "number", r->bracket, "kind",
                         r->bracket_fused ? "fused" : "batch", "name",
                         r->bracket_name != NULL ? r->bracket_name : ""));
}

static bool set_times(json_t *line, const moe_trace_record_t *r)
{
    return !(r->wall_s > 0.0) || (set(line, "start_s", json_real(r->start_s)) &&
                                  set(line, "wall_s", json_real(r->wall_s)) &&
                                  set(line, "agree_s", json_real(r->agree_s)));
}

static bool set_all(json_t *line, const moe_trace_record_t *r)
{
    return set(line, "id", json_integer(r->id)) &&
           set(line, "rank", json_integer(r->rank)) &&
           set(line, "layer", json_integer(r->layer)) &&
           set(line, "micro_batch", json_integer(r->micro_batch)) &&
           set(line, "stage", json_string(moe_stage_name(r->stage))) &&
           set(line, "op", json_string(moe_op_name(r->op))) &&
           set(line, "read", ids(r->read, r->n_read)) &&
           set(line, "written", ids(r->written, r->n_written)) &&
           set(line, "role", json_string(moe_role_name(r->role))) &&
           set(line, "format", json_string(moe_format_name(r->format))) &&
           set(line, "operand", json_string(moe_format_name(r->operand))) &&
           set(line, "dtype", json_string(moe_dtype_name(r->dtype))) &&
           set(line, "rows", json_integer(r->rows)) &&
           set(line, "cols", json_integer(r->cols)) && set_bracket(line, r) &&
           set_group(line, r) && set_work(line, r) && set_times(line, r);
}

moe_status_t moe_trace_json_record(void *self, const moe_trace_record_t *record)
{
    const moe_trace_json_t *to = self;
    json_t *line = json_object();

    if (line != NULL && ((to->method != NULL &&
                          !set(line, "method", json_string(to->method))) ||
                         !set_all(line, record))) {
        json_decref(line);
        line = NULL;
    }
    return write_line(to->stream, line);
}
