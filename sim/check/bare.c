/* SPDX-License-Identifier: Apache-2.0 */
/* Files without a manifest: nothing is known of where numbers come from, so
 * codes and integers are compared exactly, and floats by a tolerance that the
 * user gives. */
#include "sim/check/check.h"
#include "sim/check/names.h"

#include "ref/compare.h"
#include "ref/formats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIECE = 1 << 16 /* bytes of each file that are read at a time */
};

/* Two tensors of a name. */
typedef struct {
    const moe_safetensors_t *file[2];
    const moe_safetensor_t *t[2];
    int64_t differ; /* bytes */
    int64_t first;  /* that differs */
    moe_compare_t floats;
} pair_t;

static bool is_float(moe_dtype_t type, moe_format_t *format_p)
{
    *format_p = type == MOE_DTYPE_bf16   ? MOE_FORMAT_bf16
                : type == MOE_DTYPE_fp16 ? MOE_FORMAT_fp16
                                         : MOE_FORMAT_fp32;
    return type == MOE_DTYPE_bf16 || type == MOE_DTYPE_fp16 ||
           type == MOE_DTYPE_fp32;
}

static bool same_shape(const moe_safetensor_t *a, const moe_safetensor_t *b)
{
    return moe_check_same_type(a, b) && a->ndim == b->ndim &&
           memcmp(a->dim, b->dim, (size_t)a->ndim * sizeof(a->dim[0])) == 0;
}

/* Type of both: bits that stand for a float are of the other's. */
static moe_dtype_t type_of(const pair_t *pair)
{
    return pair->t[0]->dtype == MOE_DTYPE_u16 ? pair->t[1]->dtype
                                              : pair->t[0]->dtype;
}

static void count_bytes(pair_t *pair, int64_t at, int64_t n, const uint8_t *a,
                        const uint8_t *b)
{
    for (int64_t i = 0; i < n; i++) {
        if (a[i] != b[i]) {
            pair->first = pair->differ == 0 ? at + i : pair->first;
            pair->differ++;
        }
    }
}

static moe_status_t compare_pair(pair_t *pair)
{
    uint8_t *bytes = malloc(2 * PIECE);
    moe_format_t format;
    const bool floats = is_float(type_of(pair), &format);
    const int64_t width = moe_dtype_bits(pair->t[0]->dtype) / 8;
    moe_status_t status = MOE_OK;

    if (bytes == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory to compare");
    }
    for (int64_t at = 0; status == MOE_OK && at < pair->t[0]->size_bytes;
         at += PIECE) {
        int64_t n = pair->t[0]->size_bytes - at;

        n = n < PIECE ? n : PIECE;
        for (int i = 0; status == MOE_OK && i < 2; i++) {
            status = moe_safetensors_read(pair->file[i], pair->t[i], at, n,
                                          bytes + i * PIECE);
        }
        if (status == MOE_OK) {
            count_bytes(pair, at, n, bytes, bytes + PIECE);
            if (floats) {
                moe_compare_add(&pair->floats, format, n / width, bytes,
                                bytes + PIECE);
            }
        }
    }
    free(bytes);
    return status;
}

static int64_t elements_of(const moe_safetensor_t *t)
{
    int64_t n = 1;

    for (int d = 0; d < t->ndim; d++) {
        n *= t->dim[d]; /* no overflow: the reader looked */
    }
    return n;
}

static json_t *find_out(const moe_check_t *check, const pair_t *pair)
{
    moe_format_t format;
    const bool floats = is_float(type_of(pair), &format);
    const moe_compare_t *c = &pair->floats;
    const bool good = floats ? c->finite_ulp <= check->command->max_ulp &&
                                   c->nans == 0 && c->infinities == 0
                             : pair->differ == 0;
    json_t *f = moe_check_finding(pair->t[0]->name, -1, good,
                                  floats ? "floats" : "exact");

    if (f == NULL) {
        return NULL;
    }
    if (floats) {
        double l2 = moe_compare_l2(c);

        (void)json_object_set_new(f, "elements",
                                  json_integer((json_int_t)c->elements));
        (void)json_object_set_new(f, "differ",
                                  json_integer((json_int_t)c->mismatching));
        (void)json_object_set_new(f, "max_ulp",
                                  json_integer((json_int_t)c->finite_ulp));
        (void)json_object_set_new(f, "nans", json_integer((json_int_t)c->nans));
        (void)json_object_set_new(f, "infinities",
                                  json_integer((json_int_t)c->infinities));
        (void)json_object_set_new(f, "relative_l2",
                                  json_real(isfinite(l2) ? l2 : 1e300));
    } else {
        (void)json_object_set_new(
            f, "elements", json_integer((json_int_t)elements_of(pair->t[0])));
        (void)json_object_set_new(
            f, "bytes", json_integer((json_int_t)pair->t[0]->size_bytes));
        (void)json_object_set_new(f, "differ",
                                  json_integer((json_int_t)pair->differ));
        if (pair->differ > 0) {
            (void)json_object_set_new(f, "first_byte",
                                      json_integer((json_int_t)pair->first));
        }
    }
    return f;
}

static moe_status_t judge_pair(moe_check_t *check, pair_t *pair)
{
    moe_status_t status;

    if (!same_shape(pair->t[0], pair->t[1])) {
        return moe_check_add_shape(check, NULL, pair->t[1], "REF", pair->t[0]);
    }
    status = compare_pair(pair);
    return status == MOE_OK ? moe_check_add(check, find_out(check, pair))
                            : status;
}

/* Floats want a tolerance from the user. */
static moe_status_t want_tolerance(const moe_check_t *check, const pair_t *pair)
{
    const moe_dtype_t type = type_of(pair);
    moe_format_t format;

    if (is_float(type, &format) && check->command->max_ulp < 0) {
        return moe_fail(MOE_ERR_INPUT,
                        "tensor '%.80s' is %s: without a golden folder the "
                        "tolerance must be given, --max-ulp N",
                        pair->t[1]->name, moe_dtype_name(type));
    }
    return MOE_OK;
}

/* All tensors of GOT that REF has too. */
static moe_status_t compare_files(moe_check_t *check,
                                  const moe_safetensors_t *ref,
                                  const moe_safetensors_t *got)
{
    moe_status_t status = MOE_OK;
    int64_t found = 0;

    for (size_t i = 0; status == MOE_OK && i < moe_safetensors_count(got);
         i++) {
        pair_t pair = {.file = {ref, got}};

        pair.t[1] = moe_safetensors_get(got, i);
        pair.t[0] = moe_safetensors_find(ref, pair.t[1]->name);
        if (pair.t[0] == NULL) {
            continue;
        }
        found++;
        status = want_tolerance(check, &pair);
        if (status == MOE_OK) {
            status = judge_pair(check, &pair);
        }
    }
    if (status == MOE_OK && found == 0) {
        return moe_fail(MOE_ERR_INPUT, "%s has no tensor of a name that %s has",
                        check->got, check->ref);
    }
    if (status == MOE_OK) {
        status = moe_check_names(check, NULL, ref, got);
    }
    return status == MOE_OK ? moe_check_absent(check, ref, got) : status;
}

moe_status_t moe_check_bare(moe_check_t *check)
{
    moe_safetensors_t *ref = NULL;
    moe_safetensors_t *got = NULL;
    moe_status_t status = moe_safetensors_open(check->ref, &ref);

    if (status == MOE_OK) {
        status = moe_safetensors_open(check->got, &got);
    }
    if (status == MOE_OK) {
        status = compare_files(check, ref, got);
    }
    moe_safetensors_close(ref);
    moe_safetensors_close(got);
    return status;
}
