/* SPDX-License-Identifier: Apache-2.0 */
/* A byte shuffle looks up a byte of all sixteen elements at once. */
#include "ref/nvfp4_expand.h"

#include "ref/formats.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define SSSE3 __attribute__((target("ssse3")))
#define SSSE3_INLINE                                                           \
    static inline __attribute__((always_inline, target("ssse3")))

bool moe_nvfp4_expand_has_ssse3(void)
{
    return __builtin_cpu_supports("ssse3") != 0;
}

/* The sixteen codes of a block, a byte each. */
SSSE3_INLINE __m128i unpack(const uint8_t *codes)
{
    const __m128i nibble = _mm_set1_epi8(15);
    int64_t bits;
    __m128i word;

    memcpy(&bits, codes, sizeof(bits));
    word = _mm_cvtsi64_si128(bits);
    return _mm_unpacklo_epi8(_mm_and_si128(word, nibble),
                             _mm_and_si128(_mm_srli_epi16(word, 4), nibble));
}

SSSE3_INLINE __m128i look_up(const uint8_t *plane, __m128i codes)
{
    return _mm_shuffle_epi8(
        _mm_loadu_si128((const __m128i *)(const void *)plane), codes);
}

SSSE3_INLINE void store(uint8_t *out, int i, __m128i x)
{
    _mm_storeu_si128((__m128i *)(void *)out + i, x);
}

SSSE3 void moe_nvfp4_expand_ssse3(const moe_nvfp4_planes_t *planes,
                                  const uint8_t *codes, int bytes, uint8_t *out)
{
    __m128i code = unpack(codes);
    __m128i first = look_up(planes->of[0], code);
    __m128i second = look_up(planes->of[1], code);
    __m128i low = _mm_unpacklo_epi8(first, second);
    __m128i high = _mm_unpackhi_epi8(first, second);
    __m128i upper_low, upper_high;

    if (bytes == 2) {
        store(out, 0, low);
        store(out, 1, high);
        return;
    }
    first = look_up(planes->of[2], code);
    second = look_up(planes->of[3], code);
    upper_low = _mm_unpacklo_epi8(first, second);
    upper_high = _mm_unpackhi_epi8(first, second);
    store(out, 0, _mm_unpacklo_epi16(low, upper_low));
    store(out, 1, _mm_unpackhi_epi16(low, upper_low));
    store(out, 2, _mm_unpacklo_epi16(high, upper_high));
    store(out, 3, _mm_unpackhi_epi16(high, upper_high));
}
#else
bool moe_nvfp4_expand_has_ssse3(void)
{
    return false;
}

void moe_nvfp4_expand_ssse3(const moe_nvfp4_planes_t *planes,
                            const uint8_t *codes, int bytes, uint8_t *out)
{
    moe_nvfp4_expand_plain(planes, codes, bytes, out);
}
#endif
