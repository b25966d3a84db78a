/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Reader of safetensors files (huggingface/safetensors: 8-byte header
 * length, JSON header, data). Files come from strangers: every number is
 * checked, nothing is allocated beyond what the header needs (at most 100 MB
 * of text and a million values). Tensors must cover the data without holes or
 * overlaps, in the order of the header, as the format's own library writes
 * them; keys of an entry that it does not know are ignored.
 */
#ifndef BASE_SAFETENSORS_H
#define BASE_SAFETENSORS_H

#include "base/dtype.h"
#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

#define MOE_SAFETENSORS_DIMS 8

typedef struct {
    const char *name; /* owned by the file */
    moe_dtype_t dtype;
    int ndim;
    int64_t dim[MOE_SAFETENSORS_DIMS];
    int64_t begin; /* byte of the file */
    int64_t size_bytes;
} moe_safetensor_t;

typedef struct moe_safetensors moe_safetensors_t;

/**
 * Open a file and check its header. The message of an error names the file
 * and the byte offset.
 * @return MOE_OK; MOE_ERR_INPUT: bad contents, no such or no regular file;
 *         MOE_ERR_IO; MOE_ERR_NOMEM.
 */
moe_status_t moe_safetensors_open(const char *path, moe_safetensors_t **file_p);
void moe_safetensors_close(moe_safetensors_t *file);

/** Number of tensors, and each, in order of their data; NULL if i is not
 * below the number. */
size_t moe_safetensors_count(const moe_safetensors_t *file);
const moe_safetensor_t *moe_safetensors_get(const moe_safetensors_t *file,
                                            size_t i);

/** Tensor of a name; NULL if there is none. */
const moe_safetensor_t *moe_safetensors_find(const moe_safetensors_t *file,
                                             const char *name);

/** Read bytes [offset, offset + size) of a tensor's data.
 * @return MOE_OK; MOE_ERR_RANGE; MOE_ERR_IO, if the file was cut since. */
moe_status_t moe_safetensors_read(const moe_safetensors_t *file,
                                  const moe_safetensor_t *tensor,
                                  int64_t offset, int64_t size, void *out);

#endif
