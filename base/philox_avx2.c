/* SPDX-License-Identifier: Apache-2.0 */
/* Philox 4x32-10, eight counters to a register, twice. */
#include "base/philox_lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

enum {
    WIDTH = 8,
    ODD = 0xaa /* 32-bit lanes that hold the high halves of odd products */
};

typedef struct {
    __m256i a;
    __m256i b;
    __m256i c;
    __m256i d;
} state_t;

bool moe_philox_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

/* 32 x 32 -> 64 bits of all lanes, halves apart. */
AVX2 static inline void multiply(__m256i x, __m256i m, __m256i *high,
                                 __m256i *low)
{
    __m256i even = _mm256_mul_epu32(x, m);
    __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), m);

    *high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, ODD);
    *low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), ODD);
}

AVX2 static inline state_t next_round(state_t s, uint32_t key0, uint32_t key1)
{
    __m256i p_high;
    __m256i p_low;
    __m256i q_high;
    __m256i q_low;

    multiply(s.a, _mm256_set1_epi32((int)MOE_PHILOX_M0), &p_high, &p_low);
    multiply(s.c, _mm256_set1_epi32((int)MOE_PHILOX_M1), &q_high, &q_low);
    s.a = _mm256_xor_si256(_mm256_xor_si256(q_high, s.b),
                           _mm256_set1_epi32((int)key0));
    s.c = _mm256_xor_si256(_mm256_xor_si256(p_high, s.d),
                           _mm256_set1_epi32((int)key1));
    s.b = q_low;
    s.d = p_low;
    return s;
}

/* lane: of the counters that word 0 or 1 counts. */
AVX2 static inline state_t start(const uint32_t ctr[4], int counting,
                                 __m256i lane)
{
    const __m256i none = _mm256_setzero_si256();
    state_t s;

    s.a = _mm256_add_epi32(_mm256_set1_epi32((int)ctr[0]),
                           counting == 0 ? lane : none);
    s.b = _mm256_add_epi32(_mm256_set1_epi32((int)ctr[1]),
                           counting == 1 ? lane : none);
    s.c = _mm256_set1_epi32((int)ctr[2]);
    s.d = _mm256_set1_epi32((int)ctr[3]);
    return s;
}

/* Two halves at once: their multiplications overlap. */
AVX2 static inline void all_rounds(state_t *low, state_t *high, uint32_t key0,
                                   uint32_t key1)
{
    for (int r = 0; r < MOE_PHILOX_ROUNDS; r++) {
        *low = next_round(*low, key0, key1);
        *high = next_round(*high, key0, key1);
        key0 += MOE_PHILOX_W0;
        key1 += MOE_PHILOX_W1;
    }
}

AVX2 static inline void store_rows(state_t s, int first,
                                   uint32_t out[4][MOE_PHILOX_LANES])
{
    _mm256_storeu_si256((__m256i *)(void *)&out[0][first], s.a);
    _mm256_storeu_si256((__m256i *)(void *)&out[1][first], s.b);
    _mm256_storeu_si256((__m256i *)(void *)&out[2][first], s.c);
    _mm256_storeu_si256((__m256i *)(void *)&out[3][first], s.d);
}

AVX2 static inline void rows_once(uint32_t key0, uint32_t key1,
                                  const uint32_t ctr[4],
                                  uint32_t out[4][MOE_PHILOX_LANES])
{
    state_t low = start(ctr, 0, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    state_t high =
        start(ctr, 0, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15));

    all_rounds(&low, &high, key0, key1);
    store_rows(low, 0, out);
    store_rows(high, WIDTH, out);
}

AVX2 void moe_philox_rows_avx2(uint32_t key0, uint32_t key1,
                               const uint32_t ctr[4], int n,
                               uint32_t out[][4][MOE_PHILOX_LANES])
{
    for (int c = 0; c < n; c++) {
        const uint32_t counter[4] = {ctr[0], ctr[1] + (uint32_t)c, ctr[2],
                                     ctr[3]};

        rows_once(key0, key1, counter, out[c]);
    }
}

AVX2 static inline void store_two(uint32_t out[2][4], __m256i calls)
{
    _mm256_storeu_si256((__m256i *)(void *)out, calls);
}

AVX2 static inline void store_calls(state_t s, uint32_t out[WIDTH][4])
{
    __m256i ab_low = _mm256_unpacklo_epi32(s.a, s.b);
    __m256i ab_high = _mm256_unpackhi_epi32(s.a, s.b);
    __m256i cd_low = _mm256_unpacklo_epi32(s.c, s.d);
    __m256i cd_high = _mm256_unpackhi_epi32(s.c, s.d);

    store_two(out, _mm256_unpacklo_epi64(ab_low, cd_low));
    store_two(out + 2, _mm256_unpackhi_epi64(ab_low, cd_low));
    store_two(out + 4, _mm256_unpacklo_epi64(ab_high, cd_high));
    store_two(out + 6, _mm256_unpackhi_epi64(ab_high, cd_high));
}

/* Lanes are dealt so that unpacking leaves two calls in a row. */
AVX2 static inline void calls_once(uint32_t key0, uint32_t key1,
                                   const uint32_t ctr[4],
                                   uint32_t out[MOE_PHILOX_LANES][4])
{
    state_t low = start(ctr, 1, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
    state_t high =
        start(ctr, 1, _mm256_setr_epi32(8, 10, 12, 14, 9, 11, 13, 15));

    all_rounds(&low, &high, key0, key1);
    store_calls(low, out);
    store_calls(high, out + WIDTH);
}

AVX2 void moe_philox_calls_avx2(uint32_t key0, uint32_t key1,
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
bool moe_philox_has_avx2(void)
{
    return false;
}

void moe_philox_rows_avx2(uint32_t key0, uint32_t key1, const uint32_t ctr[4],
                          int n, uint32_t out[][4][MOE_PHILOX_LANES])
{
    moe_philox_rows_plain(key0, key1, ctr, n, out);
}

void moe_philox_calls_avx2(uint32_t key0, uint32_t key1, const uint32_t ctr[4],
                           int n, uint32_t out[][MOE_PHILOX_LANES][4])
{
    moe_philox_calls_plain(key0, key1, ctr, n, out);
}
#endif
