/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Storage formats of rows: plain element types and block-scaled codes.
 */
#ifndef MOE_FORMAT_H
#define MOE_FORMAT_H

#include "base/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** block of a format whose scale is that of the whole row. */
#define MOE_BLOCK_ROW INT32_MAX

typedef enum {
#define MOE_FORMAT(id, code, block, scale, global, text) MOE_FORMAT_##id,
#include "moe/format.def"
#undef MOE_FORMAT
    MOE_FORMAT_COUNT
} moe_format_t;

typedef struct {
    const char *name;
    moe_dtype_t code;
    int block;         /* elements a scale covers; 0: no scales;
                        * MOE_BLOCK_ROW: a row */
    moe_dtype_t scale; /* MOE_DTYPE_none without scales */
    bool has_global;
    const char *text;
} moe_format_info_t;

/** Facts of a format; NULL if out of range. */
const moe_format_info_t *moe_format_info(moe_format_t format);

/** Name of a format; "?" if out of range. */
const char *moe_format_name(moe_format_t format);

/** Format with this name or alias (those of its code type too; "fp8" means
 * fp8_1x128); false, *format_p untouched, if there is none. */
bool moe_format_find(const char *name, moe_format_t *format_p);

/** Alias number i of some format; NULL after the last. */
const char *moe_format_alias(size_t i);

/** True if rows get to the format by a quantiser: it has scales, or one. */
bool moe_format_is_coded(moe_format_t format);

/** True if rows of cols elements have whole blocks. */
bool moe_format_fits(moe_format_t format, int64_t cols);

/** Bytes of one row's codes; cols elements. */
int64_t moe_format_code_bytes(moe_format_t format, int64_t cols);

/** Scales of one row: ceil(cols / block); 0 without scales. */
int64_t moe_format_scale_cols(moe_format_t format, int64_t cols);

/** Bytes of one row, codes and linear scales (no global scale). */
int64_t moe_format_row_bytes(moe_format_t format, int64_t cols);

#endif
