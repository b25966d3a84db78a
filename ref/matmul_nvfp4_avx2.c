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

AVX2 static void decode(const uint8_t *scales, int64_t blocks, int32_t *units)
{
    for (int64_t b = 0; b < blocks; b += 4) {
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            __m256i four = load(scales + 16 * b + HALF * ROW_BYTES * h);

#pragma GCC unroll 4
            for (int i = 0; i < 4; i++) {
                int32_t *out = units + 16 * (b + i) + HALF * h;

                _mm256_storeu_si256((__m256i *)(void *)out, units_of(four));
                four = _mm256_srli_epi32(four, 8);
            }
        }
    }
}

/* Eight rows of a block: columns 0, 2, 4, 6; 1, 3, 5, 7; and 8 on. */
typedef struct {
    __m256i word[4];
    __m256i units;
} weights_t;

AVX2_INLINE weights_t load_weights(const moe_int_piece_t *piece, int64_t block,
                                   int half)
{
    const __m256i biased = _mm256_broadcastsi128_si256(_mm_setr_epi8(
        12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
    const __m256i nibble = _mm256_set1_epi8(15);
    const uint8_t *codes = piece->codes + (4 * block + half) * HALF * ROW_BYTES;
    weights_t w;

#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        __m256i two = load(codes + 2 * i * HALF * ROW_BYTES);

        w.word[2 * i] =
            _mm256_shuffle_epi8(biased, _mm256_and_si256(two, nibble));
        w.word[2 * i + 1] = _mm256_shuffle_epi8(
            biased, _mm256_and_si256(_mm256_srli_epi16(two, 4), nibble));
    }
    w.units = load(piece->units + 16 * block + HALF * half);
    return w;
}

/* Dot products of a block, times the scales of the weights. A pair of bytes
 * gives at most 24 x 12 x 2 = 576, four of them fit int16. */
AVX2_INLINE __m256i dot(const weights_t *w, const moe_int_block_t *x)
{
    __m256i pairs[4];
    __m256i sum;

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        pairs[i] =
            _mm256_maddubs_epi16(w->word[i], _mm256_set1_epi32(x->codes[i]));
    }
    sum = _mm256_add_epi16(_mm256_add_epi16(pairs[0], pairs[1]),
                           _mm256_add_epi16(pairs[2], pairs[3]));
    sum = _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
    sum = _mm256_add_epi32(sum, _mm256_set1_epi32(x->start));
    return _mm256_mullo_epi32(sum, w->units);
}

/* Sums of the even rows and of the odd rows, in order, added to sums. */
AVX2_INLINE void add_sums(int64_t sums[HALF], __m256i even, __m256i odd)
{
    __m256i low = _mm256_unpacklo_epi64(even, odd);  /* rows 0, 1, 4, 5 */
    __m256i high = _mm256_unpackhi_epi64(even, odd); /* rows 2, 3, 6, 7 */
    const __m256i half[2] = {_mm256_permute2x128_si256(low, high, 0x20),
                             _mm256_permute2x128_si256(low, high, 0x31)};

#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        _mm256_storeu_si256((__m256i *)(void *)(sums + 4 * i),
                            _mm256_add_epi64(load(sums + 4 * i), half[i]));
    }
}

/* Rows [first, first + n) of x, one half of the panel; n is a constant
 * wherever this is called. */
AVX2_INLINE void add_tile(const moe_int_piece_t *piece, int64_t first, int n,
                          int half)
{
    const moe_int_block_t *x = piece->x + first;
    __m256i even[TILE];
    __m256i odd[TILE];

#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        even[i] = odd[i] = _mm256_setzero_si256();
    }
    for (int64_t b = 0; b < piece->blocks; b++, x += piece->stride) {
        const weights_t w = load_weights(piece, b, half);

#pragma GCC unroll 4
        for (int i = 0; i < n; i++) {
            __m256i scale = _mm256_set1_epi32(x[i].scale);
            __m256i product = dot(&w, &x[i]);

            even[i] =
                _mm256_add_epi64(even[i], _mm256_mul_epi32(product, scale));
            product = _mm256_srli_epi64(product, 32);
            odd[i] = _mm256_add_epi64(odd[i], _mm256_mul_epi32(product, scale));
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < n; i++) {
        add_sums(piece->sums + 16 * (first + i) + HALF * half, even[i], odd[i]);
    }
}

AVX2 static void add(const moe_int_piece_t *piece)
{
    for (int half = 0; half < 2; half++) {
        int64_t i = 0;

        for (; i + 4 <= piece->n; i += 4) {
            add_tile(piece, i, 4, half);
        }
        for (; i + 2 <= piece->n; i += 2) {
            add_tile(piece, i, 2, half);
        }
        if (i < piece->n) {
            add_tile(piece, i, 1, half);
        }
    }
}

static void sum(const moe_nvfp4_tile_t *tile, void *work, int64_t *sums)
{
    static const moe_int_loops_t loops = {decode, add};

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
    .prepare = moe_int_prepare,
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
