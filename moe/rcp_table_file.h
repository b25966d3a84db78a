/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The file of a correction table of rcp.approx.ftz.f32; gpu/rcp_table.cu
 * writes it, so that this header is C and C++.
 *
 * A header of 128 bytes, then 2 bits a mantissa, low bits first, mantissa
 * 4 i + j in bits 2 j of byte i: 0 if the instruction gives the rounded
 * reciprocal of 1 + mantissa x 2^-23, 1 the next float above it, 2 the next
 * below. Integers are little-endian.
 */
#ifndef MOE_RCP_TABLE_FILE_H
#define MOE_RCP_TABLE_FILE_H

#include <stddef.h>
#include <stdint.h>

#define MOE_RCP_MAGIC       "MOERCP01" /* with no end */
#define MOE_RCP_ENTRIES     (1u << 23)
#define MOE_RCP_TABLE_BYTES (MOE_RCP_ENTRIES / 4)

typedef struct {
    char magic[8];
    uint32_t architecture; /* 90: sm_90 */
    uint32_t entries;
    uint64_t checksum; /* of the table's bytes */
    char device[64];   /* its name, ended by 0 */
    char unused[40];
} moe_rcp_header_t;

/** FNV-1a, 64 bits. */
static inline uint64_t moe_rcp_checksum(const uint8_t *bytes, size_t n)
{
    uint64_t sum = 0xcbf29ce484222325u;

    for (size_t i = 0; i < n; i++) {
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    }
    return sum;
}

#endif
