/* SPDX-License-Identifier: Apache-2.0 */
#include "base/safetensors_write.h"

#include "base/checked.h"
#include "base/outfile.h"
#include "base/safetensors_header.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* As the format's own library: data begin at a multiple of this. */
enum {
    ALIGN = 8
};

struct moe_safetensors_out {
    moe_outfile_t *file;
    FILE *stream;
    json_t *header;
    int64_t declared; /* bytes */
    int64_t written;
    bool started; /* the header is in the file */
};

moe_status_t moe_safetensors_create(const char *path,
                                    moe_safetensors_out_t **out_p)
{
    moe_safetensors_out_t *out = calloc(1, sizeof(*out));
    moe_status_t status;

    if (out == NULL || (out->header = json_object()) == NULL) {
        free(out);
        return moe_fail(MOE_ERR_NOMEM, "%s: out of memory",
                        path != NULL ? path : "a header");
    }
    status = path == NULL ? MOE_OK
                          : moe_outfile_open(path, &out->file, &out->stream);
    if (status != MOE_OK) {
        moe_safetensors_abort(out);
        return status;
    }
    *out_p = out;
    return MOE_OK;
}

/* Bytes of a shape; false if they are none. */
static bool size_of(moe_dtype_t dtype, int ndim, const int64_t *dim,
                    int64_t *size_p)
{
    int64_t bits = moe_dtype_bits(dtype);

    if (moe_dtype_safetensors(dtype)[0] == '\0' || ndim < 0 ||
        ndim > MOE_SAFETENSORS_DIMS) {
        return false;
    }
    for (int i = 0; i < ndim; i++) {
        if (dim[i] < 0 || !moe_mul_i64(bits, dim[i], &bits)) {
            return false;
        }
    }
    *size_p = bits / 8;
    return bits % 8 == 0;
}

moe_status_t moe_safetensors_declare(moe_safetensors_out_t *out,
                                     const char *name, moe_dtype_t dtype,
                                     int ndim, const int64_t *dim)
{
    json_t *shape = json_array();
    int64_t size;
    int64_t end;

    if (!size_of(dtype, ndim, dim, &size) ||
        !moe_add_i64(out->declared, size, &end)) {
        json_decref(shape);
        return moe_fail(MOE_ERR_RANGE, "tensor '%s': no %s of this shape", name,
                        moe_dtype_name(dtype));
    }
    if (json_object_get(out->header, name) != NULL) {
        json_decref(shape);
        return moe_fail(MOE_ERR_INPUT, "two tensors of the name '%s'", name);
    }
    for (int i = 0; i < ndim; i++) {
        (void)json_array_append_new(shape, json_integer((json_int_t)dim[i]));
    }
    if (json_object_set_new(out->header, name,
                            json_pack("{s:s, s:o, s:[I, I]}", "dtype",
                                      moe_dtype_safetensors(dtype), "shape",
                                      shape, "data_offsets",
                                      (json_int_t)out->declared,
                                      (json_int_t)end)) != 0) {
        return moe_fail(MOE_ERR_NOMEM,
                        "tensor '%s': out of memory, or a name "
                        "that is no UTF-8",
                        name);
    }
    out->declared = end;
    return MOE_OK;
}

int64_t moe_safetensors_declared(const moe_safetensors_out_t *out)
{
    return out->declared;
}

/* The header's text, freed by the caller, and what it is padded to. */
static char *header_of(const moe_safetensors_out_t *out, size_t *padded_p)
{
    char *text = json_dumps(out->header, JSON_COMPACT | JSON_PRESERVE_ORDER);

    if (text == NULL) {
        (void)moe_fail(MOE_ERR_NOMEM, "no memory for a header");
        return NULL;
    }
    *padded_p = (strlen(text) + ALIGN - 1) / ALIGN * ALIGN;
    return text;
}

moe_status_t moe_safetensors_bytes(const moe_safetensors_out_t *out,
                                   int64_t *bytes_p)
{
    size_t padded;
    char *text = header_of(out, &padded);

    if (text == NULL) {
        return MOE_ERR_NOMEM;
    }
    free(text);
    *bytes_p = MOE_SAFETENSORS_LENGTH_BYTES + (int64_t)padded + out->declared;
    return MOE_OK;
}

/* Write errors are sticky in the stream: commit tells them. */
static moe_status_t write_header(moe_safetensors_out_t *out)
{
    unsigned char bytes[MOE_SAFETENSORS_LENGTH_BYTES];
    size_t padded;
    char *text = header_of(out, &padded);
    size_t length;

    if (text == NULL) {
        return MOE_ERR_NOMEM;
    }
    length = strlen(text);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (unsigned char)(padded >> (8 * i));
    }
    (void)fwrite(bytes, 1, sizeof(bytes), out->stream);
    (void)fwrite(text, 1, length, out->stream);
    for (; length < padded; length++) {
        (void)fputc(' ', out->stream);
    }
    free(text);
    out->started = true;
    return MOE_OK;
}

moe_status_t moe_safetensors_put(moe_safetensors_out_t *out, const void *data,
                                 int64_t size)
{
    moe_status_t status = out->started ? MOE_OK : write_header(out);

    if (status != MOE_OK) {
        return status;
    }
    if (size < 0 || size > out->declared - out->written) {
        return moe_fail(MOE_ERR_INTERNAL, "more data than were declared");
    }
    if (size > 0 && fwrite(data, 1, (size_t)size, out->stream) < (size_t)size) {
        /* now: others that write may make room, and commit not find it */
        return moe_fail(MOE_ERR_IO, "%s: %s", moe_outfile_path(out->file),
                        strerror(errno));
    }
    out->written += size;
    return MOE_OK;
}

moe_status_t moe_safetensors_commit(moe_safetensors_out_t *out)
{
    moe_status_t status = moe_safetensors_put(out, NULL, 0);
    moe_outfile_t *file = out->file;

    if (status == MOE_OK && out->written != out->declared) {
        status = moe_fail(MOE_ERR_INTERNAL, "%lld bytes of %lld were written",
                          (long long)out->written, (long long)out->declared);
    }
    if (status == MOE_OK) {
        out->file = NULL;
        status = moe_outfile_commit(file);
    }
    moe_safetensors_abort(out);
    return status;
}

void moe_safetensors_abort(moe_safetensors_out_t *out)
{
    if (out != NULL) {
        moe_outfile_abort(out->file);
        json_decref(out->header);
        free(out);
    }
}
