/* SPDX-License-Identifier: Apache-2.0 */
#include "base/safetensors.h"

#include "base/infile.h"
#include "base/safetensors_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HEADER_MAX_BYTES 100000000 /* as the format's own library */

struct moe_safetensors {
    char *path;
    int fd;
    json_t *root; /* owns the names */
    size_t n;
    moe_safetensor_t *tensor; /* [n] */
};

/* Read exactly these bytes of a file. */
static moe_status_t read_exactly(const char *path, int fd, void *out,
                                 size_t size, int64_t offset)
{
    int64_t n = moe_infile_read(fd, out, size, offset);

    if (n < 0) {
        return moe_fail(MOE_ERR_IO, "%s: byte %lld: %s", path,
                        (long long)offset, strerror(errno));
    }
    if ((uint64_t)n != size) {
        return moe_fail(MOE_ERR_IO,
                        "%s: byte %lld: the file ends here, "
                        "%zu bytes were expected from byte %lld",
                        path, (long long)(offset + n), size, (long long)offset);
    }
    return MOE_OK;
}

/* Length of the header, from the file's first bytes. */
static moe_status_t read_length(moe_safetensors_header_t *h, int fd)
{
    unsigned char bytes[MOE_SAFETENSORS_LENGTH_BYTES];
    uint64_t length = 0;
    uint64_t room;
    moe_status_t status;

    if (h->file_bytes < MOE_SAFETENSORS_LENGTH_BYTES) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s: byte %lld: the file ends before its header, "
                        "expected a safetensors file",
                        h->path, (long long)h->file_bytes);
    }
    status = read_exactly(h->path, fd, bytes, sizeof(bytes), 0);
    if (status != MOE_OK) {
        return status;
    }
    for (int i = MOE_SAFETENSORS_LENGTH_BYTES - 1; i >= 0; i--) {
        length = length << 8 | bytes[i];
    }
    room = (uint64_t)h->file_bytes - MOE_SAFETENSORS_LENGTH_BYTES;
    if (length > room || length > HEADER_MAX_BYTES) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s: byte 0: a header of %llu bytes, expected at most "
                        "%llu: no safetensors file, or truncated",
                        h->path, (unsigned long long)length,
                        (unsigned long long)(room < HEADER_MAX_BYTES
                                                 ? room
                                                 : HEADER_MAX_BYTES));
    }
    h->size = (size_t)length;
    h->data_begin = MOE_SAFETENSORS_LENGTH_BYTES + (int64_t)length;
    return MOE_OK;
}

/* Fill file->tensor from file->root. */
static moe_status_t read_entries(moe_safetensors_t *file,
                                 const moe_safetensors_header_t *h)
{
    const char *name;
    json_t *entry;
    moe_status_t status;

    file->tensor =
        calloc(json_object_size(file->root) + 1, sizeof(*file->tensor));
    if (file->tensor == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "%s: out of memory", h->path);
    }
    json_object_foreach(file->root, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0) {
            continue;
        }
        status = moe_safetensors_entry(h, name, entry, &file->tensor[file->n]);
        if (status != MOE_OK) {
            return status;
        }
        file->n++;
    }
    return moe_safetensors_cover(h, file->tensor, file->n);
}

static moe_status_t read_header(moe_safetensors_t *file, int64_t file_bytes)
{
    moe_safetensors_header_t h = {.path = file->path, .file_bytes = file_bytes};
    moe_status_t status = read_length(&h, file->fd);
    char *text;

    if (status != MOE_OK) {
        return status;
    }
    text = malloc(h.size + 1);
    if (text == NULL) {
        return moe_fail(MOE_ERR_NOMEM,
                        "%s: no memory for a header of %zu "
                        "bytes",
                        file->path, h.size);
    }
    h.text = text;
    status = read_exactly(file->path, file->fd, text, h.size,
                          MOE_SAFETENSORS_LENGTH_BYTES);
    if (status == MOE_OK) {
        status = moe_safetensors_scan(&h);
    }
    if (status == MOE_OK) {
        status = moe_safetensors_load(&h, &file->root);
    }
    if (status == MOE_OK) {
        status = read_entries(file, &h);
    }
    free(text);
    return status;
}

moe_status_t moe_safetensors_open(const char *path, moe_safetensors_t **file_p)
{
    moe_safetensors_t *file = calloc(1, sizeof(*file));
    moe_status_t status;
    const char *why;
    int64_t file_bytes = 0;
    bool user;

    if (file == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "%s: out of memory", path);
    }
    file->fd = moe_infile_open(path, &file_bytes, &why, &user);
    if (file->fd < 0) {
        status = moe_fail(
            user ? MOE_ERR_INPUT : MOE_ERR_IO, "%s: %s%s", path, why,
            strstr(why, "expected") != NULL ? ""
                                            : ", expected a safetensors file");
        goto err;
    }
    file->path = strdup(path);
    if (file->path == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "%s: out of memory", path);
        goto err;
    }
    status = read_header(file, file_bytes);
    if (status != MOE_OK) {
        goto err;
    }
    *file_p = file;
    return MOE_OK;

err:
    moe_safetensors_close(file);
    return status;
}

void moe_safetensors_close(moe_safetensors_t *file)
{
    if (file == NULL) {
        return;
    }
    if (file->fd >= 0) {
        (void)close(file->fd);
    }
    json_decref(file->root);
    free(file->tensor);
    free(file->path);
    free(file);
}

size_t moe_safetensors_count(const moe_safetensors_t *file)
{
    return file->n;
}

const moe_safetensor_t *moe_safetensors_get(const moe_safetensors_t *file,
                                            size_t i)
{
    return i < file->n ? &file->tensor[i] : NULL;
}

const moe_safetensor_t *moe_safetensors_find(const moe_safetensors_t *file,
                                             const char *name)
{
    for (size_t i = 0; i < file->n; i++) {
        if (strcmp(file->tensor[i].name, name) == 0) {
            return &file->tensor[i];
        }
    }
    return NULL;
}

moe_status_t moe_safetensors_read(const moe_safetensors_t *file,
                                  const moe_safetensor_t *tensor,
                                  int64_t offset, int64_t size, void *out)
{
    if (offset < 0 || size < 0 || offset > tensor->size_bytes ||
        size > tensor->size_bytes - offset) {
        return moe_fail(
            MOE_ERR_RANGE,
            "%s: tensor '%.80s': %lld bytes from byte %lld on of %lld",
            file->path, tensor->name, (long long)size, (long long)offset,
            (long long)tensor->size_bytes);
    }
    return read_exactly(file->path, file->fd, out, (size_t)size,
                        tensor->begin + offset);
}
