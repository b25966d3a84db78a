/* SPDX-License-Identifier: Apache-2.0 */
/* Eight codes to a register: a permutation looks them up, for it reads only
 * the low four bits of each index. */
#include "ref/nvfp4_decode.h"

#include "ref/formats.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f")))

bool moe_nvfp4_decode_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") != 0;
}

AVX512 void moe_nvfp4_decode_avx512(const uint8_t *codes, const uint8_t *scales,
                                    int64_t blocks, double *out)
{
    const __m512d up = _mm512_setr_pd(0, 1, 2, 3, 4, 6, 8, 12);
    const __m512d down = _mm512_setr_pd(0, -1, -2, -3, -4, -6, -8, -12);
    const __m512i low = _mm512_setr_epi64(0, 4, 8, 12, 16, 20, 24, 28);
    const __m512i high = _mm512_setr_epi64(32, 36, 40, 44, 48, 52, 56, 60);

    for (int64_t b = 0; b < blocks; b++) {
        __m512d unit = _mm512_set1_pd(moe_e4m3_units(scales[b]));
        __m512i word;
        int64_t bits;

        memcpy(&bits, codes + 8 * b, sizeof(bits));
        word = _mm512_set1_epi64(bits);
        _mm512_storeu_pd(
            out + 16 * b,
            _mm512_mul_pd(
                _mm512_permutex2var_pd(up, _mm512_srlv_epi64(word, low), down),
                unit));
        _mm512_storeu_pd(
            out + 16 * b + 8,
            _mm512_mul_pd(
                _mm512_permutex2var_pd(up, _mm512_srlv_epi64(word, high), down),
                unit));
    }
}
#else
bool moe_nvfp4_decode_has_avx512(void)
{
    return false;
}

void moe_nvfp4_decode_avx512(const uint8_t *codes, const uint8_t *scales,
                             int64_t blocks, double *out)
{
    moe_nvfp4_decode_plain(codes, scales, blocks, out);
}
#endif
