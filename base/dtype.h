/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Element types of tensors.
 */
#ifndef BASE_DTYPE_H
#define BASE_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
#define MOE_DTYPE(id, bits, safetensors, text) MOE_DTYPE_##id,
#include "base/dtype.def"
#undef MOE_DTYPE
    MOE_DTYPE_COUNT
} moe_dtype_t;

/** Name of a type as scenarios spell it; never NULL. */
const char *moe_dtype_name(moe_dtype_t dtype);

/** One line about a type; never NULL. */
const char *moe_dtype_text(moe_dtype_t dtype);

/** Bits of one element: 4, 8, 16, 32 or 64; 0 for none. */
int moe_dtype_bits(moe_dtype_t dtype);

/** Name in a safetensors header; "" if it has none. */
const char *moe_dtype_safetensors(moe_dtype_t dtype);

/**
 * Type with this name; half, float16, bfloat16, float, float32, float64,
 * double and their like are aliases.
 * @return false, *dtype_p untouched, if there is none.
 */
bool moe_dtype_find(const char *name, moe_dtype_t *dtype_p);

/** Alias number i; NULL after the last. */
const char *moe_dtype_alias(size_t i);

/** Bytes of n >= 0 elements, rounded up to whole bytes; INT64_MAX, which no
 * memory has, if they cannot be counted. */
int64_t moe_dtype_bytes(moe_dtype_t dtype, int64_t n);

#endif
