/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Quantisers, dequantisers and conversions between formats, bit for bit.
 */
#ifndef REF_QUANTIZE_H
#define REF_QUANTIZE_H

#include "base/status.h"
#include "ref/rows.h"

/**
 * Rows to the storage of dst, by dst's named profile; linear scales.
 *
 * The source is a float format or a block format; it is decoded exactly and
 * every RN of the profile rounds an exact product once. Source fp8_1x128 has
 * at most 28 significant bits, so float64 holds every value.
 *
 * @return MOE_OK; MOE_ERR_UNSUPPORTED for a pair without a quantiser.
 */
moe_status_t moe_ref_quantize(const moe_rows_t *src, const moe_rows_t *dst);

/** Codes to a float format: the exact value rounded once, nearest even. */
moe_status_t moe_ref_dequantize(const moe_rows_t *src, const moe_rows_t *dst);

/** One float format to another, one rounding. */
moe_status_t moe_ref_convert(const moe_rows_t *src, const moe_rows_t *dst);

#endif
