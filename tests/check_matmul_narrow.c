/* SPDX-License-Identifier: Apache-2.0 */
/* Sums that int32 does not hold, and what happens if the bound that says so
 * is broken: the same files with the bound taken out. */
#include "config.h"

#include "base/hot.h"
#include "ref/matmul_nvfp4.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

#define MOE_INT_NARROW     INT64_MAX
#define moe_int_work_bytes broken_work_bytes
#define moe_int_prepare    broken_prepare
#define moe_int_sum        broken_sum
#define moe_nvfp4_avx2     broken_avx2
#define divide_scales      broken_divide_scales /* clones share no name */
#define add_divided        broken_add_divided
#include "ref/matmul_nvfp4_int.c"

#include "ref/matmul_nvfp4_avx2.c"
#undef moe_nvfp4_avx2

enum {
    K = MOE_NVFP4_PIECE,
    BLOCKS = K / MOE_NVFP4_BLOCK,
    OUTPUTS = MOE_INT_ROWS,
    UNITS_15 = 0x0f, /* E4M3: 15 units of 2^-9 */
    UNITS_120 = 0x27,
    UNITS_240 = 0x2f
};

static uint8_t codes[K / 2];
static uint8_t scales[BLOCKS];
static uint8_t weight_scale; /* of all blocks but the first */

static void fetch_panel(const void *from, int64_t row, int64_t col,
                        int64_t cols, uint8_t *to, uint8_t *to_scales)
{
    (void)from;
    (void)row;
    (void)col;
    memset(to, 0x77, (size_t)(cols / 2 * OUTPUTS));
    memset(to_scales, weight_scale, (size_t)(cols / 16 * OUTPUTS));
    for (int r = 0; r < OUTPUTS; r++) {
        to_scales[4 * r] = UNITS_15;
    }
}

/* The sum of the first row and weights; all are alike. */
static int64_t sum_by(const moe_nvfp4_kernel_t *kernel)
{
    static int64_t sums[OUTPUTS];
    const moe_rows_t x = {.storage = {.format = MOE_FORMAT_nvfp4},
                          .rows = 1,
                          .cols = K,
                          .codes = codes,
                          .scales = scales};
    const moe_nvfp4_weights_t weights = {NULL, fetch_panel, NULL};
    const moe_nvfp4_tile_t tile = {&x, 0, 1, &weights, 0, OUTPUTS};
    const size_t bytes = (size_t)kernel->work_bytes(1, OUTPUTS, K);
    void *work = aligned_alloc(64, (bytes + 63) / 64 * 64);

    ck_assert_ptr_nonnull(work);
    kernel->prepare(&tile, work);
    kernel->sum(&tile, work, sums);
    free(work);
    return sums[0];
}

/* All codes are 6, all scales of x but the first 120 units. */
static int64_t expected(int64_t units)
{
    memset(codes, 0x77, sizeof(codes));
    memset(scales, UNITS_120, sizeof(scales));
    scales[0] = UNITS_15;
    return 12 * 12 * 16 * (15 * 15 + (BLOCKS - 1) * 120 * units);
}

START_TEST(breaking_the_bound_is_seen)
{
    const moe_nvfp4_kernel_t *kernel;
    const int64_t fits = expected(120);
    const int64_t does_not = expected(240);

    ck_assert_int_le(fits, INT32_MAX);
    ck_assert_int_gt(does_not, INT32_MAX);
    for (int i = 0; (kernel = moe_nvfp4_kernel_at(i)) != &moe_nvfp4_blas; i++) {
        if (kernel->available()) {
            weight_scale = UNITS_120;
            ck_assert_int_eq(sum_by(kernel), fits);
            weight_scale = UNITS_240;
            ck_assert_int_eq(sum_by(kernel), does_not);
        }
    }
    if (broken_avx2.available()) {
        weight_scale = UNITS_120;
        ck_assert_int_eq(sum_by(&broken_avx2), fits);
        weight_scale = UNITS_240;
        ck_assert_int_ne(sum_by(&broken_avx2), does_not);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("matmul_narrow");
    TCase *tests = tcase_create("bound");

    tcase_add_test(tests, breaking_the_bound_is_seen);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
