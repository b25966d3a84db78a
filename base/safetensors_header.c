/* SPDX-License-Identifier: Apache-2.0 */
#include "base/safetensors_header.h"

#include "base/checked.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

#define VALUES_MAX 1000000 /* jansson takes some 100 bytes a value */
#define NESTED_MAX 8       /* a good header has 3 levels */

/* Byte of the file where an entry's name stands; the header's begin if it is
 * written with escapes. */
static long long place_of(const moe_safetensors_header_t *h, const char *name)
{
    char *quoted = moe_strdup_printf("\"%s\"", name);
    const char *at = NULL;

    if (quoted != NULL) {
        at = memmem(h->text, h->size, quoted, strlen(quoted));
        free(quoted);
    }
    return MOE_SAFETENSORS_LENGTH_BYTES + (at != NULL ? at - h->text : 0);
}

static moe_status_t refuse(const moe_safetensors_header_t *h, const char *name,
                           const char *why)
{
    return moe_fail(MOE_ERR_INPUT, "%s: byte %lld: tensor '%.80s': %s", h->path,
                    place_of(h, name), name, why);
}

moe_status_t moe_safetensors_scan(const moe_safetensors_header_t *h)
{
    bool in_string = false;
    long values = 0;
    int nested = 0;

    for (size_t i = 0; i < h->size; i++) {
        const char c = h->text[i];

        if (in_string) {
            in_string = c != '"';
            i += c == '\\';
            continue;
        }
        in_string = c == '"';
        nested += (c == '{' || c == '[') - (c == '}' || c == ']');
        values += c == '{' || c == '[' || c == ',' || c == ':';
        if (nested > NESTED_MAX || values > VALUES_MAX) {
            return moe_fail(MOE_ERR_INPUT,
                            "%s: byte %zu: the header is %s: this is no "
                            "safetensors file",
                            h->path, i + MOE_SAFETENSORS_LENGTH_BYTES,
                            nested > NESTED_MAX
                                ? "nested deeper than any tensor needs"
                                : "of more than a million values");
        }
    }
    return MOE_OK;
}

moe_status_t moe_safetensors_load(const moe_safetensors_header_t *h,
                                  json_t **root_p)
{
    json_error_t error;
    json_t *root;

    root = json_loadb(h->text, h->size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL && json_error_code(&error) == json_error_out_of_memory) {
        return moe_fail(MOE_ERR_NOMEM, "%s: out of memory", h->path);
    }
    if (root == NULL) {
        return moe_fail(MOE_ERR_INPUT, "%s: byte %lld: header: %s", h->path,
                        (long long)error.position +
                            MOE_SAFETENSORS_LENGTH_BYTES,
                        error.text);
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return moe_fail(MOE_ERR_INPUT,
                        "%s: byte %d: header: expected a JSON object", h->path,
                        MOE_SAFETENSORS_LENGTH_BYTES);
    }
    *root_p = root;
    return MOE_OK;
}

static const char *find_dtype(const json_t *value, moe_dtype_t *dtype_p)
{
    const char *name = json_string_value(value);

    if (name == NULL) {
        return "dtype: expected a text";
    }
    for (int i = 0; i < MOE_DTYPE_COUNT; i++) {
        const char *known = moe_dtype_safetensors((moe_dtype_t)i);

        if (known[0] != '\0' && strcmp(known, name) == 0) {
            *dtype_p = (moe_dtype_t)i;
            return NULL;
        }
    }
    return "unknown dtype";
}

/* Shape, and the bytes that it needs. */
static const char *find_shape(const json_t *shape, moe_safetensor_t *tensor,
                              int64_t *bytes_p)
{
    const size_t n = json_array_size(shape);
    bool empty = false;
    int64_t bits = moe_dtype_bits(tensor->dtype);

    if (!json_is_array(shape)) {
        return "shape: expected a list";
    }
    if (n > MOE_SAFETENSORS_DIMS) {
        return "shape: more than 8 dimensions";
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(shape, i);
        int64_t dim = (int64_t)json_integer_value(item);

        if (!json_is_integer(item) || dim < 0) {
            return "shape: expected integers from 0";
        }
        tensor->dim[i] = dim;
        empty = empty || dim == 0;
        /* of empty tensors too: who multiplies the others must not overflow */
        if (dim > 0 && !moe_mul_i64(bits, dim, &bits)) {
            return "shape: more bytes than 64 bits can count";
        }
    }
    tensor->ndim = (int)n;
    bits = empty ? 0 : bits;
    *bytes_p = bits / 8;
    return bits % 8 == 0 ? NULL : "shape: not a whole number of bytes";
}

/* Offsets, relative to the data, that must lie in the file. */
static const char *find_offsets(const moe_safetensors_header_t *h,
                                const json_t *offsets, moe_safetensor_t *tensor)
{
    const json_t *first = json_array_get(offsets, 0);
    const json_t *last = json_array_get(offsets, 1);
    int64_t begin = (int64_t)json_integer_value(first);
    int64_t end = (int64_t)json_integer_value(last);

    if (json_array_size(offsets) != 2 || !json_is_integer(first) ||
        !json_is_integer(last)) {
        return "data_offsets: expected two integers";
    }
    if (begin < 0 || end < begin) {
        return "data_offsets: begin after end, or before the data, expected "
               "[begin, end]";
    }
    if (end > h->file_bytes - h->data_begin) {
        return "data_offsets: beyond the end of the file, expected all of it "
               "there (truncated?)";
    }
    tensor->begin = h->data_begin + begin;
    tensor->size_bytes = end - begin;
    return NULL;
}

moe_status_t moe_safetensors_entry(const moe_safetensors_header_t *h,
                                   const char *name, const json_t *entry,
                                   moe_safetensor_t *tensor)
{
    int64_t bytes = 0;
    const char *why;

    tensor->name = name;
    if (!json_is_object(entry)) {
        return refuse(h, name, "expected dtype, shape and data_offsets");
    }
    why = find_dtype(json_object_get(entry, "dtype"), &tensor->dtype);
    if (why == NULL) {
        why = find_shape(json_object_get(entry, "shape"), tensor, &bytes);
    }
    if (why == NULL) {
        why = find_offsets(h, json_object_get(entry, "data_offsets"), tensor);
    }
    if (why == NULL && bytes != tensor->size_bytes) {
        why = "shape and data_offsets disagree about its size, expected the "
              "bytes of its shape";
    }
    return why == NULL ? MOE_OK : refuse(h, name, why);
}

/* Why tensor i does not begin at byte `at`, where those before it end. */
static const char *misplaced(const moe_safetensor_t *tensor, size_t n, size_t i,
                             int64_t at)
{
    if (tensor[i].begin < at) {
        return "overlaps the one before it, expected to follow it";
    }
    for (size_t j = i + 1; j < n; j++) {
        if (tensor[j].begin < tensor[i].begin) {
            return "comes before one whose data come earlier, expected the "
                   "header in order of data_offsets";
        }
    }
    return "leaves a hole before it, expected none";
}

moe_status_t moe_safetensors_cover(const moe_safetensors_header_t *h,
                                   const moe_safetensor_t *tensor, size_t n)
{
    int64_t at = h->data_begin;

    for (size_t i = 0; i < n; i++) {
        if (tensor[i].begin != at) {
            return moe_fail(MOE_ERR_INPUT, "%s: byte %lld: tensor '%.80s' %s",
                            h->path, (long long)tensor[i].begin, tensor[i].name,
                            misplaced(tensor, n, i, at));
        }
        at += tensor[i].size_bytes;
    }
    if (at != h->file_bytes) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s: byte %lld: %lld bytes that belong to no tensor, "
                        "expected the end of the file here",
                        h->path, (long long)at,
                        (long long)(h->file_bytes - at));
    }
    return MOE_OK;
}
