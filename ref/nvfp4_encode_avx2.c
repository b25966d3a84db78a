/* SPDX-License-Identifier: Apache-2.0 */
/* As ref/nvfp4_encode_avx512.c, where the rounding is explained: sixteen
 * blocks at a time, half a block to a register. */
#include "ref/nvfp4_encode.h"

#include "ref/elements.h"

#if defined(__x86_64__)
#include <float.h>
#include <immintrin.h>

#define AVX2        __attribute__((target("avx2")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2")))

enum {
    BLOCK = 16,
    GROUP = 16, /* blocks */
    EXPONENT = 0x7f800000,
    DIGITS = 23, /* of a float */
    E2M1_STEP = 22 << DIGITS,
    E4M3_STEP = 20 << DIGITS,
    E2M1_NORMAL = 127 << DIGITS, /* 1 */
    E2M1_LAST = 129 << DIGITS,   /* 4 */
    E4M3_NORMAL = 121 << DIGITS, /* 2^-6 */
    E4M3_LAST = 135 << DIGITS    /* 256 */
};

static bool available(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

AVX2_INLINE __m256i all(int x)
{
    return _mm256_set1_epi32(x);
}

/* Eight bf16 as floats. */
AVX2_INLINE __m256i widen(__m128i x)
{
    return _mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16);
}

/* The complement of the largest magnitude's bits; NaN counts nothing. */
AVX2_INLINE uint16_t largest(__m256i x)
{
    const __m256i infinity = _mm256_set1_epi16(EXPONENT >> 16);
    __m256i a = _mm256_and_si256(x, _mm256_set1_epi16(0x7fff));
    __m128i m;

    a = _mm256_andnot_si256(_mm256_cmpgt_epi16(a, infinity), a);
    m = _mm_max_epu16(_mm256_castsi256_si128(a),
                      _mm256_extracti128_si256(a, 1));
    m = _mm_minpos_epu16(_mm_xor_si128(m, _mm_set1_epi16(-1)));
    return (uint16_t)_mm_cvtsi128_si32(m);
}

/* The power of two below each number, within bounds. */
AVX2_INLINE __m256i power(__m256 x, int least, int most)
{
    __m256i t = _mm256_and_si256(_mm256_castps_si256(x), all(EXPONENT));

    return _mm256_min_epi32(_mm256_max_epi32(t, all(least)), all(most));
}

/* Scale codes of eight blocks, and the multipliers of their elements. */
AVX2_INLINE __m256 scale_half(const uint16_t *complement, float factor,
                              float inverse, uint8_t *scales)
{
    __m128i bits = _mm_xor_si128(
        _mm_loadu_si128((const __m128i *)(const void *)complement),
        _mm_set1_epi16(-1));
    __m256 s =
        _mm256_mul_ps(_mm256_castsi256_ps(widen(bits)), _mm256_set1_ps(factor));
    __m256i t = power(s, E4M3_NORMAL, E4M3_LAST);
    __m256i anchor = _mm256_add_epi32(t, all(E4M3_STEP));
    __m256 sum = _mm256_add_ps(s, _mm256_castsi256_ps(anchor));
    __m256i code = _mm256_sub_epi32(_mm256_castps_si256(sum), anchor);

    t = _mm256_srli_epi32(_mm256_sub_epi32(t, all(E4M3_NORMAL)), 20);
    code = _mm256_min_epu32(_mm256_add_epi32(code, t), all(0x7e));
    bits = _mm_packus_epi32(_mm256_castsi256_si128(code),
                            _mm256_extracti128_si256(code, 1));
    _mm_storel_epi64((__m128i *)(void *)scales, _mm_packus_epi16(bits, bits));
    s = _mm256_min_ps(_mm256_sub_ps(sum, _mm256_castsi256_ps(anchor)),
                      _mm256_set1_ps(448.0f));
    s = _mm256_div_ps(_mm256_set1_ps(1.0f),
                      _mm256_mul_ps(s, _mm256_set1_ps(inverse)));
    return _mm256_min_ps(s, _mm256_set1_ps(FLT_MAX));
}

/* Codes of half a block in 32 bits each; those of NaN without a sign. */
AVX2_INLINE __m256i encode_half(__m128i x, __m256 multiplier)
{
    __m256i u = widen(x);
    __m256 y = _mm256_mul_ps(
        _mm256_castsi256_ps(_mm256_and_si256(u, all(0x7fffffff))), multiplier);
    __m256i ordered = _mm256_castps_si256(_mm256_cmp_ps(y, y, _CMP_ORD_Q));
    __m256i sign = _mm256_and_si256(_mm256_and_si256(ordered, all(8)),
                                    _mm256_srli_epi32(u, 28));
    __m256i t = power(y, E2M1_NORMAL, E2M1_LAST);
    __m256i anchor = _mm256_add_epi32(t, all(E2M1_STEP));
    __m256i code = _mm256_sub_epi32(
        _mm256_castps_si256(_mm256_add_ps(y, _mm256_castsi256_ps(anchor))),
        anchor);

    t = _mm256_srli_epi32(_mm256_sub_epi32(t, all(E2M1_NORMAL)), 22);
    code = _mm256_min_epu32(_mm256_add_epi32(code, t), all(7));
    return _mm256_or_si256(code, sign);
}

/* A block's codes as 16 bits each; each half of the register holds a quarter
 * of the block from both halves. */
AVX2_INLINE __m256i encode_block(const uint16_t *x, float multiplier)
{
    const __m128i *half = (const __m128i *)(const void *)x;
    __m256 m = _mm256_set1_ps(multiplier);

    return _mm256_packus_epi32(encode_half(_mm_loadu_si128(half), m),
                               encode_half(_mm_loadu_si128(half + 1), m));
}

/* Two blocks to 16 bytes. */
AVX2_INLINE __m128i pack(__m256i first, __m256i second)
{
    __m256i bytes = _mm256_packus_epi16(first, second);
    __m256i pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi16(0x1001));

    pairs = _mm256_packus_epi16(pairs, pairs);
    return _mm_unpacklo_epi16(_mm256_castsi256_si128(pairs),
                              _mm256_extracti128_si256(pairs, 1));
}

AVX2 static void encode(const uint16_t *x, int64_t blocks, float global,
                        uint8_t *codes, uint8_t *scales)
{
    const float sixth = 1.0f / 6.0f;
    const float factor = global * sixth;
    const float inverse = 1.0f / global;
    uint16_t complement[GROUP];
    float multiplier[GROUP];
    int64_t b = 0;

    for (; b + GROUP <= blocks; b += GROUP) {
        const uint16_t *from = x + b * BLOCK;

#pragma GCC unroll 4
        for (int i = 0; i < GROUP; i++) {
            complement[i] = largest(_mm256_loadu_si256(
                (const __m256i *)(const void *)(from + i * BLOCK)));
        }
        for (int i = 0; i < GROUP; i += 8) {
            _mm256_storeu_ps(
                multiplier + i,
                scale_half(complement + i, factor, inverse, scales + b + i));
        }
#pragma GCC unroll 2
        for (int i = 0; i < GROUP; i += 2) {
            _mm_storeu_si128(
                (__m128i *)(void *)(codes + (b + i) * (BLOCK / 2)),
                pack(encode_block(from + i * BLOCK, multiplier[i]),
                     encode_block(from + (i + 1) * BLOCK, multiplier[i + 1])));
        }
    }
    moe_nvfp4_encode_plain(x + b * BLOCK, blocks - b, global,
                           codes + b * (BLOCK / 2), scales + b);
}
#else
static bool available(void)
{
    return false;
}
#define encode moe_nvfp4_encode_plain
#endif

const moe_nvfp4_encoder_t moe_nvfp4_encoder_avx2 = {"avx2", available, encode};
