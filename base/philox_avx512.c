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

/* Word w of all counters in a register each. */
typedef struct {
    __m512i word[4];
} words_t;

AVX512 static inline words_t start(const uint32_t ctr[4], int counting,
                                   __m512i lane)
{
    words_t s;

#pragma GCC unroll 4
    for (int w = 0; w < 4; w++) {
        s.word[w] = _mm512_set1_epi32((int)ctr[w]);
    }
    s.word[counting] = _mm512_add_epi32(s.word[counting], lane);
    return s;
}

AVX512 static inline words_t all_rounds(words_t s, uint32_t key0, uint32_t key1)
{
    const __m512i m0 = _mm512_set1_epi32((int)MOE_PHILOX_M0);
    const __m512i m1 = _mm512_set1_epi32((int)MOE_PHILOX_M1);

#pragma GCC unroll 10
    for (int r = 0; r < MOE_PHILOX_ROUNDS; r++) {
        __m512i p_high;
        __m512i p_low;
        __m512i q_high;
        __m512i q_low;

        multiply(s.word[0], m0, &p_high, &p_low);
        multiply(s.word[2], m1, &q_high, &q_low);
        s.word[0] = _mm512_ternarylogic_epi32(
            q_high, s.word[1], _mm512_set1_epi32((int)key0), XOR_THREE);
        s.word[2] = _mm512_ternarylogic_epi32(
            p_high, s.word[3], _mm512_set1_epi32((int)key1), XOR_THREE);
        s.word[1] = q_low;
        s.word[3] = p_low;
        key0 += MOE_PHILOX_W0;
        key1 += MOE_PHILOX_W1;
    }
    return s;
}

AVX512 static inline void rows_once(uint32_t key0, uint32_t key1,
                                    const uint32_t ctr[4],
                                    uint32_t out[4][MOE_PHILOX_LANES])
{
    const __m512i lane =
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    words_t s = all_rounds(start(ctr, 0, lane), key0, key1);

#pragma GCC unroll 4
    for (int w = 0; w < 4; w++) {
        _mm512_storeu_si512(out[w], s.word[w]);
    }
}

AVX512 void moe_philox_rows_avx512(uint32_t key0, uint32_t key1,
                                   const uint32_t ctr[4], int n,
                                   uint32_t out[][4][MOE_PHILOX_LANES])
{
    for (int c = 0; c < n; c++) {
        const uint32_t counter[4] = {ctr[0], ctr[1] + (uint32_t)c, ctr[2],
                                     ctr[3]};

        rows_once(key0, key1, counter, out[c]);
    }
}

/* Lanes are dealt so that unpacking leaves four calls in a row. */
AVX512 static inline void calls_once(uint32_t key0, uint32_t key1,
                                     const uint32_t ctr[4],
                                     uint32_t out[MOE_PHILOX_LANES][4])
{
    const __m512i lane =
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    words_t s = all_rounds(start(ctr, 1, lane), key0, key1);
    __m512i ab_low = _mm512_unpacklo_epi32(s.word[0], s.word[1]);
    __m512i ab_high = _mm512_unpackhi_epi32(s.word[0], s.word[1]);
    __m512i cd_low = _mm512_unpacklo_epi32(s.word[2], s.word[3]);
    __m512i cd_high = _mm512_unpackhi_epi32(s.word[2], s.word[3]);

    _mm512_storeu_si512(out[0], _mm512_unpacklo_epi64(ab_low, cd_low));
    _mm512_storeu_si512(out[4], _mm512_unpackhi_epi64(ab_low, cd_low));
    _mm512_storeu_si512(out[8], _mm512_unpacklo_epi64(ab_high, cd_high));
    _mm512_storeu_si512(out[12], _mm512_unpackhi_epi64(ab_high, cd_high));
}

AVX512 void moe_philox_calls_avx512(uint32_t key0, uint32_t key1,
                                    const uint32_t ctr[4], int n,
                                    uint32_t out[][MOE_PHILOX_LANES][4])
{
    for (int c = 0; c < n; c++) {
        const uint32_t counter[4] = {
            ctr[0], ctr[1] + (uint32_t)(c * MOE_PHILOX_LANES), ctr[2], ctr[3]};

        calls_once(key0, key1, counter, out[c]);
    }
}
#else
bool moe_philox_has_avx512(void)
{
    return false;
}

void moe_philox_rows_avx512(uint32_t key0, uint32_t key1, const uint32_t ctr[4],
                            int n, uint32_t out[][4][MOE_PHILOX_LANES])
{
    moe_philox_rows_plain(key0, key1, ctr, n, out);
}

void moe_philox_calls_avx512(uint32_t key0, uint32_t key1,
                             const uint32_t ctr[4], int n,
                             uint32_t out[][MOE_PHILOX_LANES][4])
{
    moe_philox_calls_plain(key0, key1, ctr, n, out);
}
#endif
