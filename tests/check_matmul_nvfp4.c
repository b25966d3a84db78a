/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/matmul_nvfp4.h"
#include "ref/nvfp4_decode.h"
#include "tests/support.h"

#include <mpfr.h>
#include <stdlib.h>
#include <string.h>

/*
 * Integer sums of every kernel against plain 128-bit loops with their own
 * decoding. Random data and rounded results cannot see a broken bound of the
 * pieces: the last fill is built so that sums are odd and as large as can be.
 */
enum {
    ROWS = 5,
    PANEL = 19,
    MAX_K = 7168,
    ALIGN = 64
};

typedef enum {
    FILL_typical,
    FILL_largest,
    FILL_signs,
    FILL_all_scales,
    FILL_odd_block,
    FILL_COUNT
} fill_t;

static const int64_t widths[] = {16,   48,   1024, 1040, 1184,
                                 1200, 2048, 2368, 7168};

enum {
    WIDTHS = sizeof(widths) / sizeof(widths[0])
};

/* Packed codes [rows][K / 2] and scales [rows][K / 16]. */
typedef struct {
    int64_t rows;
    int64_t k;
    uint8_t codes[PANEL * MAX_K / 2];
    uint8_t scales[PANEL * MAX_K / 16];
} operand_t;

static operand_t a;
static operand_t b;
static uint64_t state = 88172645463325252u;

static uint32_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static uint8_t draw_codes(fill_t fill)
{
    switch (fill) {
    case FILL_largest:
    case FILL_odd_block:
        return 0x77;
    case FILL_signs:
        return (uint8_t)(0x77 | (draw() & 0x88));
    default:
        return (uint8_t)draw();
    }
}

static uint8_t draw_scale(fill_t fill)
{
    switch (fill) {
    case FILL_largest:
    case FILL_odd_block:
        return 0x7e;
    case FILL_signs:
        return draw() % 3 == 0 ? 0x01 : 0x7e;
    case FILL_all_scales:
        return (uint8_t)(draw() % 127);
    default:
        return (uint8_t)(0x60 + draw() % 16);
    }
}

static void fill_operand(operand_t *o, fill_t fill, int64_t rows, int64_t k)
{
    o->rows = rows;
    o->k = k;
    for (int64_t i = 0; i < rows * k / 2; i++) {
        o->codes[i] = draw_codes(fill);
    }
    for (int64_t i = 0; i < rows * k / 16; i++) {
        o->scales[i] = draw_scale(fill);
    }
    for (int64_t r = 0; fill == FILL_odd_block && r < rows; r++) {
        /* fifteen 0.5 and a 0, with the smallest scale */
        memset(o->codes + r * k / 2, 0x11, 8);
        o->codes[r * k / 2] = 0x10;
        o->scales[r * k / 16] = 1;
    }
}

/* Twice the value, and 2^9 times the value: the tables of the formats. */
static int twice_of(const operand_t *o, int64_t row, int64_t col)
{
    static const int magnitude[8] = {0, 1, 2, 3, 4, 6, 8, 12};
    int code = o->codes[(row * o->k + col) / 2] >> (4 * (col % 2)) & 15;

    return code < 8 ? magnitude[code] : -magnitude[code - 8];
}

static int units_of(const operand_t *o, int64_t row, int64_t col)
{
    int code = o->scales[(row * o->k + col) / 16];
    int units = code % 8 + (code >= 8 ? 8 : 0);

    for (int e = 1; e < code / 8; e++) {
        units *= 2;
    }
    return units;
}

__extension__ typedef __int128 wide_t;

static int64_t plain_sum(int64_t row, int64_t panel_row)
{
    wide_t sum = 0;

    for (int64_t c = 0; c < a.k; c++) {
        sum += (wide_t)(twice_of(&a, row, c) * twice_of(&b, panel_row, c)) *
               units_of(&a, row, c) * units_of(&b, panel_row, c);
    }
    ck_assert(sum == (int64_t)sum);
    return (int64_t)sum;
}

static void fetch(const void *from, int64_t row, int64_t rows, int64_t col,
                  int64_t cols, uint8_t *codes, uint8_t *scales)
{
    const operand_t *o = from;

    ck_assert_int_eq(col % MOE_NVFP4_PIECE, 0);
    for (int64_t i = 0; i < rows; i++) {
        int64_t at = (row + i) * o->k + col;

        memcpy(codes + i * cols / 2, o->codes + at / 2, (size_t)cols / 2);
        memcpy(scales + i * cols / 16, o->scales + at / 16, (size_t)cols / 16);
    }
}

static void fetch_panel(const void *from, int64_t row, int64_t col,
                        int64_t cols, uint8_t *codes, uint8_t *scales)
{
    const operand_t *o = from;

    ck_assert_int_eq(col % MOE_NVFP4_PIECE, 0);
    memset(codes, 0x77, MOE_NVFP4_PIECE / 2 * MOE_FILL_PANEL_ROWS);
    memset(scales, 0x7e, MOE_NVFP4_PIECE / 16 * MOE_FILL_PANEL_ROWS);
    for (int64_t i = 0; i < MOE_FILL_PANEL_ROWS && row + i < o->rows; i++) {
        int64_t at = (row + i) * o->k + col;

        for (int64_t j = 0; j < cols / 2; j++) {
            codes[(j / 4 * MOE_FILL_PANEL_ROWS + i) * 4 + j % 4] =
                o->codes[at / 2 + j];
        }
        for (int64_t j = 0; j < cols / 16; j++) {
            scales[(j / 4 * MOE_FILL_PANEL_ROWS + i) * 4 + j % 4] =
                o->scales[at / 16 + j];
        }
    }
}

static void expect_sums(const moe_nvfp4_kernel_t *kernel, int64_t k)
{
    static int64_t sums[ROWS * PANEL];
    const moe_rows_t x = {.storage = {.format = MOE_FORMAT_nvfp4},
                          .rows = ROWS,
                          .cols = k,
                          .codes = a.codes,
                          .scales = a.scales};
    const moe_nvfp4_weights_t weights = {fetch, fetch_panel, &b};
    moe_nvfp4_tile_t tile = {&x, 1, ROWS - 1, &weights, 0, PANEL - 2};
    size_t bytes = (size_t)kernel->work_bytes(tile.n, tile.rows, k);
    void *work = aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);

    ck_assert_ptr_nonnull(work);
    kernel->prepare(&tile, work);
    tile.row = 2;
    kernel->sum(&tile, work, sums);
    tile.rows = 3; /* a smaller panel, the last of a matrix */
    for (int64_t i = 0; i < tile.n * (PANEL - 2); i++) {
        int64_t want = plain_sum(1 + i / (PANEL - 2), 2 + i % (PANEL - 2));

        if (sums[i] != want) {
            ck_abort_msg("%s, K = %d: sum %d", kernel->name, (int)k, (int)i);
        }
    }
    kernel->sum(&tile, work, sums);
    for (int64_t i = 0; i < tile.n * 3; i++) {
        if (sums[i] != plain_sum(1 + i / 3, 2 + i % 3)) {
            ck_abort_msg("%s, K = %d: sum %d", kernel->name, (int)k, (int)i);
        }
    }
    free(work);
}

START_TEST(sums_of_every_kernel_are_exact)
{
    int64_t k = widths[_i % WIDTHS];
    fill_t fill = (fill_t)(_i / WIDTHS);
    const moe_nvfp4_kernel_t *kernel;

    fill_operand(&a, fill, ROWS, k);
    fill_operand(&b, fill, PANEL, k);
    for (int i = 0; (kernel = moe_nvfp4_kernel_at(i)) != NULL; i++) {
        if (kernel->available()) {
            expect_sums(kernel, k);
        }
    }
}
END_TEST

START_TEST(the_built_worst_case_needs_more_than_float64)
{
    fill_operand(&a, FILL_odd_block, ROWS, MAX_K);
    fill_operand(&b, FILL_odd_block, PANEL, MAX_K);
    ck_assert_int_gt(plain_sum(0, 0), INT64_C(1) << 53);
    ck_assert_int_eq(plain_sum(0, 0) % 2, 1);
    a.k = b.k = MOE_NVFP4_PIECE;
    ck_assert_int_lt(plain_sum(0, 0), INT64_C(1) << 53);
}
END_TEST

static bool everywhere(void)
{
    return true;
}

static const struct {
    bool (*available)(void);
    moe_nvfp4_decode_func_t *decode;
} decoders[] = {
    {moe_nvfp4_decode_has_avx2, moe_nvfp4_decode_avx2},
    {moe_nvfp4_decode_has_avx512, moe_nvfp4_decode_avx512},
    {everywhere, moe_nvfp4_decode},
    {everywhere, moe_nvfp4_decode_plain},
};

enum {
    DECODERS = sizeof(decoders) / sizeof(decoders[0])
};

/* Every byte of codes, with every scale that is a number. */
static void expect_decoded(moe_nvfp4_decode_func_t *decode)
{
    double out[16 * 16];

    for (int i = 0; i < 256; i++) {
        a.codes[i] = (uint8_t)i;
    }
    a.k = 16;
    for (int scale = 0; scale < 0x7f; scale++) {
        for (int half = 0; half < 2; half++) {
            memset(a.scales, scale, 16);
            decode(a.codes + 128 * half, a.scales, 16, out);
            for (int i = 0; i < 16 * 16; i++) {
                int64_t row = i / 16 + 16 * half;
                int want = twice_of(&a, row, i % 16) * units_of(&a, 0, 0);

                if ((int)out[i] != want) {
                    ck_abort_msg("scale %x, element %d", (unsigned)scale, i);
                }
            }
        }
    }
}

START_TEST(every_decoder_gives_the_integers)
{
    if (decoders[_i].available()) {
        expect_decoded(decoders[_i].decode);
    }
}
END_TEST

START_TEST(there_is_a_kernel_for_every_processor)
{
    ck_assert(moe_nvfp4_kernel()->available());
    ck_assert(moe_nvfp4_blas.available());
}
END_TEST

/* RN(sum x scale x 2^-20) by MPFR, of normal numbers of the format. */
static double rounded(int64_t sum, double scale, int digits)
{
    mpfr_t x;
    mpfr_t y;
    double result;

    mpfr_init2(x, 200);
    mpfr_init2(y, digits);
    mpfr_set_sj(x, sum, MPFR_RNDN);
    mpfr_mul_d(x, x, scale, MPFR_RNDN);
    mpfr_div_2ui(x, x, 20, MPFR_RNDN);
    mpfr_set(y, x, MPFR_RNDN);
    result = mpfr_get_d(y, MPFR_RNDN);
    mpfr_clear(x);
    mpfr_clear(y);
    return result;
}

static double value_of(moe_format_t format, uint32_t bits)
{
    uint32_t word = format == MOE_FORMAT_bf16 ? bits << 16 : bits;
    float x;

    memcpy(&x, &word, sizeof(x));
    return (double)x;
}

static void expect_rounded(int64_t sum, double scale, int64_t *redone_p)
{
    double single =
        value_of(MOE_FORMAT_fp32,
                 moe_nvfp4_round(sum, scale, MOE_FORMAT_fp32, redone_p));
    double half =
        value_of(MOE_FORMAT_bf16,
                 moe_nvfp4_round(sum, scale, MOE_FORMAT_bf16, redone_p));

    if (!(single == rounded(sum, scale, 24)) ||
        !(half == rounded(sum, scale, 8))) {
        ck_abort_msg("%lld x %a", (long long)sum, scale);
    }
}

START_TEST(sums_are_rounded_once)
{
    int64_t redone = 0;

    for (int i = 0; i < 20000; i++) {
        uint64_t digits = (uint64_t)draw() << 32 | draw();
        int64_t sum = (int64_t)(digits >> (1 + i % 60)) * (i % 2 == 0 ? 1 : -1);
        double scale = (double)(float)(0.5 + draw() % 1000) *
                       (double)(1.0f / (float)(1 + draw() % 10000));

        expect_rounded(sum, scale, &redone);
    }
    ck_assert_int_lt(redone, 2000);
}
END_TEST

/* Midpoints of 25 and 9 digits, and one unit beside: more than float64 can
 * tell apart from 2^54 on. */
START_TEST(sums_beside_midpoints_are_redone_exactly)
{
    int64_t redone = 0;

    for (int digits = 8; digits <= 24; digits += 16) {
        for (int shift = 62 - digits; shift > 20; shift--) {
            int64_t middle = ((INT64_C(1) << digits) + 2 * (draw() % 100) + 1)
                             << shift;

            for (int d = -2; d <= 2; d++) {
                expect_rounded(middle + d, 1.0, &redone);
                expect_rounded(-middle + d, 0x1.000002p-10, &redone);
            }
        }
    }
    ck_assert_int_gt(redone, 100);
    ck_assert_uint_eq(moe_nvfp4_round(0, 1.0, MOE_FORMAT_fp32, &redone), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matmul_nvfp4");
    TCase *tests = tcase_create("matmul_nvfp4");

    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, sums_of_every_kernel_are_exact, 0,
                        (int)FILL_COUNT * (int)WIDTHS);
    tcase_add_test(tests, the_built_worst_case_needs_more_than_float64);
    tcase_add_loop_test(tests, every_decoder_gives_the_integers, 0, DECODERS);
    tcase_add_test(tests, there_is_a_kernel_for_every_processor);
    tcase_add_test(tests, sums_are_rounded_once);
    tcase_add_test(tests, sums_beside_midpoints_are_redone_exactly);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
