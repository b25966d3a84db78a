/* SPDX-License-Identifier: Apache-2.0 */
/* A byte shuffle looks up the sixteen codes of a block at once. */
#include "ref/nvfp4_decode.h"

#include "ref/formats.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

bool moe_nvfp4_decode_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

/* Sixteen integers of a block, from two codes a byte. */
AVX2 static inline __m128i look_up(const uint8_t *codes)
{
    const __m128i twice =
        _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
    const __m128i nibble = _mm_set1_epi8(15);
    int64_t bits;
    __m128i word;

    memcpy(&bits, codes, sizeof(bits));
    word = _mm_cvtsi64_si128(bits);
    word = _mm_unpacklo_epi8(_mm_and_si128(word, nibble),
                             _mm_and_si128(_mm_srli_epi16(word, 4), nibble));
    return _mm_shuffle_epi8(twice, word);
}

AVX2 void moe_nvfp4_decode_avx2(const uint8_t *codes, const uint8_t *scales,
                                int64_t blocks, double *out)
{
    for (int64_t b = 0; b < blocks; b++) {
        __m128i unit = _mm_set1_epi32(moe_e4m3_units(scales[b]));
        __m128i value = look_up(codes + 8 * b);

        for (int i = 0; i < 4; i++) {
            __m128i four = _mm_mullo_epi32(_mm_cvtepi8_epi32(value), unit);

            _mm256_storeu_pd(out + 16 * b + 4 * i, _mm256_cvtepi32_pd(four));
            value = _mm_srli_si128(value, 4);
        }
    }
}
#else
bool moe_nvfp4_decode_has_avx2(void)
{
    return false;
}

void moe_nvfp4_decode_avx2(const uint8_t *codes, const uint8_t *scales,
                           int64_t blocks, double *out)
{
    moe_nvfp4_decode_plain(codes, scales, blocks, out);
}
#endif
