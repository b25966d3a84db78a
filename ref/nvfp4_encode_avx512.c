/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sixteen blocks at a time: their largest magnitudes, their scales in one
 * register, then a block to a register.
 *
 * Rounding without branches: t is the power of two below a number, held
 * between the format's smallest normal and its largest binade; adding a float
 * whose ulp is the step of codes in that binade rounds to a whole step, and
 * the difference of the bits is the count of steps.
 */
#include "ref/nvfp4_encode.h"

#include "ref/elements.h"

#if defined(__x86_64__)
#include <float.h>
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define WIDE_INLINE                                                            \
    static inline __attribute__((                                              \
        always_inline, target("avx512f,avx512bw,avx512vl,avx512dq")))

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
    return __builtin_cpu_supports("avx512f") != 0 &&
           __builtin_cpu_supports("avx512bw") != 0 &&
           __builtin_cpu_supports("avx512vl") != 0 &&
           __builtin_cpu_supports("avx512dq") != 0;
}

WIDE_INLINE __m512i all(int x)
{
    return _mm512_set1_epi32(x);
}

/* The complement of the largest magnitude's bits; NaN counts nothing. */
WIDE_INLINE uint16_t largest(__m256i x)
{
    const __m256i infinity = _mm256_set1_epi16(EXPONENT >> 16);
    __m256i a = _mm256_and_si256(x, _mm256_set1_epi16(0x7fff));
    __m128i m;

    a = _mm256_maskz_mov_epi16(_mm256_cmple_epi16_mask(a, infinity), a);
    m = _mm_max_epu16(_mm256_castsi256_si128(a),
                      _mm256_extracti128_si256(a, 1));
    m = _mm_minpos_epu16(_mm_xor_si128(m, _mm_set1_epi16(-1)));
    return (uint16_t)_mm_cvtsi128_si32(m);
}

/* The power of two below each number, within bounds. */
WIDE_INLINE __m512i power(__m512 x, int least, int most)
{
    __m512i t = _mm512_and_si512(_mm512_castps_si512(x), all(EXPONENT));

    return _mm512_min_epi32(_mm512_max_epi32(t, all(least)), all(most));
}

/* Scale codes of sixteen blocks, and the multipliers of their elements. */
WIDE_INLINE __m512 scale_group(const uint16_t *complement, float factor,
                               float inverse, uint8_t *scales)
{
    __m256i bits = _mm256_xor_si256(
        _mm256_loadu_si256((const __m256i *)complement), _mm256_set1_epi16(-1));
    __m512 v =
        _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
    __m512 s = _mm512_mul_ps(v, _mm512_set1_ps(factor));
    __m512i t = power(s, E4M3_NORMAL, E4M3_LAST);
    __m512i anchor = _mm512_add_epi32(t, all(E4M3_STEP));
    __m512 sum = _mm512_add_ps(s, _mm512_castsi512_ps(anchor));
    __m512i code = _mm512_sub_epi32(_mm512_castps_si512(sum), anchor);

    t = _mm512_srli_epi32(_mm512_sub_epi32(t, all(E4M3_NORMAL)), 20);
    code = _mm512_min_epu32(_mm512_add_epi32(code, t), all(0x7e));
    _mm_storeu_si128((__m128i *)(void *)scales, _mm512_cvtepi32_epi8(code));
    s = _mm512_min_ps(_mm512_sub_ps(sum, _mm512_castsi512_ps(anchor)),
                      _mm512_set1_ps(448.0f));
    s = _mm512_div_ps(_mm512_set1_ps(1.0f),
                      _mm512_mul_ps(s, _mm512_set1_ps(inverse)));
    return _mm512_min_ps(s, _mm512_set1_ps(FLT_MAX));
}

/* Codes of a block; those of NaN without a sign. */
WIDE_INLINE void encode_block(__m256i x, float multiplier, uint8_t *codes)
{
    __m512i u = _mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16);
    __m512 y =
        _mm512_mul_ps(_mm512_castsi512_ps(_mm512_and_si512(u, all(0x7fffffff))),
                      _mm512_set1_ps(multiplier));
    __mmask16 sign =
        _mm512_movepi32_mask(u) & _mm512_cmp_ps_mask(y, y, _CMP_ORD_Q);
    __m512i t = power(y, E2M1_NORMAL, E2M1_LAST);
    __m512i anchor = _mm512_add_epi32(t, all(E2M1_STEP));
    __m512i code = _mm512_sub_epi32(
        _mm512_castps_si512(_mm512_add_ps(y, _mm512_castsi512_ps(anchor))),
        anchor);

    t = _mm512_srli_epi32(_mm512_sub_epi32(t, all(E2M1_NORMAL)), 22);
    code = _mm512_min_epu32(_mm512_add_epi32(code, t), all(7));
    code = _mm512_mask_or_epi32(code, sign, code, all(8));
    code = _mm512_or_si512(code, _mm512_srli_epi64(code, 28));
    _mm_storel_epi64((__m128i *)(void *)codes, _mm512_cvtepi64_epi8(code));
}

WIDE static void encode(const uint16_t *x, int64_t blocks, float global,
                        uint8_t *codes, uint8_t *scales)
{
    const float sixth = 1.0f / 6.0f;
    const float factor = global * sixth;
    const float inverse = 1.0f / global;
    uint16_t complement[GROUP];
    float multiplier[GROUP];
    int64_t b = 0;

    for (; b + GROUP <= blocks; b += GROUP) {
        const __m256i *block = (const __m256i *)(const void *)(x + b * BLOCK);

#pragma GCC unroll 4
        for (int i = 0; i < GROUP; i++) {
            complement[i] = largest(_mm256_loadu_si256(block + i));
        }
        _mm512_storeu_ps(multiplier,
                         scale_group(complement, factor, inverse, scales + b));
#pragma GCC unroll 4
        for (int i = 0; i < GROUP; i++) {
            encode_block(_mm256_loadu_si256(block + i), multiplier[i],
                         codes + (b + i) * (BLOCK / 2));
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

const moe_nvfp4_encoder_t moe_nvfp4_encoder_avx512 = {"avx512", available,
                                                      encode};
