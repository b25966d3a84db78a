/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * rcp.approx.ftz.f32 of sm_90, from its correction table.
 *
 * The instruction's error depends on the mantissa alone (measured: all 2^32
 * floats, gpu/rcp_table.cu). Subnormal arguments count as 0, and results that
 * would be subnormal are 0.
 */
#ifndef REF_RCP_TABLE_H
#define REF_RCP_TABLE_H

#include "base/status.h"
#include "ref/elements.h"

#include <stdint.h>

#define MOE_RCP_ARCHITECTURE 90

/** The approximate reciprocal by a table of moe/rcp_table_file.h. */
static inline float moe_rcp_apply(const uint8_t *table, float x)
{
    uint32_t bits = moe_f32_bits(x);
    uint32_t sign = bits & 0x80000000u;
    uint32_t a = bits & 0x7fffffffu;
    uint32_t m = a & 0x7fffff;
    uint32_t code = table[m / 4] >> (2 * (m % 4)) & 3;
    uint32_t r = moe_f32_bits(1.0f / moe_f32_of_bits(0x3f800000u | m));

    if (a > 0x7f800000u) {
        return moe_f32_of_bits(0x7fffffff);
    }
    if (a < 0x00800000u) {
        return moe_f32_of_bits(sign | 0x7f800000u);
    }
    r += code == 1 ? 1 : code == 2 ? UINT32_MAX : 0;
    r -= a - (0x3f800000u | m); /* a multiple of 2^23: the exponent */
    return moe_f32_of_bits((int32_t)r < 0x00800000 ? sign : sign | r);
}

/**
 * Find and check the table, once in the life of the process.
 *
 * The file that MOESIM_RCP_TABLE names, else rcp_sm90.table of the build or of
 * the installed data.
 *
 * @return MOE_OK; MOE_ERR_UNSUPPORTED where there is none; MOE_ERR_INPUT if
 *         it is not such a table or its checksum differs; MOE_ERR_NOMEM.
 */
moe_status_t moe_rcp_load(void);

/** The approximate reciprocal; after moe_rcp_load() returned MOE_OK. */
float moe_rcp_approx(float x);

/** Read a table; borrowed path.
 * @param[out] table_p  MOE_RCP_TABLE_BYTES, to free(). */
moe_status_t moe_rcp_read(const char *path, uint8_t **table_p);

#endif
