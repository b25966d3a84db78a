/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's layer, as libmoeref exports it. */
#include "config.h"

#include "moe/fill.h"
#include "moe/fill_rows.h"
#include "ref/moeref_inside.h"
#include "ref/weights.h"

#include <stdlib.h>
#include <string.h>

const char *moeref_error(void)
{
    return moe_error_text();
}

moeref_status_t moe_moeref_status(moe_status_t status)
{
    return status == MOE_OK                ? MOEREF_OK
           : status == MOE_ERR_NOMEM       ? MOEREF_ERR_MEMORY
           : status == MOE_ERR_UNSUPPORTED ? MOEREF_ERR_UNSUPPORTED
                                           : MOEREF_ERR_ARGUMENT;
}

moe_ref_case_t moe_moeref_about(const moeref_case_t *c)
{
    return (moe_ref_case_t){.model = &c->settings.model,
                            .chain = c->settings.chain,
                            .seed = c->settings.seed,
                            .data = c->settings.data,
                            .tokens = c->settings.tokens,
                            .experts = c->settings.local};
}

moe_role_t moe_moeref_role(const char *name, size_t n)
{
    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_output; r++) {
        const char *role = moe_role_name((moe_role_t)r);

        if (moe_ref_layer_has((moe_role_t)r) && strlen(role) == n &&
            memcmp(role, name, n) == 0) {
            return (moe_role_t)r;
        }
    }
    return MOE_ROLE_none;
}

moeref_case_t *moeref_case_new(const char *settings)
{
    moeref_case_t *c = calloc(1, sizeof(*c));
    moe_ref_case_t case_of;
    moe_status_t status;

    moe_error_clear();
    if (c == NULL) {
        (void)moe_fail(MOE_ERR_NOMEM, "no memory for a case");
        return NULL;
    }
    status = moe_case_read(settings, &c->settings);
    if (status == MOE_OK) {
        case_of = moe_moeref_about(c);
        status = moe_ref_layer_init(&case_of, &c->layer);
    }
    if (status != MOE_OK) {
        free(c);
        return NULL;
    }
    return c;
}

void moeref_case_free(moeref_case_t *c)
{
    if (c == NULL) {
        return;
    }
    moe_ref_layer_fini(&c->layer);
    for (int i = 0; i < 2; i++) {
        moe_ref_rows_free(&c->weights[i]);
        free(c->decode[i]);
        free(c->bias[i]);
    }
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        free(c->abs[r]);
    }
    free(c);
}

/* Name of an element type, NULL for none. */
static const char *dtype_of(moe_dtype_t dtype)
{
    return dtype == MOE_DTYPE_none ? NULL : moe_dtype_name(dtype);
}

static moeref_tensor_t tensor_of(const moe_rows_t *rows)
{
    const moe_format_info_t *info = moe_format_info(rows->storage.format);

    return (moeref_tensor_t){
        .dtype = dtype_of(info->code),
        .scale_dtype = dtype_of(info->scale),
        .data = rows->codes,
        .scales = rows->scales,
        .rows = rows->rows,
        .cols = rows->cols,
        .blocks = moe_format_scale_cols(rows->storage.format, rows->cols),
        .global_scale = rows->storage.global_scale,
        .decode_scale = moe_storage_decode(&rows->storage)};
}

/* A plain array of the case. */
static moeref_tensor_t array_of(moe_dtype_t dtype, void *data, int64_t rows,
                                int64_t cols)
{
    return (moeref_tensor_t){
        .dtype = dtype_of(dtype), .data = data, .rows = rows, .cols = cols};
}

/* Weights of one expert, to rows from `first` on. */
static void draw_expert(const moeref_case_t *c, moe_weight_t weight,
                        int64_t expert, const moe_rows_t *all, int64_t first)
{
    const moe_model_t *m = &c->settings.model;
    const moe_draw_t from = {c->settings.data, c->settings.seed, m};
    const moe_format_t format = all->storage.format;
    const int64_t rows = moe_weight_rows(m, weight);
    uint8_t *codes = moe_rows_codes(all, first);
    uint8_t *to = all->scales != NULL ? (uint8_t *)all->scales +
                                            first * moe_rows_scale_bytes(all)
                                      : NULL;

    moe_draw_rows(&from, weight, format, expert, 0, rows, 0, all->cols, codes,
                  to);
}

static moe_status_t draw_weights(moeref_case_t *c, moe_weight_t weight)
{
    const moe_model_t *m = &c->settings.model;
    const moe_range_t local = c->settings.local;
    const int64_t rows = moe_weight_rows(m, weight);
    const int64_t cols = moe_weight_cols(m, weight);
    const moe_storage_t storage = {.format = c->settings.chain.weights};
    moe_rows_t *all = &c->weights[weight];
    moe_status_t status = MOE_OK;

    if (all->codes != NULL) {
        return MOE_OK;
    }
    status = moe_ref_rows_alloc(&storage, (local.end - local.begin) * rows,
                                cols, all);
    for (int64_t e = 0; status == MOE_OK && e < local.end - local.begin; e++) {
        draw_expert(c, weight, local.begin + e, all, e * rows);
    }
    return status;
}

static moe_status_t get_weights(moeref_case_t *c, moe_weight_t weight,
                                moeref_tensor_t *tensor)
{
    moe_status_t status = draw_weights(c, weight);

    if (status == MOE_OK) {
        *tensor = tensor_of(&c->weights[weight]);
        if (moe_format_info(c->settings.chain.weights)->has_global) {
            tensor->decode_scale =
                c->settings.model.expert_scales
                    ? 0.0f
                    : moe_ref_weights_global(&c->layer.weights[weight], 0);
        }
    }
    return status;
}

/* Decode global scales of the local experts' weights. */
static moe_status_t get_decode(moeref_case_t *c, moe_weight_t weight,
                               moeref_tensor_t *tensor)
{
    const int64_t n = c->settings.local.end - c->settings.local.begin;
    float *decode = c->decode[weight];

    if (!moe_format_info(c->settings.chain.weights)->has_global) {
        return moe_fail(MOE_ERR_INPUT, "weights in %s have no global scale",
                        moe_format_name(c->settings.chain.weights));
    }
    if (decode == NULL) {
        decode = calloc((size_t)n + 1, sizeof(*decode));
    }
    if (decode == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for global scales");
    }
    for (int64_t e = 0; e < n; e++) {
        decode[e] = moe_ref_weights_global(&c->layer.weights[weight], e);
    }
    c->decode[weight] = decode;
    *tensor = array_of(MOE_DTYPE_fp32, decode, n, 1);
    return MOE_OK;
}

/* What the local experts add after a matmul. */
static moe_status_t get_biases(moeref_case_t *c, moe_weight_t weight,
                               moeref_tensor_t *tensor)
{
    const moe_range_t local = c->settings.local;
    const int64_t rows = moe_weight_rows(&c->settings.model, weight);
    const int64_t n = local.end - local.begin;
    float *bias = c->bias[weight];

    if (!c->settings.model.expert_bias) {
        return moe_fail(MOE_ERR_INPUT, "experts of this case have no biases");
    }
    if (bias == NULL) {
        bias = calloc((size_t)(n * rows) + 1, sizeof(*bias));
        if (bias == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for biases");
        }
        for (int64_t e = 0; e < n; e++) {
            moe_fill_expert_bias(c->settings.seed, weight, local.begin + e, 0,
                                 rows, bias + e * rows);
        }
        c->bias[weight] = bias;
    }
    *tensor = array_of(MOE_DTYPE_fp32, bias, n, rows);
    return MOE_OK;
}

/* Who the pairs are; the ids have to be there. */
static moe_status_t get_pairs(moeref_case_t *c, const char *name,
                              moeref_tensor_t *tensor)
{
    moe_status_t status = moe_ref_layer_make(&c->layer, MOE_ROLE_topk_ids);
    const moe_ref_pairs_t *pairs = &c->layer.pairs;
    int64_t n = 0;
    int64_t cols;

    if (status != MOE_OK) {
        return status;
    }
    (void)moe_ref_layer_shape(&c->layer, MOE_ROLE_expert_in, &n, &cols);
    *tensor =
        strcmp(name, "token") == 0
            ? array_of(MOE_DTYPE_i64, pairs->token, n, 1)
            : array_of(MOE_DTYPE_i32,
                       strcmp(name, "slot") == 0 ? pairs->slot : pairs->expert,
                       n, 1);
    return MOE_OK;
}

static moe_status_t get_abs(moeref_case_t *c, moe_role_t role,
                            moeref_tensor_t *tensor)
{
    moe_status_t status = moe_ref_layer_make(&c->layer, role);
    int64_t rows;
    int64_t cols;

    if (status == MOE_OK && moe_ref_layer_is_code(&c->layer, role)) {
        return moe_fail(MOE_ERR_INPUT, "%s are codes, without a bound",
                        moe_role_name(role));
    }
    if (status != MOE_OK ||
        !moe_ref_layer_shape(&c->layer, role, &rows, &cols)) {
        return status;
    }
    if (c->abs[role] == NULL) {
        c->abs[role] = calloc((size_t)(rows * cols) + 1, sizeof(float));
        if (c->abs[role] == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for bounds");
        }
        status = moe_ref_layer_abs(&c->layer, role, c->abs[role]);
    }
    *tensor = array_of(MOE_DTYPE_fp32, c->abs[role], rows, cols);
    return status;
}

static moe_status_t get_router(moeref_case_t *c, const char *name,
                               moeref_tensor_t *tensor)
{
    const moe_model_t *m = &c->settings.model;
    moe_status_t status = moe_ref_layer_make(&c->layer, MOE_ROLE_logits);

    if (status == MOE_OK && strcmp(name, "bias") == 0) {
        status = moe_ref_layer_make(&c->layer, MOE_ROLE_topk_ids);
        if (status == MOE_OK && c->layer.bias == NULL) {
            return moe_fail(MOE_ERR_INPUT, "this router has no bias");
        }
        *tensor = array_of(MOE_DTYPE_fp32, c->layer.bias, 1, m->experts);
    } else {
        *tensor =
            array_of(MOE_DTYPE_bf16, c->layer.router, m->experts, m->hidden);
    }
    return status;
}

static moe_status_t get(moeref_case_t *c, const char *name,
                        moeref_tensor_t *tensor)
{
    const char *dot = strrchr(name, '.');
    moe_role_t role = moe_moeref_role(name, strlen(name));
    moe_status_t status;

    if (role != MOE_ROLE_none) {
        status = moe_ref_layer_make(&c->layer, role);
        *tensor = tensor_of(&c->layer.at[role]);
        return status;
    }
    if (strcmp(name, "w13") == 0 || strcmp(name, "w2") == 0) {
        return get_weights(c, strcmp(name, "w2") == 0 ? MOE_W2 : MOE_W13,
                           tensor);
    }
    if (strcmp(name, "w13.decode") == 0 || strcmp(name, "w2.decode") == 0) {
        return get_decode(c, strcmp(name, "w2.decode") == 0 ? MOE_W2 : MOE_W13,
                          tensor);
    }
    if (strcmp(name, "w13.bias") == 0 || strcmp(name, "w2.bias") == 0) {
        return get_biases(c, name[1] == '2' ? MOE_W2 : MOE_W13, tensor);
    }
    if (strcmp(name, "token") == 0 || strcmp(name, "slot") == 0 ||
        strcmp(name, "expert") == 0) {
        return get_pairs(c, name, tensor);
    }
    if (strcmp(name, "router") == 0 || strcmp(name, "bias") == 0) {
        return get_router(c, name, tensor);
    }
    role = dot != NULL && strcmp(dot, ".abs") == 0
               ? moe_moeref_role(name, (size_t)(dot - name))
               : MOE_ROLE_none;
    return role != MOE_ROLE_none
               ? get_abs(c, role, tensor)
               : moe_fail(MOE_ERR_INPUT, "a case has no tensor '%s'", name);
}

moeref_status_t moeref_case_tensor(moeref_case_t *c, const char *name,
                                   moeref_tensor_t *tensor)
{
    moeref_tensor_t found = {0};
    moe_status_t status;

    moe_error_clear();
    status = get(c, name, &found);
    if (status == MOE_OK) {
        *tensor = found;
    }
    return moe_moeref_status(status);
}
