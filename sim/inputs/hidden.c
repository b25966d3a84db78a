/* SPDX-License-Identifier: Apache-2.0 */
/* Hidden states, drawn or of a file, and router weights of a file. */
#include "sim/inputs/inputs.h"

#include "moe/draw.h"

static int64_t total_tokens(const moe_inputs_t *in)
{
    return moe_layer_total_tokens(&in->scenario->layer);
}

/* The tensor of a name, or the file's only one, with this shape. */
static moe_status_t find_tensor(moe_safetensors_t *file, const char *where,
                                const char *name, int64_t rows, int64_t cols,
                                const moe_safetensor_t **t_p)
{
    const moe_safetensor_t *t = moe_safetensors_find(file, name);

    if (t == NULL && moe_safetensors_count(file) == 1) {
        t = moe_safetensors_get(file, 0);
    }
    if (t == NULL) {
        return moe_fail(MOE_ERR_INPUT, "%s: no tensor \"%s\"", where, name);
    }
    if (t->dtype != MOE_DTYPE_bf16 || t->ndim != 2 || t->dim[0] != rows ||
        t->dim[1] != cols) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s: tensor \"%s\" is %s of %d dimensions, %lld x "
                        "%lld; expected bf16 of %lld x %lld",
                        where, t->name, moe_dtype_name(t->dtype), t->ndim,
                        (long long)t->dim[0],
                        (long long)(t->ndim > 1 ? t->dim[1] : 1),
                        (long long)rows, (long long)cols);
    }
    *t_p = t;
    return MOE_OK;
}

/* Rows first... of a tensor that somebody else wrote: every value a number. */
static moe_status_t check_finite(const char *where, const moe_safetensor_t *t,
                                 int64_t first, int64_t n, const uint16_t *bits)
{
    const uint16_t exponent = 0x7f80; /* bf16: all ones is Inf or NaN */
    int64_t cols = t->dim[1];

    for (int64_t i = 0; i < n * cols; i++) {
        if ((bits[i] & exponent) == exponent) {
            return moe_fail(MOE_ERR_INPUT,
                            "%s: tensor \"%s\": row %lld, column %lld is %s, "
                            "expected a finite number",
                            where, t->name, (long long)(first + i / cols),
                            (long long)(i % cols),
                            (bits[i] & 0x7f) != 0 ? "NaN" : "infinite");
        }
    }
    return MOE_OK;
}

static moe_status_t read_hidden(const moe_inputs_t *in, int64_t first,
                                int64_t n, uint16_t *out)
{
    int64_t row = in->scenario->model.hidden * (int64_t)sizeof(*out);
    const moe_safetensor_t *t;
    moe_status_t status =
        find_tensor(in->hidden_file, in->scenario->hidden_where, "hidden",
                    total_tokens(in), in->scenario->model.hidden, &t);

    if (status == MOE_OK) {
        status =
            moe_safetensors_read(in->hidden_file, t, first * row, n * row, out);
    }
    if (status != MOE_OK) {
        return status;
    }
    return check_finite(in->scenario->hidden_where, t, first, n, out);
}

static moe_draw_t draw_of(const moe_scenario_t *s)
{
    return (moe_draw_t){s->layer.data, s->seed, &s->model};
}

/* Of the scenario's seed, or of one that many before it. */
static moe_status_t hidden_before(const moe_inputs_t *in, uint64_t before,
                                  int64_t first, int64_t n, uint16_t *out)
{
    moe_draw_t draw = draw_of(in->scenario);

    if (in->hidden_file != NULL) {
        return read_hidden(in, first, n, out);
    }
    draw.seed -= before;
    moe_draw_hidden(&draw, first, n, out);
    return MOE_OK;
}

moe_status_t moe_inputs_hidden(const moe_inputs_t *in, int64_t first, int64_t n,
                               uint16_t *out)
{
    const int64_t cols = in->scenario->model.hidden;
    const int64_t end = first + n;
    moe_status_t status = MOE_OK;

    for (int64_t t = first; status == MOE_OK && t < end;) {
        const bool before = t >= in->before.begin && t < in->before.end;
        const int64_t next = before                 ? in->before.end
                             : t < in->before.begin ? in->before.begin
                                                    : end;
        const int64_t stop = next < end ? next : end;

        status =
            hidden_before(in, before, t, stop - t, out + (t - first) * cols);
        t = stop;
    }
    return status;
}

moe_status_t moe_inputs_token(const moe_inputs_t *in, int64_t token,
                              uint16_t *out)
{
    return hidden_before(in, 0, token, 1, out);
}

moe_status_t moe_inputs_gate(const moe_scenario_t *s, uint16_t *out)
{
    moe_safetensors_t *file;
    const moe_safetensor_t *t;
    moe_status_t status = moe_safetensors_open(s->gate_file, &file);

    if (status != MOE_OK) {
        return status;
    }
    status = find_tensor(file, s->gate_where, "gate", s->model.experts,
                         s->model.hidden, &t);
    if (status == MOE_OK) {
        status = moe_safetensors_read(file, t, 0, t->size_bytes, out);
    }
    if (status == MOE_OK) {
        status = check_finite(s->gate_where, t, 0, s->model.experts, out);
    }
    moe_safetensors_close(file);
    return status;
}
