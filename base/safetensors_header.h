/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The parts of a safetensors header: shared by base/safetensors*.c only.
 */
#ifndef BASE_SAFETENSORS_HEADER_H
#define BASE_SAFETENSORS_HEADER_H

#include "base/safetensors.h"

#include <jansson.h>

#define MOE_SAFETENSORS_LENGTH_BYTES 8 /* of the header's length */

/* A header being checked. */
typedef struct {
    const char *path;
    const char *text; /* [size] JSON */
    size_t size;
    int64_t data_begin; /* byte of the file */
    int64_t file_bytes;
} moe_safetensors_header_t;

/* Before jansson builds its tree: bounds on nesting and number of values. */
moe_status_t moe_safetensors_scan(const moe_safetensors_header_t *h);

/* Parse the JSON. *root_p is owned by the caller. */
moe_status_t moe_safetensors_load(const moe_safetensors_header_t *h,
                                  json_t **root_p);

/* Fill tensor from its entry; name is borrowed for as long as it lives. */
moe_status_t moe_safetensors_entry(const moe_safetensors_header_t *h,
                                   const char *name, const json_t *entry,
                                   moe_safetensor_t *tensor);

/* Tensors, in order of the header, must lie so in the data, without holes. */
moe_status_t moe_safetensors_cover(const moe_safetensors_header_t *h,
                                   const moe_safetensor_t *tensor, size_t n);

#endif
