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
    TILE = 8, /* rows of x: two sums each in a register */
    REGISTER = 64
};

static bool available(void)
{
    return __builtin_cpu_supports("avx512f") != 0 &&
           __builtin_cpu_supports("avx512bw") != 0 &&
           __builtin_cpu_supports("avx512vnni") != 0;
}

VNNI static void decode(const uint8_t *scales, int64_t blocks, int32_t *units)
{
    moe_units_avx512(scales, blocks, units);
}

/* Sixteen rows of a block: columns 0, 2, 4, 6; 1, 3, 5, 7; and 8 on. */
typedef struct {
    __m512i word[4];
    __m512i units;
} weights_t;

VNNI_INLINE weights_t load_weights(const moe_int_piece_t *piece, int64_t block)
{
    const __m512i biased = _mm512_broadcast_i32x4(_mm_setr_epi8(
        12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0));
    const __m512i nibble = _mm512_set1_epi8(15);
    const uint8_t *codes = piece->codes + 2 * REGISTER * block;
    weights_t w;

#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        __m512i two = _mm512_loadu_si512(codes + REGISTER * i);

        w.word[2 * i] =
            _mm512_shuffle_epi8(biased, _mm512_and_si512(two, nibble));
        w.word[2 * i + 1] = _mm512_shuffle_epi8(
            biased, _mm512_and_si512(_mm512_srli_epi16(two, 4), nibble));
    }
    w.units = _mm512_loadu_si512(piece->units + 16 * block);
    return w;
}

/* Dot products of a block, times the scales of the weights. */
VNNI_INLINE __m512i dot(const weights_t *w, const moe_int_block_t *x)
{
    __m512i sum = _mm512_set1_epi32(x->start);

#pragma GCC unroll 4
    for (int i = 0; i < 4; i++) {
        sum = _mm512_dpbusd_epi32(sum, w->word[i],
                                  _mm512_set1_epi32(x->codes[i]));
    }
    return _mm512_mullo_epi32(sum, w->units);
}

/* Sums of the even rows and of the odd rows, in order, added to sums. */
VNNI_INLINE void add_sums(int64_t sums[16], __m512i even, __m512i odd)
{
    const __m512i low = _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11);
    const __m512i high = _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15);

    _mm512_storeu_si512(
        sums, _mm512_add_epi64(_mm512_loadu_si512(sums),
                               _mm512_permutex2var_epi64(even, low, odd)));
    _mm512_storeu_si512(
        sums + 8, _mm512_add_epi64(_mm512_loadu_si512(sums + 8),
                                   _mm512_permutex2var_epi64(even, high, odd)));
}

/* Rows [first, first + n) of x; n is a constant wherever this is called. */
VNNI_INLINE void add_tile(const moe_int_piece_t *piece, int64_t first, int n)
{
    const moe_int_block_t *x = piece->x + first;
    __m512i even[TILE];
    __m512i odd[TILE];

#pragma GCC unroll 8
    for (int i = 0; i < n; i++) {
        even[i] = odd[i] = _mm512_setzero_si512();
    }
    for (int64_t b = 0; b < piece->blocks; b++, x += piece->stride) {
        const weights_t w = load_weights(piece, b);

#pragma GCC unroll 8
        for (int i = 0; i < n; i++) {
            __m512i scale = _mm512_set1_epi32(x[i].scale);
            __m512i product = dot(&w, &x[i]);

            even[i] =
                _mm512_add_epi64(even[i], _mm512_mul_epi32(product, scale));
            product = _mm512_srli_epi64(product, 32);
            odd[i] = _mm512_add_epi64(odd[i], _mm512_mul_epi32(product, scale));
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < n; i++) {
        add_sums(piece->sums + 16 * (first + i), even[i], odd[i]);
    }
}

VNNI static void add(const moe_int_piece_t *piece)
{
    int64_t i = 0;

    for (; i + 8 <= piece->n; i += 8) {
        add_tile(piece, i, 8);
    }
    for (; i + 4 <= piece->n; i += 4) {
        add_tile(piece, i, 4);
    }
    for (; i + 2 <= piece->n; i += 2) {
        add_tile(piece, i, 2);
    }
    if (i < piece->n) {
        add_tile(piece, i, 1);
    }
}

static void sum(const moe_nvfp4_tile_t *tile, void *work, int64_t *sums)
{
    static const moe_int_loops_t loops = {decode, add};

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
    .prepare = moe_int_prepare,
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
