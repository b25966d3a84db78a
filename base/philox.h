/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Philox 4x32-10, the counter-based generator of all data.
 *
 * Source: Salmon, Moraes, Dror, Shaw: Parallel random numbers, as easy as
 * 1, 2, 3 (SC'11); Random123 1.14, whose header this wraps.
 */
#ifndef BASE_PHILOX_H
#define BASE_PHILOX_H

#include <stdint.h>

/* The header is not ours: our warnings are no concern of it. */
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#include <Random123/philox.h>
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/** Four random words of a key and a counter, little end first. */
static inline void moe_philox(uint32_t key0, uint32_t key1,
                              const uint32_t ctr[4], uint32_t out[4])
{
    const philox4x32_ctr_t c = {{ctr[0], ctr[1], ctr[2], ctr[3]}};
    const philox4x32_key_t k = {{key0, key1}};
    const philox4x32_ctr_t r = philox4x32_R(10, c, k);

    for (int i = 0; i < 4; i++) {
        out[i] = r.v[i];
    }
}

#endif
