/* SPDX-License-Identifier: Apache-2.0 */
/* NVFP4 to the float formats, each version, against single elements. */
#include "config.h"

#include "ref/formats.h"
#include "ref/nvfp4_expand.h"
#include "ref/quantize.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 16,
    ROWS = 256, /* a scale code each */
    KERNELS = 2 /* the best, and blas */
};

static const moe_format_t formats[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                       MOE_FORMAT_fp32};
static const float globals[] = {1.0f,      448.0f,   2688.0f / 3.7f,
                                0x1p-100f, 0x1p120f, 0x1.8p-128f};

enum {
    FORMATS = sizeof(formats) / sizeof(formats[0]),
    GLOBALS = sizeof(globals) / sizeof(globals[0])
};

static uint8_t codes[ROWS * BLOCK / 2];
static uint8_t scales[ROWS];
static uint32_t out[ROWS * BLOCK];

static void expect_rows(const moe_rows_t *src, const moe_rows_t *dst)
{
    moe_format_t format = dst->storage.format;

    ck_assert_int_eq(moe_ref_dequantize(src, dst), MOE_OK);
    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t j = 0; j < BLOCK; j++) {
            uint32_t got = moe_float_load(format, out, i * BLOCK + j);
            double value = moe_rows_value(src, i, j);
            uint32_t want = moe_round_f64(format, value);

            if (got != want &&
                !(isnan(value) && isnan(moe_float_value(format, got)))) {
                ck_abort_msg("%s, scale %llx, element %lld: %x, expected %x",
                             moe_format_name(format), (unsigned long long)i,
                             (long long)j, got, want);
            }
        }
    }
}

/* Every scale code, those of NaN and with a sign too; every element code. */
START_TEST(every_code_of_every_scale_is_rounded_once)
{
    const moe_rows_t src = {.storage = {MOE_FORMAT_nvfp4, MOE_PROFILE_te_exact,
                                        globals[_i / FORMATS % GLOBALS]},
                            .rows = ROWS,
                            .cols = BLOCK,
                            .codes = codes,
                            .scales = scales};
    const moe_rows_t dst = {.storage = {.format = formats[_i % FORMATS]},
                            .rows = ROWS,
                            .cols = BLOCK,
                            .codes = out};

    for (int i = 0; i < ROWS; i++) {
        scales[i] = (uint8_t)i;
        for (int j = 0; j < BLOCK / 2; j++) {
            codes[i * BLOCK / 2 + j] =
                (uint8_t)(((2 * j + i) & 15) | ((2 * j + 1 + i) & 15) << 4);
        }
    }
    if (_i / FORMATS / GLOBALS == 0) {
        ck_assert_int_eq(unsetenv("MOESIM_KERNEL"), 0);
    } else {
        ck_assert_int_eq(setenv("MOESIM_KERNEL", "blas", 1), 0);
    }
    expect_rows(&src, &dst);
}
END_TEST

START_TEST(versions_write_the_same_bytes_and_no_more)
{
    moe_nvfp4_planes_t planes;
    uint8_t want[4 * BLOCK + 1];
    uint8_t got[4 * BLOCK + 1];

    for (size_t i = 0; i < sizeof(planes); i++) {
        ((uint8_t *)&planes)[i] = (uint8_t)(i * 37 + 11);
    }
    for (int bytes = 2; bytes <= 4; bytes += 2) {
        for (int i = 0; i < BLOCK / 2; i++) {
            codes[i] = (uint8_t)(i * 89 + bytes);
        }
        memset(want, 0x5a, sizeof(want));
        memset(got, 0x5a, sizeof(got));
        moe_nvfp4_expand_plain(&planes, codes, bytes, want);
        ck_assert_uint_eq(want[bytes * BLOCK], 0x5a);
        if (moe_nvfp4_expand_has_ssse3()) {
            moe_nvfp4_expand_ssse3(&planes, codes, bytes, got);
            ck_assert_int_eq(memcmp(got, want, sizeof(got)), 0);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("nvfp4_expand");
    TCase *tests = tcase_create("nvfp4_expand");

    tcase_add_loop_test(tests, every_code_of_every_scale_is_rounded_once, 0,
                        (int)FORMATS * (int)GLOBALS * KERNELS);
    tcase_add_test(tests, versions_write_the_same_bytes_and_no_more);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
