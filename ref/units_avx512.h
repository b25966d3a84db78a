/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * E4M3 scales as integers, by AVX-512: for the kernels of that kind.
 */
#ifndef REF_UNITS_AVX512_H
#define REF_UNITS_AVX512_H

#if defined(__x86_64__)
#include <immintrin.h>
#include <stdint.h>

#define MOE_UNITS_INLINE                                                       \
    static inline __attribute__((always_inline, target("avx512f,avx512bw")))

/** E4M3 codes in the low bytes of 16 words, to units of 2^-9; no NaN. */
MOE_UNITS_INLINE __m512i moe_units_of_avx512(__m512i code)
{
    const __m512i one = _mm512_set1_epi32(1);
    __m512i exponent =
        _mm512_and_si512(_mm512_srli_epi32(code, 3), _mm512_set1_epi32(15));
    __m512i digits = _mm512_and_si512(code, _mm512_set1_epi32(7));
    __mmask16 normal = _mm512_test_epi32_mask(exponent, exponent);
    __mmask16 negative = _mm512_test_epi32_mask(code, _mm512_set1_epi32(128));

    digits = _mm512_mask_or_epi32(digits, normal, digits, _mm512_set1_epi32(8));
    exponent = _mm512_mask_sub_epi32(exponent, normal, exponent, one);
    digits = _mm512_sllv_epi32(digits, exponent);
    return _mm512_mask_sub_epi32(digits, negative, _mm512_setzero_si512(),
                                 digits);
}

/** Scales [blocks / 4][16 rows][4 bytes], blocks rounded up to 4, to
 * units [blocks][16 rows]. */
MOE_UNITS_INLINE void moe_units_avx512(const uint8_t *scales, int64_t blocks,
                                       int32_t *units)
{
    for (int64_t b = 0; b < blocks; b += 4) {
        __m512i four = _mm512_loadu_si512(scales + 16 * b);

#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            _mm512_storeu_si512(units + 16 * (b + i),
                                moe_units_of_avx512(four));
            four = _mm512_srli_epi32(four, 8);
        }
    }
}
#endif

#endif
