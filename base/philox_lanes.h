/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Philox 4x32-10 of many counters side by side: the same words as
 * moe_philox(), which a test holds every version to.
 */
#ifndef BASE_PHILOX_LANES_H
#define BASE_PHILOX_LANES_H

#include <stdbool.h>
#include <stdint.h>

#define MOE_PHILOX_LANES 16

/**
 * Rows side by side, n times: words of ctr + (0, c, 0, 0), ctr + (1, c, 0, 0),
 * ctr + (2, c, 0, 0), ... for c < n.
 * @param[out] out  [n]: word w of counter i is out[c][w][i].
 */
typedef void moe_philox_rows_func_t(uint32_t key0, uint32_t key1,
                                    const uint32_t ctr[4], int n,
                                    uint32_t out[][4][MOE_PHILOX_LANES]);

/**
 * Calls of a row, n times 16: words of ctr, ctr + (0, 1, 0, 0), ctr +
 * (0, 2, 0, 0), ...
 * @param[out] out  [n]: word w of counter 16 c + i is out[c][i][w].
 */
typedef void moe_philox_calls_func_t(uint32_t key0, uint32_t key1,
                                     const uint32_t ctr[4], int n,
                                     uint32_t out[][MOE_PHILOX_LANES][4]);

/** The best version for this processor. */
moe_philox_rows_func_t moe_philox_rows;
moe_philox_calls_func_t moe_philox_calls;

/* The versions. Those for a processor may be called only on it. */
moe_philox_rows_func_t moe_philox_rows_plain;
moe_philox_rows_func_t moe_philox_rows_avx2;
moe_philox_rows_func_t moe_philox_rows_avx512;
moe_philox_calls_func_t moe_philox_calls_plain;
moe_philox_calls_func_t moe_philox_calls_avx2;
moe_philox_calls_func_t moe_philox_calls_avx512;

/** Were they compiled in, and has the processor what they need? */
bool moe_philox_has_avx2(void);
bool moe_philox_has_avx512(void);

/* Constants of Philox 4x32: Salmon et al., SC'11, table 2. */
#define MOE_PHILOX_M0     0xD2511F53u
#define MOE_PHILOX_M1     0xCD9E8D57u
#define MOE_PHILOX_W0     0x9E3779B9u
#define MOE_PHILOX_W1     0xBB67AE85u
#define MOE_PHILOX_ROUNDS 10

#endif
