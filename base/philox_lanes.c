/* SPDX-License-Identifier: Apache-2.0 */
#include "base/philox_lanes.h"

#include "base/philox.h"

#include <stddef.h>

void moe_philox_rows_plain(uint32_t key0, uint32_t key1, const uint32_t ctr[4],
                           int n, uint32_t out[][4][MOE_PHILOX_LANES])
{
    uint32_t word[4];

    for (int call = 0; call < n; call++) {
        uint32_t counter[4] = {ctr[0], ctr[1] + (uint32_t)call, ctr[2], ctr[3]};

        for (int lane = 0; lane < MOE_PHILOX_LANES; lane++) {
            moe_philox(key0, key1, counter, word);
            counter[0]++;
            for (int w = 0; w < 4; w++) {
                out[call][w][lane] = word[w];
            }
        }
    }
}

void moe_philox_calls_plain(uint32_t key0, uint32_t key1, const uint32_t ctr[4],
                            int n, uint32_t out[][MOE_PHILOX_LANES][4])
{
    uint32_t counter[4] = {ctr[0], ctr[1], ctr[2], ctr[3]};

    for (int call = 0; call < n; call++) {
        for (int lane = 0; lane < MOE_PHILOX_LANES; lane++) {
            moe_philox(key0, key1, counter, out[call][lane]);
            counter[1]++;
        }
    }
}

void moe_philox_rows(uint32_t key0, uint32_t key1, const uint32_t ctr[4], int n,
                     uint32_t out[][4][MOE_PHILOX_LANES])
{
    static moe_philox_rows_func_t *best;

    if (best == NULL) {
        best = moe_philox_has_avx512() ? moe_philox_rows_avx512
               : moe_philox_has_avx2() ? moe_philox_rows_avx2
                                       : moe_philox_rows_plain;
    }
    best(key0, key1, ctr, n, out);
}

void moe_philox_calls(uint32_t key0, uint32_t key1, const uint32_t ctr[4],
                      int n, uint32_t out[][MOE_PHILOX_LANES][4])
{
    static moe_philox_calls_func_t *best;

    if (best == NULL) {
        best = moe_philox_has_avx512() ? moe_philox_calls_avx512
               : moe_philox_has_avx2() ? moe_philox_calls_avx2
                                       : moe_philox_calls_plain;
    }
    best(key0, key1, ctr, n, out);
}
