/* SPDX-License-Identifier: Apache-2.0 */
/* Philox 4x32-10, four counters to a register: a word in the low half of each
 * 64 bits, where multiplications want it; what is above is of no meaning. */
#include "base/philox_lanes.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2        __attribute__((target("avx2")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2")))

enum {
    WIDTH = 8,
    ODD = 0xaa /* 32-bit lanes of odd counters */
};

/* Words a, b, c, d of four counters. */
typedef struct {
    __m256i a;
    __m256i b;
    __m256i c;
    __m256i d;
} state_t;

/* Of eight: the even ones, and the odd ones. */
typedef struct {
    state_t even;
    state_t odd;
} pair_t;

/* Keys of all rounds. */
typedef struct {
    __m256i of[MOE_PHILOX_ROUNDS][2];
} keys_t;

bool moe_philox_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

AVX2_INLINE void make_keys(uint32_t key0, uint32_t key1, keys_t *keys)
{
    for (int r = 0; r < MOE_PHILOX_ROUNDS; r++) {
        keys->of[r][0] = _mm256_set1_epi32((int)key0);
        keys->of[r][1] = _mm256_set1_epi32((int)key1);
        key0 += MOE_PHILOX_W0;
        key1 += MOE_PHILOX_W1;
    }
}

AVX2_INLINE void next_round(state_t *s, const __m256i key[2])
{
    const __m256i p =
        _mm256_mul_epu32(s->a, _mm256_set1_epi32((int)MOE_PHILOX_M0));
    const __m256i q =
        _mm256_mul_epu32(s->c, _mm256_set1_epi32((int)MOE_PHILOX_M1));

    s->a = _mm256_xor_si256(_mm256_xor_si256(s->b, key[0]),
                            _mm256_srli_epi64(q, 32));
    s->c = _mm256_xor_si256(_mm256_xor_si256(s->d, key[1]),
                            _mm256_srli_epi64(p, 32));
    s->b = q;
    s->d = p;
}

AVX2_INLINE __m256i both(__m256i even, __m256i odd)
{
    return _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), ODD);
}

/* The words of eight counters: ctr + lane in word 0 or 1. */
AVX2_INLINE state_t eight(const uint32_t ctr[4], int counting, __m256i lane,
                          const keys_t *keys)
{
    const __m256i none = _mm256_setzero_si256();
    pair_t s;

    s.even.a = _mm256_add_epi32(_mm256_set1_epi32((int)ctr[0]),
                                counting == 0 ? lane : none);
    s.even.b = _mm256_add_epi32(_mm256_set1_epi32((int)ctr[1]),
                                counting == 1 ? lane : none);
    s.even.c = _mm256_set1_epi32((int)ctr[2]);
    s.even.d = _mm256_set1_epi32((int)ctr[3]);
    s.odd = s.even;
    s.odd.a = _mm256_srli_epi64(s.even.a, 32);
    s.odd.b = _mm256_srli_epi64(s.even.b, 32);
#pragma GCC unroll 10
    for (int r = 0; r < MOE_PHILOX_ROUNDS; r++) {
        next_round(&s.even, keys->of[r]);
        next_round(&s.odd, keys->of[r]);
    }
    return (state_t){both(s.even.a, s.odd.a), both(s.even.b, s.odd.b),
                     both(s.even.c, s.odd.c), both(s.even.d, s.odd.d)};
}

AVX2_INLINE void store_rows(state_t s, int first,
                            uint32_t out[4][MOE_PHILOX_LANES])
{
    _mm256_storeu_si256((__m256i *)(void *)&out[0][first], s.a);
    _mm256_storeu_si256((__m256i *)(void *)&out[1][first], s.b);
    _mm256_storeu_si256((__m256i *)(void *)&out[2][first], s.c);
    _mm256_storeu_si256((__m256i *)(void *)&out[3][first], s.d);
}

AVX2 void moe_philox_rows_avx2(uint32_t key0, uint32_t key1,
                               const uint32_t ctr[4], int n,
                               uint32_t out[][4][MOE_PHILOX_LANES])
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    keys_t keys;

    make_keys(key0, key1, &keys);
    for (int i = 0; i < 2 * n; i++) {
        const int first = i % 2 * WIDTH;
        const uint32_t counter[4] = {ctr[0] + (uint32_t)first,
                                     ctr[1] + (uint32_t)(i / 2), ctr[2],
                                     ctr[3]};

        store_rows(eight(counter, 0, lane, &keys), first, out[i / 2]);
    }
}

AVX2_INLINE void store_two(uint32_t out[2][4], __m256i calls)
{
    _mm256_storeu_si256((__m256i *)(void *)out, calls);
}

AVX2_INLINE void store_calls(state_t s, uint32_t out[WIDTH][4])
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
AVX2 void moe_philox_calls_avx2(uint32_t key0, uint32_t key1,
                                const uint32_t ctr[4], int n,
                                uint32_t out[][MOE_PHILOX_LANES][4])
{
    const __m256i lane = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
    keys_t keys;

    make_keys(key0, key1, &keys);
    for (int i = 0; i < 2 * n; i++) {
        const uint32_t counter[4] = {ctr[0], ctr[1] + (uint32_t)(i * WIDTH),
                                     ctr[2], ctr[3]};

        store_calls(eight(counter, 1, lane, &keys), out[i / 2] + i % 2 * WIDTH);
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
