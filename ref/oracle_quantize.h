/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The oracle's own quantisers: a row of one token, one profile after another.
 */
#ifndef REF_ORACLE_QUANTIZE_H
#define REF_ORACLE_QUANTIZE_H

#include "base/status.h"
#include "moe/chain.h"

#include <stdint.h>

/** What a matmul of nvfp4 takes of a row. */
typedef struct {
    int32_t *twice; /* [8][n / 8] twice the codes' values: column 8 j + i at
                     * [i][j] */
    int32_t *units; /* [n / 16] scales in units of 2^-9 */
    float decode;   /* global scale */
} oracle_nvfp4_t;

/** True if the oracle quantises by this profile. */
bool oracle_quantises(moe_profile_t profile);

/**
 * x becomes what its codes say.
 *
 * @param[in]     as   A format with scales or one, and its profile.
 * @param[in,out] x    [n] exact values; whole blocks.
 * @param[out]    row  Filled for nvfp4.
 * @return MOE_OK; MOE_ERR_UNSUPPORTED without the table of rcp.approx.ftz.
 */
moe_status_t oracle_quantise(const moe_storage_t *as, double *x, int64_t n,
                             oracle_nvfp4_t *row);

#endif
