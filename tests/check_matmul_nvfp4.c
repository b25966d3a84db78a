/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/matmul_nvfp4.h"
#include "ref/nvfp4_decode.h"
#include "ref/swizzle.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

/*
 * Integer sums of every kernel against plain 128-bit loops with their own
 * decoding. Random data and rounded results cannot see a broken bound of the
 * pieces: the last fill is built so that sums are odd and as large as can be.
 */
enum {
    ROWS = 18,
    PANEL = 19,
    SKIP_X = 1, /* rows before those of a tile */
    SKIP_W = 2,
    MAX_K = 7168,
    MANY = 1000, /* rows: enough for any kernel */
    ALIGN = 64
};

typedef enum {
    FILL_typical,
    FILL_largest,
    FILL_signs,
    FILL_all_scales,
    FILL_opposed,
    FILL_odd_block,
    FILL_narrow,
    FILL_COUNT
} fill_t;

static const int64_t widths[] = {16,   48,   1024, 1040, 1184,
                                 1200, 2048, 2368, 7168};

/* Rows of x in a tile: 1 to 8 at once, and the rest; of weights likewise. */
static const int64_t tile_rows[] = {17, 9, 8, 7, 1};
static const int64_t panel_rows[] = {17, 16, 3};

enum {
    WIDTHS = sizeof(widths) / sizeof(widths[0]),
    TILES = sizeof(tile_rows) / sizeof(tile_rows[0]),
    PANELS = sizeof(panel_rows) / sizeof(panel_rows[0])
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
    case FILL_typical:
    case FILL_all_scales:
        return (uint8_t)draw();
    case FILL_signs:
        return (uint8_t)(0x77 | (draw() & 0x88));
    default:
        return 0x77;
    }
}

static uint8_t draw_scale(fill_t fill)
{
    switch (fill) {
    case FILL_largest:
    case FILL_opposed:
    case FILL_odd_block:
        return 0x7e;
    case FILL_signs:
        return draw() % 3 == 0 ? 0x01 : 0x7e;
    case FILL_narrow: /* 15 or 120: sums up to 2^31 - 2^24 */
        return draw() % 8 == 0 ? 0x0f : 0x27;
    case FILL_all_scales:
        return (uint8_t)(draw() % 127 | (draw() & 0x80));
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
    for (int64_t r = 1; fill == FILL_opposed && r < rows; r += 2) {
        memset(o->codes + r * k / 2, 0xff, (size_t)k / 2); /* negative */
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
    static const int twice[16] = {0, 1,  2,  3,  4,  6,  8,  12,
                                  0, -1, -2, -3, -4, -6, -8, -12};

    return twice[o->codes[(row * o->k + col) / 2] >> (4 * (col % 2)) & 15];
}

static int units_of(const operand_t *o, int64_t row, int64_t col)
{
    int code = o->scales[(row * o->k + col) / 16] & 0x7f;
    int units = code % 8 + (code >= 8 ? 8 : 0);

    for (int e = 1; e < code / 8; e++) {
        units *= 2;
    }
    return o->scales[(row * o->k + col) / 16] < 0x80 ? units : -units;
}

__extension__ typedef __int128 wide_t;

static int64_t want[ROWS][PANEL];

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

static void expect_tile(const moe_nvfp4_kernel_t *kernel,
                        const moe_nvfp4_tile_t *tile, const int64_t *sums)
{
    for (int64_t i = 0; i < tile->n; i++) {
        for (int64_t j = 0; j < tile->rows; j++) {
            if (sums[i * tile->rows + j] !=
                want[tile->first + i][tile->row + j]) {
                ck_abort_msg("%s, K = %d: %d x %d rows: sum %d, %d",
                             kernel->name, (int)tile->x->cols, (int)tile->n,
                             (int)tile->rows, (int)i, (int)j);
            }
        }
    }
}

/* Ready once, then panels of all sizes: the last of a matrix is smaller. */
static void expect_sums(const moe_nvfp4_kernel_t *kernel, const moe_rows_t *x,
                        int64_t n)
{
    static int64_t sums[ROWS * PANEL];
    const moe_nvfp4_weights_t weights = {fetch, fetch_panel, &b};
    moe_nvfp4_tile_t tile = {x, SKIP_X, n, &weights, 0, panel_rows[0]};
    size_t bytes = (size_t)kernel->work_bytes(n, tile.rows, x->cols);
    void *work = aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);

    ck_assert_ptr_nonnull(work);
    kernel->prepare(&tile, work);
    tile.row = SKIP_W;
    for (int i = 0; i < PANELS; i++) {
        tile.rows = panel_rows[i];
        memset(sums, 0x55, sizeof(sums));
        kernel->sum(&tile, work, sums);
        expect_tile(kernel, &tile, sums);
    }
    free(work);
}

/* x with its scales in either layout. */
static void expect_kernel(const moe_nvfp4_kernel_t *kernel, int64_t k)
{
    static uint8_t tiled[128 * MAX_K / 16];
    moe_rows_t x = {.storage = {.format = MOE_FORMAT_nvfp4},
                    .rows = ROWS,
                    .cols = k,
                    .codes = a.codes,
                    .scales = a.scales};

    for (int i = 0; i < TILES; i++) {
        expect_sums(kernel, &x, tile_rows[i]);
    }
    moe_scales_swizzle(MOE_SCALES_128x4, ROWS, k / 16, a.scales, tiled);
    x.scales = tiled;
    x.layout = MOE_SCALES_128x4;
    expect_sums(kernel, &x, tile_rows[0]);
}

START_TEST(sums_of_every_kernel_are_exact)
{
    int64_t k = widths[_i % WIDTHS];
    const moe_nvfp4_kernel_t *kernel;

    fill_operand(&a, (fill_t)(_i / WIDTHS), ROWS, k);
    fill_operand(&b, (fill_t)(_i / WIDTHS), PANEL, k);
    for (int i = 0; i < ROWS * PANEL; i++) {
        want[i / PANEL][i % PANEL] = plain_sum(i / PANEL, i % PANEL);
    }
    for (int i = 0; (kernel = moe_nvfp4_kernel_at(i)) != NULL; i++) {
        if (kernel->available()) {
            expect_kernel(kernel, k);
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
    a.k = b.k = MOE_NVFP4_BOUND;
    ck_assert_int_lt(plain_sum(0, 0), INT64_C(1) << 53);
    ck_assert_int_le(MOE_NVFP4_PIECE, MOE_NVFP4_BOUND);
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
                int value = twice_of(&a, row, i % 16) * units_of(&a, 0, 0);

                if ((int)out[i] != value) {
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

START_TEST(the_kernel_is_the_first_that_the_processor_has)
{
    int i = 0;

    (void)unsetenv("MOESIM_KERNEL");
    ck_assert(moe_nvfp4_blas.available());
    for (; !moe_nvfp4_kernel_at(i)->available(); i++) {
    }
    ck_assert_ptr_eq(moe_nvfp4_kernel(MANY), moe_nvfp4_kernel_at(i));
    ck_assert_str_eq(moe_ref_matmul_kernel_name(),
                     moe_nvfp4_kernel_at(i)->name);
}
END_TEST

START_TEST(a_kernel_is_given_no_fewer_rows_than_it_wants)
{
    (void)unsetenv("MOESIM_KERNEL");
    for (int64_t rows = 1; rows < 64; rows++) {
        ck_assert_int_ge(rows, moe_nvfp4_kernel(rows)->min_rows);
        ck_assert_int_ge(moe_nvfp4_workspace(rows, MAX_K, PANEL),
                         moe_nvfp4_workspace(rows - 1, MAX_K, PANEL));
    }
}
END_TEST

static void expect_no_kernel(const char *name)
{
    ck_assert_int_eq(setenv("MOESIM_KERNEL", name, 1), 0);
    ck_assert_ptr_null(moe_nvfp4_kernel(MANY));
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "MOESIM_KERNEL"));
    ck_assert_ptr_nonnull(strstr(moe_error_text(), name));
    moe_error_clear();
    ck_assert_int_eq(moe_nvfp4_workspace(1, 64, 64), 0);
}

START_TEST(a_kernel_asked_for_is_taken_or_refused)
{
    const moe_nvfp4_kernel_t *kernel;

    for (int i = 0; (kernel = moe_nvfp4_kernel_at(i)) != NULL; i++) {
        if (kernel->available()) {
            ck_assert_int_eq(setenv("MOESIM_KERNEL", kernel->name, 1), 0);
            ck_assert_ptr_eq(moe_nvfp4_kernel(MANY), kernel);
        } else {
            expect_no_kernel(kernel->name);
        }
    }
    expect_no_kernel("abacus");
    expect_no_kernel("");
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
    tcase_add_test(tests, the_kernel_is_the_first_that_the_processor_has);
    tcase_add_test(tests, a_kernel_is_given_no_fewer_rows_than_it_wants);
    tcase_add_test(tests, a_kernel_asked_for_is_taken_or_refused);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
