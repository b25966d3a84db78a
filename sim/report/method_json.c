/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/report/method_json.h"

#include "base/checked.h"

#include <stdlib.h>

bool moe_json_set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

bool moe_json_append(json_t *list, json_t *value)
{
    return json_array_append_new(list, value) == 0;
}

json_t *moe_json_method(const moe_method_use_t *use)
{
    const moe_option_t *option = use->method->options;
    json_t *options = json_object();
    json_t *method = json_object();
    bool good = true;
    char text[MOE_OPTION_TEXT];
    int i;

    for (i = 0; option != NULL && option[i].key != NULL; ++i) {
        good = good && moe_json_set(options, option[i].key,
                                    json_string(moe_option_text(
                                        &option[i], use->options[i], text)));
    }
    good = good &&
           moe_json_set(method, "name", json_string(use->method->name)) &&
           moe_json_set(method, "label", json_string(use->label)) &&
           json_object_set(method, "options", options) == 0 &&
           moe_json_set(method, "contract", moe_json_contract(&use->chain));
    json_decref(options);
    if (!good) {
        json_decref(method);
        return NULL;
    }
    return method;
}

static json_t *real_or_null(bool is_real, double value)
{
    return is_real ? json_real(value) : json_null();
}

/* One number of each rank, summed over stages. */
static json_t *rank_list(const moe_summary_t *summary, moe_stage_set_t stages,
                         int64_t (*pick)(const moe_bytes_t *bytes))
{
    json_t *list = json_array();
    int r;

    for (r = 0; r < summary->world; ++r) {
        moe_bytes_t bytes = moe_summary_bytes(summary, r, stages);

        if (!moe_json_append(list, json_integer(pick(&bytes)))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int64_t payload(const moe_bytes_t *bytes)
{
    return bytes->payload;
}

static int64_t wire_sent(const moe_bytes_t *bytes)
{
    return bytes->wire_sent;
}

static int64_t wire_received(const moe_bytes_t *bytes)
{
    return bytes->wire_received;
}

static int64_t carried(const moe_bytes_t *bytes)
{
    return bytes->carried;
}

/* [W][W] as a list of lists. */
static json_t *pair_lists(const moe_summary_t *summary, moe_stage_set_t stages)
{
    size_t w = (size_t)summary->world;
    int64_t *pairs = calloc(w * w, sizeof(*pairs));
    json_t *rows = json_array();
    bool good = pairs != NULL && rows != NULL;
    size_t r;
    size_t i;

    if (good) {
        moe_summary_add_pairs(summary, stages, pairs);
    }
    for (r = 0; r < w && good; ++r) {
        json_t *row = json_array();

        for (i = 0; i < w && good; ++i) {
            good = moe_json_append(row, json_integer(pairs[r * w + i]));
        }
        good = moe_json_append(rows, row) && good;
    }
    free(pairs);
    if (!good) {
        json_decref(rows);
        return NULL;
    }
    return rows;
}

static bool set_bytes(json_t *object, const moe_summary_t *summary,
                      moe_stage_set_t stages)
{
    char names[128];

    moe_summary_algorithms(summary, stages, names, sizeof(names));
    return moe_json_set(object, "payload_bytes",
                        rank_list(summary, stages, payload)) &&
           moe_json_set(object, "wire_sent_bytes",
                        rank_list(summary, stages, wire_sent)) &&
           moe_json_set(object, "wire_received_bytes",
                        rank_list(summary, stages, wire_received)) &&
           moe_json_set(object, "wire_algorithm", json_string(names)) &&
           moe_json_set(object, "carried_bytes",
                        rank_list(summary, stages, carried)) &&
           (!summary->with_pairs ||
            moe_json_set(object, "pair_bytes", pair_lists(summary, stages)));
}

bool moe_json_bytes(json_t *method, const moe_model_t *model,
                    const moe_summary_t *summary)
{
    int64_t row = moe_summary_dispatch_bytes_per_token(summary);
    int64_t bf16 = moe_format_row_bytes(MOE_FORMAT_bf16, model->hidden);

    return moe_json_set(method, "dispatch_bytes_per_token",
                        json_integer(row)) &&
           moe_json_set(method, "ratio_to_bf16",
                        real_or_null(row > 0, (double)row / (double)bf16)) &&
           set_bytes(method, summary, (1u << MOE_STAGE_COUNT) - 1);
}

/* Rows of a format, as a rank has on average; their bytes, no headers. */
static double mean_bytes(const moe_layer_t *layer, int64_t rows,
                         moe_format_t format)
{
    return (double)rows / moe_layout_world(&layer->layout) *
           (double)moe_format_row_bytes(format, layer->model->hidden);
}

bool moe_json_counted(json_t *method, const moe_method_use_t *use,
                      const moe_layer_t *layer, const moe_routing_t *routing)
{
    moe_formula_t f = {
        .layer = layer, .options = use->options, .routing = routing};
    int64_t rows = 0;

    if (use->method->counted == NULL) {
        return true;
    }
    for (f.rank = 0; f.rank < moe_layout_world(&layer->layout); f.rank++) {
        rows += use->method->counted(&f);
    }
    return moe_json_set(
        method, "counted_bytes",
        json_pack(
            "{s:f, s:f}", "dispatch",
            mean_bytes(layer, rows, use->chain.at[MOE_ROLE_dispatch].format),
            "combine",
            mean_bytes(layer, rows, use->chain.at[MOE_ROLE_combine].format)));
}

static int64_t rows_of(const moe_summary_rank_t *rank)
{
    int64_t rows = 0;

    for (int64_t e = 0; e < rank->n_experts; e++) {
        rows += rank->rows_per_expert[e];
    }
    return rows;
}

/* Rows that a rank's experts compute: bins, 0 of the fullest one's rows, or
 * where there are none, bin < 0, whole blocks. */
static int64_t rows_computed(const moe_summary_rank_t *rank, int64_t block,
                             int64_t bin)
{
    int64_t blocks = 0;

    for (int64_t e = 0; e < rank->n_experts; e++) {
        const int64_t n = rank->rows_per_expert[e];

        blocks += moe_div_up(n, block) * block;
        bin = bin >= 0 && n > bin ? n : bin;
    }
    return bin < 0 ? blocks : bin * rank->n_experts;
}

bool moe_json_rows(json_t *method, const moe_method_use_t *use,
                   const moe_layer_t *layer, const moe_routing_t *routing,
                   const moe_summary_t *summary)
{
    const int64_t block = moe_method_expert_block(use);
    const bool bins = moe_method_bin(layer, use, 0) >= 0;
    const moe_range_t all = {0, moe_layer_total_tokens(layer)};
    json_t *padded = block > 1 || bins ? json_array() : NULL;
    json_t *left_out = bins ? json_array() : NULL;

    for (int r = 0; padded != NULL && r < summary->world; r++) {
        const moe_summary_rank_t *rank = &summary->rank[r];
        const int64_t rows = rows_of(rank);

        (void)json_array_append_new(
            padded, json_integer(rows_computed(rank, block,
                                               moe_method_bin(layer, use, r)) -
                                 rows));
        (void)json_array_append_new(
            left_out,
            json_integer(moe_routing_pairs(
                             routing, all,
                             moe_layout_experts(&layer->layout,
                                                layer->model->experts, r)) -
                         rows));
    }
    return (padded == NULL || moe_json_set(method, "padded_rows", padded)) &&
           (left_out == NULL ||
            moe_json_set(method, "left_out_rows", left_out));
}

/* Max over mean; false if all are 0. */
static bool imbalance(const int64_t *n, int64_t count, double *out_p)
{
    double sum = 0.0;
    double most = 0.0;
    int64_t i;

    for (i = 0; i < count; ++i) {
        sum += (double)n[i];
        most = (double)n[i] > most ? (double)n[i] : most;
    }
    if (sum <= 0.0) {
        return false;
    }
    *out_p = most * (double)count / sum;
    return true;
}

/* Rows of the places of an ep group, from those of their experts. */
static bool imbalance_of_ranks(const moe_layer_t *layer, const int64_t *rows,
                               double *ratio)
{
    const int ep = layer->layout.ep;
    int64_t *sums = calloc((size_t)ep, sizeof(*sums));
    bool known;

    for (int r = 0; sums != NULL && r < ep; r++) {
        const moe_range_t own =
            moe_layout_experts(&layer->layout, layer->model->experts, r);

        for (int64_t e = own.begin; e < own.end; e++) {
            sums[r] += rows[e];
        }
    }
    known = sums != NULL && imbalance(sums, ep, ratio);
    free(sums);
    return known;
}

bool moe_json_imbalance(json_t *method, const moe_layer_t *layer,
                        const moe_routing_t *routing)
{
    int64_t experts = layer->model->experts;
    int64_t *rows = calloc((size_t)experts, sizeof(*rows));
    json_t *object = json_object();
    double ratio = 0.0;
    bool known;
    bool good = rows != NULL;

    if (good) {
        moe_routing_count(routing, routing->first, routing->first + routing->n,
                          rows);
        known = imbalance(layer->tokens, layer->layout.dp, &ratio);
        good = moe_json_set(object, "tokens", real_or_null(known, ratio));
        known = imbalance(rows, experts, &ratio);
        good =
            good && moe_json_set(object, "experts", real_or_null(known, ratio));
        known = imbalance_of_ranks(layer, rows, &ratio);
        good =
            good && moe_json_set(object, "ranks", real_or_null(known, ratio));
    }
    free(rows);
    return moe_json_set(method, "imbalance", object) && good;
}

static bool set_time(json_t *object, const moe_time_t *time)
{
    bool known = time != NULL;

    return moe_json_set(object, "predicted_us",
                        real_or_null(known, known ? time->us : 0.0)) &&
           moe_json_set(object, "low_us",
                        real_or_null(known, known ? time->low_us : 0.0)) &&
           moe_json_set(object, "high_us",
                        real_or_null(known, known ? time->high_us : 0.0));
}

bool moe_json_stages(json_t *method, const moe_summary_t *summary,
                     const moe_price_result_t *result)
{
    json_t *by_stage = json_object();
    bool good = true;
    int s;

    for (s = 0; s < MOE_STAGE_COUNT && good; ++s) {
        json_t *stage = json_object();

        good = set_time(stage, result != NULL ? &result->stage[s] : NULL) &&
               set_bytes(stage, summary, 1u << s);
        good = moe_json_set(by_stage, moe_stage_name((moe_stage_t)s), stage) &&
               good;
    }
    return moe_json_set(method, "by_stage", by_stage) && good;
}

static json_t *parts_object(const moe_parts_t *parts)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "launch_us", parts->launch,
                     "latency_us", parts->latency, "bandwidth_us",
                     parts->bandwidth, "memory_us", parts->memory, "compute_us",
                     parts->compute);
}

static json_t *event_object(const moe_event_t *e)
{
    return json_pack("{s:i, s:s, s:s, s:s, s:i, s:I, s:f, s:f, s:f, s:f}",
                     "rank", e->rank, "stage", moe_stage_name(e->stage), "op",
                     moe_op_name(e->op), "role", moe_role_name(e->role),
                     "stream", e->stream, "bytes", (json_int_t)e->bytes,
                     "start_us", e->start_us, "end_us", e->end_us, "low_us",
                     e->low_us, "high_us", e->high_us);
}

static json_t *constant_object(const moe_price_constant_t *c)
{
    return json_pack("{s:s, s:f, s:s, s:f, s:s, s:s, s:f}", "name", c->name,
                     "value", c->constant.value, "unit", c->unit, "error",
                     c->constant.error, "kind",
                     moe_provenance_name(c->constant.kind), "source",
                     c->constant.source, "us", c->us);
}

static bool set_lists(json_t *method, const moe_price_result_t *result)
{
    json_t *timeline = json_array();
    json_t *constants = json_array();
    bool good = true;
    size_t i;

    for (i = 0; i < result->n_events && good; ++i) {
        good = moe_json_append(timeline, event_object(&result->event[i]));
    }
    for (i = 0; i < result->n_constants && good; ++i) {
        good =
            moe_json_append(constants, constant_object(&result->constant[i]));
    }
    good = moe_json_set(method, "timeline", timeline) && good;
    return moe_json_set(method, "constants", constants) && good;
}

bool moe_json_price(json_t *method, const moe_price_result_t *result)
{
    json_t *warnings = json_array();
    bool good = set_time(method, result != NULL ? &result->total : NULL);
    size_t i;

    good = good && moe_json_set(method, "parts",
                                result != NULL ? parts_object(&result->parts)
                                               : json_null());
    if (result != NULL && good) {
        good = set_lists(method, result);
        for (i = 0; i < result->n_warnings && good; ++i) {
            good = moe_json_append(warnings, json_string(result->warning[i]));
        }
    }
    return moe_json_set(method, "warnings", warnings) && good;
}
