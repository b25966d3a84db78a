/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sixteen blocks at a time: their largest magnitudes, then their scales, then
 * codes by the borders, a block to a register.
 *
 * Scales are rounded without branches: t is the power of two below a number,
 * held between the smallest normal E4M3 and the last binade; adding a float
 * whose ulp is the step of codes there rounds to a whole step, and the
 * difference of the bits is the count of steps.
 */
#include "ref/nvfp4_encode.h"

#include "ref/elements.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2        __attribute__((target("avx2")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2")))

enum {
    BLOCK = 16,
    GROUP = 16, /* blocks */
    EXPONENT = 0x7f800000,
    DIGITS = 23, /* of a float */
    STEP = 20 << DIGITS,
    NORMAL = 121 << DIGITS, /* 2^-6 */
    LAST = 135 << DIGITS,   /* 256 */
    LARGEST = 0x7e,
    NAN_ABOVE = 0x7fff - 0x7f80 /* complements below are those of NaN */
};

/* The borders of a scale code, each sixteen times. */
typedef struct {
    __m256i of[MOE_NVFP4_SCALES][MOE_NVFP4_BORDERS];
} borders_t;

static bool available(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

AVX2_INLINE __m256i all(int x)
{
    return _mm256_set1_epi32(x);
}

AVX2_INLINE __m256i load(const uint16_t *from)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)from);
}

/* Complements of magnitudes: the least is the largest magnitude's. */
AVX2_INLINE __m256i complement(const uint16_t *from)
{
    return _mm256_andnot_si256(load(from), _mm256_set1_epi16(0x7fff));
}

AVX2_INLINE __m256i merge16(__m256i a, __m256i b)
{
    return _mm256_min_epu16(_mm256_unpacklo_epi16(a, b),
                            _mm256_unpackhi_epi16(a, b));
}

AVX2_INLINE __m256i merge32(__m256i a, __m256i b)
{
    return _mm256_min_epu16(_mm256_unpacklo_epi32(a, b),
                            _mm256_unpackhi_epi32(a, b));
}

AVX2_INLINE __m256i merge64(__m256i a, __m256i b)
{
    return _mm256_min_epu16(_mm256_unpacklo_epi64(a, b),
                            _mm256_unpackhi_epi64(a, b));
}

/* Two blocks: least complements of four numbers each, in turn. */
AVX2_INLINE __m256i two(const uint16_t *x)
{
    return merge16(complement(x), complement(x + BLOCK));
}

/* Least complement of each of eight blocks. */
AVX2_INLINE __m128i least(const uint16_t *x)
{
    __m256i first = merge32(two(x), two(x + 2 * BLOCK));
    __m256i second = merge32(two(x + 4 * BLOCK), two(x + 6 * BLOCK));
    __m256i eight = merge64(first, second);

    return _mm_min_epu16(_mm256_castsi256_si128(eight),
                         _mm256_extracti128_si256(eight, 1));
}

/* Scale codes of eight blocks, in 32 bits each. */
AVX2_INLINE __m256i scale_codes(__m128i complements, float factor)
{
    __m128i bits = _mm_sub_epi16(_mm_set1_epi16(0x7fff), complements);
    __m256 v =
        _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
    __m256 s = _mm256_mul_ps(v, _mm256_set1_ps(factor));
    __m256i t = _mm256_and_si256(_mm256_castps_si256(s), all(EXPONENT));
    __m256i anchor, steps;

    t = _mm256_min_epi32(_mm256_max_epi32(t, all(NORMAL)), all(LAST));
    anchor = _mm256_add_epi32(t, all(STEP));
    steps = _mm256_sub_epi32(
        _mm256_castps_si256(_mm256_add_ps(s, _mm256_castsi256_ps(anchor))),
        anchor);
    t = _mm256_srli_epi32(_mm256_sub_epi32(t, all(NORMAL)), 20);
    return _mm256_min_epu32(_mm256_add_epi32(steps, t), all(LARGEST));
}

/* Scales of sixteen blocks; false, nothing written, if one holds a NaN. */
AVX2_INLINE bool scale_group(const uint16_t *x, float factor, uint8_t *scales)
{
    __m128i low = least(x);
    __m128i high = least(x + GROUP / 2 * BLOCK);
    __m128i nan =
        _mm_cmpgt_epi16(_mm_set1_epi16(NAN_ABOVE), _mm_min_epu16(low, high));
    __m256i codes;

    if (_mm_movemask_epi8(nan) != 0) {
        return false;
    }
    codes = _mm256_packus_epi32(scale_codes(low, factor),
                                scale_codes(high, factor));
    codes = _mm256_permute4x64_epi64(codes, 0xd8);
    _mm_storeu_si128((__m128i *)(void *)scales,
                     _mm_packus_epi16(_mm256_castsi256_si128(codes),
                                      _mm256_extracti128_si256(codes, 1)));
    return true;
}

/* Codes of a block in 16 bits each. */
AVX2_INLINE __m256i encode_block(const uint16_t *from, const __m256i *border)
{
    __m256i x = load(from);
    __m256i a = _mm256_and_si256(x, _mm256_set1_epi16(0x7fff));
    __m256i sign =
        _mm256_and_si256(_mm256_srli_epi16(x, 12), _mm256_set1_epi16(8));
    __m256i p = _mm256_add_epi16(_mm256_cmpgt_epi16(a, border[0]),
                                 _mm256_cmpgt_epi16(a, border[1]));
    __m256i q = _mm256_add_epi16(_mm256_cmpgt_epi16(a, border[2]),
                                 _mm256_cmpgt_epi16(a, border[3]));
    __m256i r = _mm256_add_epi16(_mm256_cmpgt_epi16(a, border[4]),
                                 _mm256_cmpgt_epi16(a, border[5]));

    sign = _mm256_sub_epi16(sign, _mm256_cmpgt_epi16(a, border[6]));
    return _mm256_sub_epi16(sign, _mm256_add_epi16(_mm256_add_epi16(p, q), r));
}

/* Two blocks to 16 bytes. */
AVX2_INLINE __m128i pack(__m256i first, __m256i second)
{
    __m256i bytes = _mm256_packus_epi16(first, second);
    __m256i pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi16(0x1001));

    pairs = _mm256_packus_epi16(pairs, pairs);
    return _mm_unpacklo_epi32(_mm256_castsi256_si128(pairs),
                              _mm256_extracti128_si256(pairs, 1));
}

AVX2 static void encode_group(const uint16_t *x, const borders_t *borders,
                              const uint8_t *scales, uint8_t *codes)
{
#pragma GCC unroll 4
    for (int i = 0; i < GROUP; i += 2) {
        __m256i first = encode_block(x + i * BLOCK, borders->of[scales[i]]);
        __m256i second =
            encode_block(x + (i + 1) * BLOCK, borders->of[scales[i + 1]]);

        _mm_storeu_si128((__m128i *)(void *)(codes + i * (BLOCK / 2)),
                         pack(first, second));
    }
}

AVX2 static void expand(float global, borders_t *borders)
{
    moe_nvfp4_borders_t one;

    moe_nvfp4_borders(global, one);
    for (int scale = 0; scale < MOE_NVFP4_SCALES; scale++) {
        for (int i = 0; i < MOE_NVFP4_BORDERS; i++) {
            borders->of[scale][i] = _mm256_set1_epi16(one[scale][i]);
        }
    }
}

AVX2 static void encode(const uint16_t *x, int64_t blocks, float global,
                        uint8_t *codes, uint8_t *scales)
{
    const float sixth = 1.0f / 6.0f;
    const float factor = global * sixth;
    borders_t borders;
    int64_t b = 0;

    if (moe_nvfp4_has_borders(global, blocks)) {
        expand(global, &borders);
        for (; b + GROUP <= blocks; b += GROUP) {
            const uint16_t *from = x + b * BLOCK;
            uint8_t *to = codes + b * (BLOCK / 2);

            if (scale_group(from, factor, scales + b)) {
                encode_group(from, &borders, scales + b, to);
            } else {
                moe_nvfp4_encode_few(from, GROUP, global, to, scales + b);
            }
        }
    }
    moe_nvfp4_encode_few(x + b * BLOCK, blocks - b, global,
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
