/* SPDX-License-Identifier: Apache-2.0 */
/* Philox 4x32-10, sixteen counters to a register. */
#include "base/philox_lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f")))

enum {
    ODD = 0xaaaa,    /* 32-bit lanes of the odd products */
    XOR_THREE = 0x96 /* truth table of a ^ b ^ c */
};

bool moe_philox_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") != 0;
}

/* 32 x 32 -> 64 bits of all lanes, halves apart. */
AVX512 static inline void multiply(__m512i x, __m512i m, __m512i *high,
                                   __m512i *low)
{
    __m512i even = _mm512_mul_epu32(x, m);
    __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(x, 32), m);

    *high = _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 32), ODD, odd);
    *low = _mm512_mask_mov_epi32(even, ODD, _mm512_slli_epi64(odd, 32));
}

AVX512 void moe_philox_lanes_avx512(uint32_t key0, uint32_t key1,
                                    const uint32_t ctr[4],
                                    uint32_t out[4][MOE_PHILOX_LANES])
{
    const __m512i lane =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i m0 = _mm512_set1_epi32((int)MOE_PHILOX_M0);
    const __m512i m1 = _mm512_set1_epi32((int)MOE_PHILOX_M1);
    __m512i a = _mm512_set1_epi32((int)ctr[0]);
    __m512i b = _mm512_add_epi32(_mm512_set1_epi32((int)ctr[1]), lane);
    __m512i c = _mm512_set1_epi32((int)ctr[2]);
    __m512i d = _mm512_set1_epi32((int)ctr[3]);

    for (int r = 0; r < MOE_PHILOX_ROUNDS; r++) {
        __m512i p_high;
        __m512i p_low;
        __m512i q_high;
        __m512i q_low;

        multiply(a, m0, &p_high, &p_low);
        multiply(c, m1, &q_high, &q_low);
        a = _mm512_ternarylogic_epi32(q_high, b, _mm512_set1_epi32((int)key0),
                                      XOR_THREE);
        c = _mm512_ternarylogic_epi32(p_high, d, _mm512_set1_epi32((int)key1),
                                      XOR_THREE);
        b = q_low;
        d = p_low;
        key0 += MOE_PHILOX_W0;
        key1 += MOE_PHILOX_W1;
    }
    _mm512_storeu_si512(out[0], a);
    _mm512_storeu_si512(out[1], b);
    _mm512_storeu_si512(out[2], c);
    _mm512_storeu_si512(out[3], d);
}
#else
bool moe_philox_has_avx512(void)
{
    return false;
}

void moe_philox_lanes_avx512(uint32_t key0, uint32_t key1,
                             const uint32_t ctr[4],
                             uint32_t out[4][MOE_PHILOX_LANES])
{
    moe_philox_lanes_plain(key0, key1, ctr, out);
}
#endif
