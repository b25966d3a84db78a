/* SPDX-License-Identifier: Apache-2.0 */
/* golden_maker SCENARIO DIR: a golden folder of every rank, by the engine. */
#include "config.h"

#include "sim/layer_case.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum {
    TENSORS = 64
};

/* A rank's file on its way to disk. */
typedef struct {
    json_t *header;
    const void *data[TENSORS];
    size_t size[TENSORS];
    int n;
    size_t at;
} file_t;

static void die(const char *what)
{
    fprintf(stderr, "golden_maker: %s: %s\n", what, moe_error_text());
    exit(3);
}

static void add(file_t *file, const char *name, const char *dtype, int64_t rows,
                int64_t cols, const void *data, size_t size)
{
    json_t *shape =
        cols < 0 ? json_pack("[I]", (json_int_t)rows)
                 : json_pack("[I, I]", (json_int_t)rows, (json_int_t)cols);

    (void)json_object_set_new(file->header, name,
                              json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype,
                                        "shape", shape, "data_offsets",
                                        (json_int_t)file->at,
                                        (json_int_t)(file->at + size)));
    file->data[file->n] = data;
    file->size[file->n++] = size;
    file->at += size;
}

static void add_rows(file_t *file, const char *name, const moe_rows_t *rows)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);
    const int64_t blocks =
        moe_format_scale_cols(rows->storage.format, rows->cols);
    char scale[64];

    add(file, name, moe_dtype_safetensors(info->code), rows->rows, rows->cols,
        rows->codes, (size_t)(moe_rows_code_bytes(rows) * rows->rows));
    if (blocks > 0) {
        (void)snprintf(scale, sizeof(scale), "%s.scale", name);
        add(file, scale, moe_dtype_safetensors(info->scale), rows->rows, blocks,
            rows->scales,
            (size_t)(rows->rows * blocks * moe_dtype_bits(info->scale) / 8));
    }
}

static void write_file(const file_t *file, const char *path)
{
    char *text = json_dumps(file->header, JSON_COMPACT | JSON_PRESERVE_ORDER);
    FILE *stream = fopen(path, "wb");
    unsigned char length[8];

    if (text == NULL || stream == NULL) {
        die(path);
    }
    for (int i = 0; i < 8; i++) {
        length[i] = (unsigned char)(strlen(text) >> (8 * i));
    }
    (void)fwrite(length, 1, 8, stream);
    (void)fwrite(text, 1, strlen(text), stream);
    for (int i = 0; i < file->n; i++) {
        (void)fwrite(file->data[i], 1, file->size[i], stream);
    }
    if (fclose(stream) != 0) {
        die(path);
    }
    free(text);
}

static void make(const moe_scenario_t *s, moe_range_t tokens,
                 moe_range_t experts, moe_role_t last, moe_ref_layer_t *layer)
{
    const moe_ref_case_t about =
        moe_layer_case(s, MOE_FORMAT_nvfp4, tokens, experts);

    if (moe_ref_layer_init(&about, layer) != MOE_OK ||
        moe_ref_layer_make(layer, last) != MOE_OK) {
        die("layer");
    }
}

static json_t *range(moe_range_t r)
{
    return json_pack("[I, I]", (json_int_t)r.begin, (json_int_t)r.end);
}

/* Where pairs come from. */
static void add_names(file_t *file, const moe_scenario_t *s,
                      moe_ref_layer_t *layer, int32_t *rank, int64_t *token)
{
    const size_t n = (size_t)layer->index.n;

    for (size_t i = 0; i < n; i++) {
        int dp = moe_layer_owner(&s->layer, layer->pairs.token[i]);

        rank[i] = dp * s->layer.layout.tp;
        token[i] =
            layer->pairs.token[i] - moe_layer_tokens(&s->layer, dp).begin;
    }
    add(file, "src_rank", "I32", (int64_t)n, -1, rank, 4 * n);
    add(file, "src_token", "I64", (int64_t)n, -1, token, 8 * n);
    add(file, "slot", "I32", (int64_t)n, -1, layer->pairs.slot, 4 * n);
    add(file, "expert", "I32", (int64_t)n, -1, layer->pairs.expert, 4 * n);
}

static void make_rank(const moe_scenario_t *s, int rank, const char *folder,
                      json_t *ranks)
{
    const moe_layout_t *layout = &s->layer.layout;
    const moe_range_t all = {0, moe_layer_total_tokens(&s->layer)};
    const moe_range_t own =
        moe_layer_tokens(&s->layer, moe_layout_dp_rank(layout, rank));
    const moe_range_t experts =
        moe_layout_experts(layout, s->model.experts, rank % layout->ep);
    const moe_range_t every = {0, s->model.experts};
    file_t file = {.header = json_object()};
    moe_ref_layer_t mine;
    moe_ref_layer_t theirs;
    char name[64];
    char path[4096];
    int32_t *src_rank;
    int64_t *src_token;

    make(s, own, every, MOE_ROLE_output, &mine);
    make(s, all, experts, MOE_ROLE_combine, &theirs);
    src_rank = calloc((size_t)theirs.index.n + 1, sizeof(*src_rank));
    src_token = calloc((size_t)theirs.index.n + 1, sizeof(*src_token));
    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_output; r++) {
        const bool expert = r >= MOE_ROLE_expert_in && r <= MOE_ROLE_combine;

        add_rows(&file, moe_role_name((moe_role_t)r),
                 expert ? &theirs.at[r] : &mine.at[r]);
    }
    add_names(&file, s, &theirs, src_rank, src_token);
    (void)snprintf(name, sizeof(name), "rank-%04d.safetensors", rank);
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    write_file(&file, path);
    (void)json_array_append_new(
        ranks,
        json_pack("{s:i, s:s, s:o, s:o, s:o, s:I}", "rank", rank, "file", name,
                  "tokens", range(own), "all_tokens", range(all), "experts",
                  range(experts), "pairs", (json_int_t)theirs.index.n));
    json_decref(file.header);
    moe_ref_layer_fini(&mine);
    moe_ref_layer_fini(&theirs);
    free(src_rank);
    free(src_token);
}

static void write_scenario(const moe_scenario_t *s, const char *folder)
{
    char path[4096];
    FILE *stream;

    (void)snprintf(path, sizeof(path), "%s/scenario.yaml", folder);
    stream = fopen(path, "w");
    if (stream == NULL || moe_scenario_print(s, stream) != MOE_OK ||
        fclose(stream) != 0) {
        die(path);
    }
}

int main(int argc, char **argv)
{
    moe_diag_t *diag = moe_diag_create();
    moe_scenario_t *s = NULL;
    json_t *ranks = json_array();
    json_t *manifest;
    char path[4096];

    if (argc != 3 ||
        moe_scenario_load(argv[1], NULL, 0, 0, diag, &s) != MOE_OK) {
        moe_diag_print(diag, stderr);
        die("usage: golden_maker SCENARIO DIR");
    }
    write_scenario(s, argv[2]);
    for (int r = 0; r < moe_layout_world(&s->layer.layout); r++) {
        make_rank(s, r, argv[2], ranks);
    }
    manifest = json_pack("{s:s, s:s, s:{s:s, s:s}, s:I, s:s, s:s, s:o}",
                         "schema", "moesim-golden-1", "moesim", PACKAGE_VERSION,
                         "scenario", "file", "scenario.yaml", "digest",
                         s->digest, "seed", (json_int_t)s->seed, "data",
                         "normal", "dispatch", "nvfp4", "ranks", ranks);
    (void)snprintf(path, sizeof(path), "%s/manifest.json", argv[2]);
    if (manifest == NULL ||
        json_dump_file(manifest, path, JSON_INDENT(1)) != 0) {
        die(path);
    }
    json_decref(manifest);
    moe_scenario_free(s);
    moe_diag_free(diag);
    return 0;
}
