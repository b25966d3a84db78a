/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Writer of safetensors files: all tensors are declared first, then their data
 * follow in that order, in pieces of any size; the whole file is never in
 * memory. It appears under its name when it is complete, or not at all.
 */
#ifndef BASE_SAFETENSORS_WRITE_H
#define BASE_SAFETENSORS_WRITE_H

#include "base/dtype.h"
#include "base/safetensors.h"
#include "base/status.h"

#include <stdint.h>

typedef struct moe_safetensors_out moe_safetensors_out_t;

/** Start. Ended with commit or abort. @param[in] path  NULL: nothing is
 * written, declarations alone count; ended with abort. */
moe_status_t moe_safetensors_create(const char *path,
                                    moe_safetensors_out_t **out_p);

/**
 * Announce a tensor; the order of these calls is that of the data.
 * @param[in] dim  [ndim], at most MOE_SAFETENSORS_DIMS; elements, of 4-bit
 *                 types as well, which fill whole bytes.
 * @return MOE_OK; MOE_ERR_RANGE for a shape or type that the format has not;
 *         MOE_ERR_INPUT for a name that was there already; MOE_ERR_NOMEM.
 */
moe_status_t moe_safetensors_declare(moe_safetensors_out_t *out,
                                     const char *name, moe_dtype_t dtype,
                                     int ndim, const int64_t *dim);

/** Bytes of all data declared so far. */
int64_t moe_safetensors_declared(const moe_safetensors_out_t *out);

/** Bytes of the file of what was declared so far. */
moe_status_t moe_safetensors_bytes(const moe_safetensors_out_t *out,
                                   int64_t *bytes_p);

/** Append data; the header is written before the first. */
moe_status_t moe_safetensors_put(moe_safetensors_out_t *out, const void *data,
                                 int64_t size);

/** Complete the file: an error if data are missing or too many. The object is
 * gone either way. */
moe_status_t moe_safetensors_commit(moe_safetensors_out_t *out);

/** Give up; NULL is allowed. */
void moe_safetensors_abort(moe_safetensors_out_t *out);

#endif
