/* SPDX-License-Identifier: Apache-2.0 */
#include "base/philox_lanes.h"

#include "base/philox.h"

#include <stddef.h>

void moe_philox_lanes_plain(uint32_t key0, uint32_t key1, const uint32_t ctr[4],
                            uint32_t out[4][MOE_PHILOX_LANES])
{
    uint32_t counter[4] = {ctr[0], ctr[1], ctr[2], ctr[3]};
    uint32_t word[4];

    for (int i = 0; i < MOE_PHILOX_LANES; i++) {
        moe_philox(key0, key1, counter, word);
        counter[1]++;
        for (int w = 0; w < 4; w++) {
            out[w][i] = word[w];
        }
    }
}

void moe_philox_lanes(uint32_t key0, uint32_t key1, const uint32_t ctr[4],
                      uint32_t out[4][MOE_PHILOX_LANES])
{
    static moe_philox_func_t *best;

    if (best == NULL) {
        best = moe_philox_has_avx512() ? moe_philox_lanes_avx512
               : moe_philox_has_avx2() ? moe_philox_lanes_avx2
                                       : moe_philox_lanes_plain;
    }
    best(key0, key1, ctr, out);
}
