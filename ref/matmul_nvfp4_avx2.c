/* SPDX-License-Identifier: Apache-2.0 */
/* NVFP4 sums by AVX2: eight rows of weights to a register, so each panel is
 * gone through twice. */
#include "ref/matmul_nvfp4_int.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2        __attribute__((target("avx2")))
#define AVX2_INLINE static inline __attribute__((always_inline, target("avx2")))

enum {
    TILE = 4, /* rows of x: two sums each in a register */
    HALF = 8, /* rows of weights */
    ROW_BYTES = 4
};

static bool available(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

AVX2_INLINE __m256i load(const void *from)
{
    return _mm256_loadu_si256(from);
}

/* E4M3 codes in the low bytes, to units of 2^-9. */
AVX2_INLINE __m256i units_of(__m256i code)
{
    const __m256i one = _mm256_set1_epi32(1);
    __m256i sign = _mm256_srai_epi32(_mm256_slli_epi32(code, 24), 31);
    __m256i exponent =
        _mm256_and_si256(_mm256_srli_epi32(code, 3), _mm256_set1_epi32(15));
    __m256i digits = _mm256_and_si256(code, _mm256_set1_epi32(7));
    __m256i normal = _mm256_min_epi32(exponent, one);

    digits = _mm256_add_epi32(digits, _mm256_slli_epi32(normal, 3));
    digits = _mm256_sllv_epi32(digits, _mm256_sub_epi32(exponent, normal));
    return _mm256_sub_epi32(_mm256_xor_si256(digits, sign), sign);
}

AVX2_INLINE void store(void *to, __m256i value)
{
    _mm256_storeu_si256((__m256i *)to, value);
}

AVX2_INLINE void decode_scales(const uint8_t *scales, int32_t (*out)[16])
{
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        __m256i four = load(scales + HALF * ROW_BYTES * h);

#pragma GCC unroll 4
        for (int i = 0; i < 4; i++) {
            store(out[i] + HALF * h, units_of(four));
            four = _mm256_srli_epi32(four, 8);
        }
    }
}

/* Eight rows of a block: columns 0, 2, 4, 6; 1, 3, 5, 7; and 8 on. */
AVX2_INLINE void decode_half(const uint8_t *codes, int half,
                             uint8_t (*word)[MOE_INT_WORDS])
{
    const __m256i biased = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
    const __m256i nibble = _mm256_set1_epi8(15);
    const int at = half * HALF * ROW_BYTES;

#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        const __m256i two = load(codes + MOE_INT_WORDS * i + at);
        const __m256i high =
            _mm256_and_si256(_mm256_srli_epi16(two, 4), nibble);

        store(word[2 * i] + at,
              _mm256_shuffle_epi8(biased, _mm256_and_si256(two, nibble)));
        store(word[2 * i + 1] + at, _mm256_shuffle_epi8(biased, high));
    }
}

AVX2 static void decode(const uint8_t *codes, const uint8_t *scales,
                        int64_t blocks, moe_int_panel_t *out)
{
    for (int64_t b = 0; b < blocks; b += 4) {
        decode_scales(scales + 16 * b, out->scales + b);
    }
    for (int64_t b = 0; b < blocks; b++) {
        decode_half(codes + 2 * MOE_INT_WORDS * b, 0, out->words[b]);
        decode_half(codes + 2 * MOE_INT_WORDS * b, 1, out->words[b]);
    }
}

typedef struct {
    __m256i word[4];
} words_t;

AVX2_INLINE words_t load_words(const moe_int_panel_t *w, int64_t block,
                               int half)
{
    words_t words;

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        words.word[i] = load(w->words[block][i] + half * HALF * ROW_BYTES);
    }
    return words;
}

/* The dot products of a block as two int16 to be added. A pair of bytes gives
 * at most 24 x 12 x 2 = 576, four of them and the start fit. */
AVX2_INLINE __m256i dot(const words_t *w, const moe_int_block_t *x)
{
    const __m256i low = _mm256_set1_epi32(UINT16_MAX);
    __m256i pairs[4];
    __m256i start = _mm256_and_si256(_mm256_set1_epi32(x->start), low);

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        pairs[i] =
            _mm256_maddubs_epi16(w->word[i], _mm256_set1_epi32(x->codes[i]));
    }
    start = _mm256_add_epi16(start, _mm256_add_epi16(pairs[0], pairs[1]));
    return _mm256_add_epi16(start, _mm256_add_epi16(pairs[2], pairs[3]));
}

/* A half of the panel; n is a constant wherever this is called. What the
 * halves of a sum go beyond int32 they lose again when added. */
AVX2_INLINE void sum_narrow(const moe_int_panel_t *w, const moe_int_block_t *x,
                            int64_t blocks, int half, int n, int64_t *sums)
{
    const __m256i low = _mm256_set1_epi32(UINT16_MAX);
    __m256i sum[TILE];

#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        sum[i] = _mm256_setzero_si256();
    }
    for (int64_t b = 0; b < blocks; b++, x += n) {
        const words_t words = load_words(w, b, half);
        const __m256i scale = load(w->scales[b] + HALF * half);
        const __m256i twice = _mm256_or_si256(_mm256_and_si256(scale, low),
                                              _mm256_slli_epi32(scale, 16));

#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            const __m256i both = _mm256_mullo_epi16(
                twice, _mm256_set1_epi16((int16_t)x[i].scale));

            sum[i] = _mm256_add_epi32(
                sum[i], _mm256_madd_epi16(dot(&words, &x[i]), both));
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        int64_t *to = sums + 16 * i + HALF * half;

        store(to, _mm256_cvtepi32_epi64(_mm256_castsi256_si128(sum[i])));
        store(to + 4,
              _mm256_cvtepi32_epi64(_mm256_extracti128_si256(sum[i], 1)));
    }
}

/* Sums of the even rows and of the odd rows, in order. */
AVX2_INLINE void store_sums(__m256i even, __m256i odd, int64_t sums[HALF])
{
    __m256i low = _mm256_unpacklo_epi64(even, odd);  /* rows 0, 1, 4, 5 */
    __m256i high = _mm256_unpackhi_epi64(even, odd); /* rows 2, 3, 6, 7 */

    store(sums, _mm256_permute2x128_si256(low, high, 0x20));
    store(sums + 4, _mm256_permute2x128_si256(low, high, 0x31));
}

/* A half of the panel; n is a constant wherever this is called. */
AVX2_INLINE void sum_wide(const moe_int_panel_t *w, const moe_int_block_t *x,
                          int64_t blocks, int half, int n, int64_t *sums)
{
    const __m256i one = _mm256_set1_epi16(1);
    __m256i even[TILE];
    __m256i odd[TILE];

#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        even[i] = odd[i] = _mm256_setzero_si256();
    }
    for (int64_t b = 0; b < blocks; b++, x += n) {
        const words_t words = load_words(w, b, half);
        const __m256i scale = load(w->scales[b] + HALF * half);

#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            const __m256i by = _mm256_set1_epi32(x[i].scale);
            const __m256i product = _mm256_mullo_epi32(
                _mm256_madd_epi16(dot(&words, &x[i]), one), scale);

            even[i] = _mm256_add_epi64(even[i], _mm256_mul_epi32(product, by));
            odd[i] = _mm256_add_epi64(
                odd[i], _mm256_mul_epi32(_mm256_srli_epi64(product, 32), by));
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        store_sums(even[i], odd[i], sums + 16 * i + HALF * half);
    }
}

AVX2 static void narrow(const moe_int_panel_t *w, const moe_int_block_t *x,
                        int64_t blocks, int64_t n, int64_t *sums)
{
    for (int half = 0; half < 2; half++) {
        switch (n) {
        case 4:
            sum_narrow(w, x, blocks, half, 4, sums);
            break;
        case 2:
            sum_narrow(w, x, blocks, half, 2, sums);
            break;
        default:
            sum_narrow(w, x, blocks, half, 1, sums);
        }
    }
}

AVX2 static void wide(const moe_int_panel_t *w, const moe_int_block_t *x,
                      int64_t blocks, int64_t n, int64_t *sums)
{
    for (int half = 0; half < 2; half++) {
        switch (n) {
        case 4:
            sum_wide(w, x, blocks, half, 4, sums);
            break;
        case 2:
            sum_wide(w, x, blocks, half, 2, sums);
            break;
        default:
            sum_wide(w, x, blocks, half, 1, sums);
        }
    }
}

static const moe_int_loops_t loops = {TILE, decode, narrow, wide};

static void prepare(const moe_nvfp4_tile_t *tile, void *work)
{
    moe_int_prepare(&loops, tile, work);
}

static void sum(const moe_nvfp4_tile_t *tile, void *work, int64_t *sums)
{
    moe_int_sum(&loops, tile, work, sums);
}

const moe_nvfp4_kernel_t moe_nvfp4_avx2 = {
    .name = "avx2",
    .max_rows = MOE_INT_MAX_ROWS,
    .max_panel = MOE_INT_MAX_PANEL,
    .few_rows = 0,
    .few_panel = MOE_INT_MAX_PANEL,
    .available = available,
    .work_bytes = moe_int_work_bytes,
    .prepare = prepare,
    .sum = sum,
};
#else
static bool available(void)
{
    return false;
}

const moe_nvfp4_kernel_t moe_nvfp4_avx2 = {.name = "avx2",
                                           .available = available};
#endif
