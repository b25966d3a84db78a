/* SPDX-License-Identifier: Apache-2.0 */
/* What goes with the tensors of a golden folder: the manifest, the
 * scenario. */
#include "config.h"

#include "base/outfile.h"
#include "base/text.h"
#include "sim/golden/golden.h"
#include "sim/golden/read.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const weights_names[] = {"seed", "local", "none"};

static json_t *range(moe_range_t r)
{
    return json_pack("[I, I]", (json_int_t)r.begin, (json_int_t)r.end);
}

/* A line of the manifest, if one is being written. */
static void add_shape(json_t *shapes, const char *name, moe_dtype_t dtype,
                      int ndim, const int64_t *dim)
{
    json_t *shape = json_array();

    for (int d = 0; d < ndim; d++) {
        (void)json_array_append_new(shape, json_integer((json_int_t)dim[d]));
    }
    (void)json_object_set_new(
        shapes, name, json_pack("[s, o]", moe_dtype_safetensors(dtype), shape));
}

void moe_golden_declare(moe_golden_file_t *f, const char *name,
                        moe_dtype_t dtype, int ndim, const int64_t *dim)
{
    if (f->status == MOE_OK) {
        f->status = moe_safetensors_declare(f->out, name, dtype, ndim, dim);
    }
    if (f->job->shapes != NULL) {
        add_shape(f->job->shapes, name, dtype, ndim, dim);
    }
}

/* What a rank's file declares. */
static moe_status_t shapes_of(moe_golden_job_t *job,
                              const moe_golden_share_t *share, json_t **shapes)
{
    const int64_t bytes = job->bytes;
    moe_status_t status;

    job->shapes = json_object();
    status = moe_golden_rank(job, share, NULL);
    *shapes = job->shapes;
    job->shapes = NULL;
    job->bytes = bytes;
    return status;
}

moe_status_t moe_golden_add_rank(moe_golden_job_t *job,
                                 const moe_golden_share_t *share)
{
    char name[64];
    json_t *shapes = NULL;
    moe_status_t status = shapes_of(job, share, &shapes);

    if (status != MOE_OK) {
        json_decref(shapes);
        return status;
    }
    (void)snprintf(name, sizeof(name), MOE_GOLDEN_FILE, share->rank);
    return json_array_append_new(
               job->ranks,
               json_pack(
                   "{s:i, s:s, s:o, s:o, s:o, s:I, s:o}", "rank", share->rank,
                   "file", name, "tokens", range(share->tokens), "all_tokens",
                   range(share->all_tokens), "experts", range(share->experts),
                   "pairs", (json_int_t)share->pairs, "tensors", shapes)) != 0
               ? moe_fail(MOE_ERR_NOMEM, "no memory for the manifest")
               : MOE_OK;
}

/* Where a method rounds and how it sums; of a run alone. */
static json_t *contract(const moe_golden_job_t *job)
{
    const moe_method_use_t *use = job->tap->use;
    const moe_contract_t *c = &use->chain.contract;
    json_t *places = json_array();
    char points[512];

    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        if ((job->held >> r & 1) != 0) {
            (void)json_array_append_new(
                places, json_string(moe_role_name((moe_role_t)r)));
        }
    }
    moe_rounding_text(c->points, points, sizeof(points));
    return json_pack(
        "{s:s, s:o, s:s, s:s, s:s, s:s}", "method", use->label, "places",
        places, "rounds", points, "sum", moe_order_name(c->sum), "reduce",
        moe_order_name(c->reduce), "weigh", moe_weigh_name(c->weigh));
}

/* The gate with capacity whose choices the folder has. */
static json_t *gate_of(const moe_golden_job_t *job)
{
    const moe_golden_gate_t *gate = job->gate;

    return gate == NULL
               ? NULL
               : json_pack("{s:s, s:s, s:s, s:I}", "method", gate->use->label,
                           "rule", moe_capacity_name(gate->rule.capacity),
                           "drop", moe_drop_name(gate->rule.drop), "capacity",
                           (json_int_t)gate->capacity);
}

/* How partial sums travel, where they are coded. */
static json_t *sums_of(const moe_golden_job_t *job)
{
    const moe_storage_t *sums = &job->sums;
    json_t *as;

    if (!moe_format_is_coded(sums->format)) {
        return NULL;
    }
    as = json_pack("{s:s, s:s}", "format", moe_format_name(sums->format),
                   "profile", moe_profile_name(sums->profile));
    if (moe_format_info(sums->format)->has_global) {
        (void)json_object_set_new(as, "global_scale",
                                  json_real((double)sums->global_scale));
    }
    return as;
}

bool moe_golden_read_sums(const json_t *as, moe_storage_t *sums_p)
{
    const char *name = json_string_value(json_object_get(as, "format"));
    const double scale = json_number_value(json_object_get(as, "global_scale"));
    moe_storage_t sums = {.global_scale = 0.0f};

    if (name == NULL || !moe_format_find(name, &sums.format) ||
        !moe_format_is_coded(sums.format)) {
        return false;
    }
    sums.profile = moe_profile_default(sums.format);
    if (moe_format_info(sums.format)->has_global) {
        sums.global_scale = (float)scale;
        if (!(scale > 0.0) || !isnormal(sums.global_scale)) {
            return false;
        }
    }
    *sums_p = sums;
    return true;
}

/* How sums over experts were made. */
static const char *order_of(const moe_golden_job_t *job, char text[64])
{
    const moe_contract_t *c;

    if (job->tap == NULL || moe_golden_tap_is_plain(job->tap)) {
        return "exact";
    }
    c = &job->tap->use->chain.contract;
    (void)snprintf(text, 64, "%s, %s", moe_order_name(c->sum),
                   moe_order_name(c->reduce));
    return text;
}

/* Expert of each slot; NULL where experts are not placed. */
static json_t *slots(const moe_layer_t *layer)
{
    json_t *list = layer->placed != NULL ? json_array() : NULL;

    for (int64_t p = 0; list != NULL && p < layer->model->experts; p++) {
        (void)json_array_append_new(
            list, json_integer((json_int_t)moe_layer_expert(layer, p)));
    }
    return list;
}

static json_t *manifest(const moe_golden_job_t *job)
{
    const moe_scenario_t *s = job->scenario;
    char order[64];

    return json_pack(
        "{s:s, s:s, s:{s:s, s:s}, s:I, s:s, s:s, s:s, s:s, s:s, s:{s:I, s:I, "
        "s:I, s:i}, s:o*, s:o*, s:O, s:o*, s:o*}",
        "schema", MOE_GOLDEN_SCHEMA, "moesim", PACKAGE_VERSION, "scenario",
        "file", "scenario.yaml", "digest", s->digest, "seed",
        (json_int_t)s->seed, "data",
        s->hidden_file != NULL ? "file" : moe_data_name(s->layer.data),
        "dispatch", moe_format_name(job->dispatch), "accumulator",
        moe_accumulator_name(MOE_ACCUMULATOR_fp32), "order",
        order_of(job, order), "weights", weights_names[job->command->weights],
        "k", "logits", (json_int_t)s->model.hidden, "gemm1_out",
        (json_int_t)s->model.hidden, "gemm2_out",
        (json_int_t)s->model.intermediate, "combine", s->model.topk, "combine",
        sums_of(job), "physical_to_logical", slots(&job->layer), "ranks",
        job->ranks, "executed", job->tap == NULL ? NULL : contract(job), "gate",
        gate_of(job));
}

static moe_status_t write_text(const moe_golden_job_t *job, const char *name,
                               const json_t *json)
{
    char *path = moe_strdup_printf("%s/%s", job->folder, name);
    moe_outfile_t *file = NULL;
    FILE *stream;
    moe_status_t status;

    status = path == NULL ? moe_fail(MOE_ERR_NOMEM, "no memory for a path")
                          : moe_outfile_open(path, &file, &stream);
    free(path);
    if (status != MOE_OK) {
        return status;
    }
    if (json != NULL) {
        if (json_dumpf(json, stream, JSON_INDENT(1)) != 0) {
            status = moe_fail(MOE_ERR_IO, "%s: cannot be written", name);
        }
        (void)fputc('\n', stream);
    } else {
        status = moe_scenario_print(job->scenario, stream);
    }
    if (status != MOE_OK) {
        moe_outfile_abort(file);
        return status;
    }
    return moe_outfile_commit(file);
}

moe_status_t moe_golden_text_bytes(const moe_golden_job_t *job,
                                   int64_t *bytes_p)
{
    json_t *root = manifest(job);
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
    char *scenario = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&scenario, &size);
    moe_status_t status = stream == NULL || text == NULL
                              ? moe_fail(MOE_ERR_NOMEM, "no memory for the "
                                                        "manifest")
                              : moe_scenario_print(job->scenario, stream);

    if (stream != NULL) {
        (void)fclose(stream);
    }
    if (status == MOE_OK) {
        *bytes_p = (int64_t)(strlen(text) + 1 + size);
    }
    json_decref(root);
    free(text);
    free(scenario);
    return status;
}

moe_status_t moe_golden_write_scenario(const moe_golden_job_t *job)
{
    return write_text(job, "scenario.yaml", NULL);
}

moe_status_t moe_golden_write_manifest(const moe_golden_job_t *job)
{
    json_t *root = manifest(job);
    moe_status_t status =
        root == NULL ? moe_fail(MOE_ERR_NOMEM, "no memory for the manifest")
                     : write_text(job, "manifest.json", root);

    json_decref(root);
    return status;
}
