/* SPDX-License-Identifier: Apache-2.0 */
/* NVFP4 sums by AVX-512 VNNI: sixteen rows of weights to a register. */
#include "ref/matmul_nvfp4_int.h"
#include "ref/units_avx512.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define VNNI __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define VNNI_INLINE                                                            \
    static inline                                                              \
        __attribute__((always_inline, target("avx512f,avx512bw,avx512vnni")))

enum {
    TILE = 8 /* rows of x: two sums each in a register */
};

static bool available(void)
{
    return __builtin_cpu_supports("avx512f") != 0 &&
           __builtin_cpu_supports("avx512bw") != 0 &&
           __builtin_cpu_supports("avx512vnni") != 0;
}

/* Sixteen rows of a block: columns 0, 2, 4, 6; 1, 3, 5, 7; and 8 on. */
VNNI_INLINE void decode_block(const uint8_t *codes,
                              uint8_t (*word)[MOE_INT_WORDS])
{
    const __m512i biased = _mm512_broadcast_i32x4(_mm_setr_epi8(
        12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
    const __m512i nibble = _mm512_set1_epi8(15);

#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        const __m512i two = _mm512_loadu_si512(codes + MOE_INT_WORDS * i);
        const __m512i high =
            _mm512_and_si512(_mm512_srli_epi16(two, 4), nibble);

        _mm512_storeu_si512(
            word[2 * i],
            _mm512_shuffle_epi8(biased, _mm512_and_si512(two, nibble)));
        _mm512_storeu_si512(word[2 * i + 1], _mm512_shuffle_epi8(biased, high));
    }
}

VNNI static void decode(const uint8_t *codes, const uint8_t *scales,
                        int64_t blocks, moe_int_panel_t *out)
{
    moe_units_avx512(scales, blocks, out->scales[0]);
    for (int64_t b = 0; b < blocks; b++) {
        decode_block(codes + 2 * MOE_INT_WORDS * b, out->words[b]);
    }
}

/* Dot products of a block, of n rows side by side. */
VNNI_INLINE void dot(const uint8_t (*word)[MOE_INT_WORDS],
                     const moe_int_block_t *x, int n, __m512i sum[TILE])
{
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) {
        sum[i] = _mm512_set1_epi32(x[i].start);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) {
        const __m512i codes = _mm512_loadu_si512(word[j]);

#pragma GCC unroll 8
        for (int i = 0; i < n; i++) {
            sum[i] = _mm512_dpbusd_epi32(sum[i], codes,
                                         _mm512_set1_epi32(x[i].codes[j]));
        }
    }
}

/* n is a constant wherever this is called. Of a dot product and of a scale
 * the low halves count; the high half of a scale is made zero. */
VNNI_INLINE void sum_narrow(const moe_int_panel_t *w, const moe_int_block_t *x,
                            int64_t blocks, int n, int64_t *sums)
{
    const __m512i low = _mm512_set1_epi32(UINT16_MAX);
    __m512i sum[TILE];

#pragma GCC unroll 8
    for (int i = 0; i < n; i++) {
        sum[i] = _mm512_setzero_si512();
    }
    for (int64_t b = 0; b < blocks; b++, x += n) {
        const __m512i scale =
            _mm512_and_si512(_mm512_loadu_si512(w->scales[b]), low);
        __m512i product[TILE];

        dot(w->words[b], x, n, product);

#pragma GCC unroll 8
        for (int i = 0; i < n; i++) {
            const __m512i both =
                _mm512_mullo_epi16(scale, _mm512_set1_epi32(x[i].scale));

            sum[i] = _mm512_dpwssd_epi32(sum[i], product[i], both);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) {
        const __m256i half[2] = {_mm512_castsi512_si256(sum[i]),
                                 _mm512_extracti64x4_epi64(sum[i], 1)};

        _mm512_storeu_si512(sums + 16 * i, _mm512_cvtepi32_epi64(half[0]));
        _mm512_storeu_si512(sums + 16 * i + 8, _mm512_cvtepi32_epi64(half[1]));
    }
}

/* Sums of the even rows and of the odd rows, in order. */
VNNI_INLINE void store_sums(__m512i even, __m512i odd, int64_t sums[16])
{
    const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);

    _mm512_storeu_si512(sums, _mm512_permutex2var_epi64(even, low, odd));
    _mm512_storeu_si512(sums + 8, _mm512_permutex2var_epi64(even, high, odd));
}

/* n is a constant wherever this is called. */
VNNI_INLINE void sum_wide(const moe_int_panel_t *w, const moe_int_block_t *x,
                          int64_t blocks, int n, int64_t *sums)
{
    __m512i even[TILE];
    __m512i odd[TILE];

#pragma GCC unroll 8
    for (int i = 0; i < n; i++) {
        even[i] = odd[i] = _mm512_setzero_si512();
    }
    for (int64_t b = 0; b < blocks; b++, x += n) {
        const __m512i scale = _mm512_loadu_si512(w->scales[b]);
        __m512i product[TILE];

        dot(w->words[b], x, n, product);

#pragma GCC unroll 8
        for (int i = 0; i < n; i++) {
            const __m512i by = _mm512_set1_epi32(x[i].scale);

            product[i] = _mm512_mullo_epi32(product[i], scale);
            even[i] =
                _mm512_add_epi64(even[i], _mm512_mul_epi32(product[i], by));
            product[i] = _mm512_srli_epi64(product[i], 32);
            odd[i] = _mm512_add_epi64(odd[i], _mm512_mul_epi32(product[i], by));
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) {
        store_sums(even[i], odd[i], sums + 16 * i);
    }
}

VNNI static void narrow(const moe_int_panel_t *w, const moe_int_block_t *x,
                        int64_t blocks, int64_t n, int64_t *sums)
{
    switch (n) {
    case 8:
        sum_narrow(w, x, blocks, 8, sums);
        break;
    case 4:
        sum_narrow(w, x, blocks, 4, sums);
        break;
    case 2:
        sum_narrow(w, x, blocks, 2, sums);
        break;
    default:
        sum_narrow(w, x, blocks, 1, sums);
    }
}

VNNI static void wide(const moe_int_panel_t *w, const moe_int_block_t *x,
                      int64_t blocks, int64_t n, int64_t *sums)
{
    switch (n) {
    case 8:
        sum_wide(w, x, blocks, 8, sums);
        break;
    case 4:
        sum_wide(w, x, blocks, 4, sums);
        break;
    case 2:
        sum_wide(w, x, blocks, 2, sums);
        break;
    default:
        sum_wide(w, x, blocks, 1, sums);
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

const moe_nvfp4_kernel_t moe_nvfp4_vnni = {
    .name = "vnni",
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

const moe_nvfp4_kernel_t moe_nvfp4_vnni = {.name = "vnni",
                                           .available = available};
#endif
