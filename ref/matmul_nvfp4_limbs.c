/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/matmul_nvfp4_limbs.h"

#include "ref/formats.h"
#include "ref/swizzle.h"
#include "ref/units_avx512.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define WIDE __attribute__((target("avx512f,avx512bw,avx512vl")))
#define WIDE_INLINE                                                            \
    static inline                                                              \
        __attribute__((always_inline, target("avx512f,avx512bw,avx512vl")))

enum {
    ROWS = MOE_LIMBS_ROWS,
    BLOCK = MOE_NVFP4_BLOCK,
    LIMB_BITS = 8,
    /* 12 times a larger scale does not fit two limbs, 127 x 257 */
    NARROW_MOST = 127 * 257 / 12
};

bool moe_limbs_available(void)
{
    return __builtin_cpu_supports("avx512f") != 0 &&
           __builtin_cpu_supports("avx512bw") != 0 &&
           __builtin_cpu_supports("avx512vl") != 0;
}

/* Scales of a piece in units of 2^-9, then of 2^shift of them. */
typedef struct {
    int32_t of[MOE_LIMBS_BLOCKS][ROWS]; /* room for a multiple of 4 */
    int64_t blocks;
} units_t;

/* Take the common powers of two out of the scales of each row. */
WIDE static void normalise(units_t *u, moe_limbs_t *out)
{
    __m512i any = _mm512_setzero_si512();
    __m512i most = _mm512_setzero_si512();
    __m512i shift;
    int32_t bits[ROWS];

    for (int64_t b = 0; b < u->blocks; b++) {
        __m512i scale = _mm512_abs_epi32(_mm512_loadu_si512(u->of[b]));

        any = _mm512_or_si512(any, scale);
        most = _mm512_max_epi32(most, scale);
    }
    _mm512_storeu_si512(bits, any);
    for (int r = 0; r < ROWS; r++) {
        bits[r] = bits[r] != 0 ? __builtin_ctz((unsigned)bits[r]) : 0;
        out->shift[r] = bits[r];
    }
    shift = _mm512_loadu_si512(bits);
    for (int64_t b = 0; b < u->blocks; b++) {
        __m512i scale = _mm512_loadu_si512(u->of[b]);

        _mm512_storeu_si512(u->of[b], _mm512_srav_epi32(scale, shift));
    }
    most = _mm512_srav_epi32(most, shift);
    out->limbs = _mm512_reduce_max_epi32(most) <= NARROW_MOST ? 2 : MOE_LIMBS;
}

/* Place of an element in a chunk of one row: its group, then in that. */
static int place_of(int64_t col)
{
    int in = (int)(col % MOE_LIMBS_CHUNK);

    return (in / 8 * 2 + in % 2) * 4 + in % 8 / 2;
}

static void split(int32_t value, moe_limbs_t *out, int64_t chunk, int at)
{
    for (int limb = 0; limb < MOE_LIMBS; limb++) {
        int8_t digit = (int8_t)value;

        out->limb[limb][chunk][at] = digit;
        value = (value - digit) / (1 << LIMB_BITS);
    }
}

static void clear(moe_limbs_t *out, int64_t cols)
{
    for (int limb = 0; limb < MOE_LIMBS; limb++) {
        memset(out->limb[limb][(cols - 1) / MOE_LIMBS_CHUNK], 0,
               sizeof(out->limb[limb][0]));
    }
}

/* Bytes {0, 1, .. 6, 8, ..}: twice the value of each code. */
#define TWICE                                                                  \
    _mm_setr_epi8(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)

/* Sixteen elements of a row: a block. */
WIDE_INLINE void split_block(const uint8_t *codes, int32_t scale, int8_t *low,
                             int8_t *high)
{
    __m128i two = _mm_loadl_epi64((const __m128i *)(const void *)codes);
    __m128i nibble = _mm_set1_epi8(15);
    __m128i code =
        _mm_unpacklo_epi32(_mm_and_si128(two, nibble),
                           _mm_and_si128(_mm_srli_epi16(two, 4), nibble));
    __m256i value =
        _mm256_mullo_epi16(_mm256_cvtepi8_epi16(_mm_shuffle_epi8(TWICE, code)),
                           _mm256_set1_epi16((int16_t)scale));

    _mm_storeu_si128((__m128i *)(void *)low, _mm256_cvtepi16_epi8(value));
    value = _mm256_add_epi16(value, _mm256_set1_epi16(128));
    _mm_storeu_si128((__m128i *)(void *)high,
                     _mm256_cvtepi16_epi8(_mm256_srai_epi16(value, LIMB_BITS)));
}

/* A row of a left operand; codes from the piece's first column on. */
WIDE static void split_row(const uint8_t *codes, const units_t *u, int r,
                           moe_limbs_t *out)
{
    for (int64_t b = 0; b < u->blocks; b++) {
        int64_t chunk = b * BLOCK / MOE_LIMBS_CHUNK;
        int64_t at = r * MOE_LIMBS_CHUNK + b * BLOCK % MOE_LIMBS_CHUNK;

        split_block(codes + b * BLOCK / 2, u->of[b][r],
                    &out->limb[0][chunk][at], &out->limb[1][chunk][at]);
    }
}

static void split_row_wide(const uint8_t *codes, const units_t *u, int r,
                           moe_limbs_t *out)
{
    for (int64_t c = 0; c < u->blocks * BLOCK; c++) {
        int twice = moe_e2m1_twice((uint8_t)(codes[c / 2] >> (4 * (c % 2))));

        split(twice * u->of[c / BLOCK][r], out, c / MOE_LIMBS_CHUNK,
              r * MOE_LIMBS_CHUNK + place_of(c));
    }
}

void moe_limbs_left(const moe_rows_t *x, int64_t first, int64_t end,
                    int64_t col, int64_t cols, moe_limbs_t *out)
{
    int64_t all = x->cols / BLOCK;
    int64_t n = end - first < ROWS ? end - first : ROWS;
    const uint8_t *scales = x->scales;
    units_t u = {.blocks = cols / BLOCK};

    for (int64_t r = 0; r < n; r++) {
        for (int64_t b = 0; b < u.blocks; b++) {
            int64_t at =
                moe_scales_offset(x->layout, all, first + r, col / BLOCK + b);

            u.of[b][r] = moe_e4m3_units(scales[at]);
        }
    }
    normalise(&u, out);
    if (n < ROWS) {
        memset(out->limb, 0, sizeof(out->limb));
    } else {
        clear(out, cols);
    }
    for (int64_t r = 0; r < n; r++) {
        const uint8_t *codes = moe_rows_codes(x, first + r) + col / 2;

        if (out->limbs == 2) {
            split_row(codes, &u, (int)r, out);
        } else {
            split_row_wide(codes, &u, (int)r, out);
        }
    }
}

/* Four columns of 16 rows; codes in the low nibbles. */
WIDE_INLINE void split_group(__m512i code, __m512i scale, int8_t *low,
                             int8_t *high)
{
    const __mmask64 odd = 0xaaaaaaaaaaaaaaaau;
    const __m512i half = _mm512_set1_epi16(128);
    __m512i twice = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(TWICE), code);
    __m512i a = _mm512_mullo_epi16(
        _mm512_srai_epi16(_mm512_slli_epi16(twice, 8), 8), scale);
    __m512i b = _mm512_mullo_epi16(_mm512_srai_epi16(twice, 8), scale);

    _mm512_storeu_si512(
        low, _mm512_mask_blend_epi8(odd, a, _mm512_slli_epi16(b, LIMB_BITS)));
    a = _mm512_srli_epi16(_mm512_add_epi16(a, half), LIMB_BITS);
    b = _mm512_add_epi16(b, half);
    _mm512_storeu_si512(high, _mm512_mask_blend_epi8(odd, a, b));
}

WIDE static void split_panel(const uint8_t *codes, const units_t *u,
                             moe_limbs_t *out)
{
    const __m512i nibble = _mm512_set1_epi8(15);
    const __m512i word = _mm512_set1_epi32(0xffff);
    int8_t *low = out->limb[0][0];
    int8_t *high = out->limb[1][0];

    for (int64_t b = 0; b < u->blocks; b++) {
        __m512i scale = _mm512_loadu_si512(u->of[b]);

        scale = _mm512_or_si512(_mm512_and_si512(scale, word),
                                _mm512_slli_epi32(scale, 16));
        for (int i = 0; i < 2; i++, codes += 64, low += 128, high += 128) {
            __m512i two = _mm512_loadu_si512(codes);

            split_group(_mm512_and_si512(two, nibble), scale, low, high);
            split_group(_mm512_and_si512(_mm512_srli_epi16(two, 4), nibble),
                        scale, low + 64, high + 64);
        }
    }
}

static void split_panel_wide(const uint8_t *codes, const units_t *u,
                             moe_limbs_t *out)
{
    for (int64_t c = 0; c < u->blocks * BLOCK; c++) {
        for (int r = 0; r < ROWS; r++) {
            uint8_t two = codes[(c / 8 * ROWS + r) * 4 + c % 8 / 2];
            int twice = moe_e2m1_twice((uint8_t)(two >> (4 * (c % 2))));
            int place = place_of(c);

            split(twice * u->of[c / BLOCK][r], out, c / MOE_LIMBS_CHUNK,
                  (place / 4 * ROWS + r) * 4 + place % 4);
        }
    }
}

WIDE void moe_limbs_right(const uint8_t *codes, const uint8_t *scales,
                          int64_t cols, moe_limbs_t *out)
{
    units_t u;

    u.blocks = cols / BLOCK;
    moe_units_avx512(scales, u.blocks, u.of[0]);
    normalise(&u, out);
    clear(out, cols);
    if (out->limbs == 2) {
        split_panel(codes, &u, out);
    } else {
        split_panel_wide(codes, &u, out);
    }
}
#else
bool moe_limbs_available(void)
{
    return false;
}
#endif
