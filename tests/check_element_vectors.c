/* SPDX-License-Identifier: Apache-2.0 */
/* Single elements against the published vectors, which CUDA's headers made. */
#include "config.h"

#include "ref/elements.h"
#include "tests/support.h"

#include <stdio.h>
#include <string.h>

/* Names of the published rows, and whether they are of decoding. */
static const struct {
    const char *name;
    moe_conversion_t conversion;
    bool decode;
    int rows;
} published[] = {
    {"e2m1", MOE_CONVERSION_e2m1, false, 285},
    {"e2m1_decode", MOE_CONVERSION_e2m1, true, 16},
    {"e4m3_satfinite", MOE_CONVERSION_e4m3, false, 1113},
    {"e4m3_nosat", MOE_CONVERSION_e4m3_nosat, false, 53},
    {"e4m3_decode", MOE_CONVERSION_e4m3, true, 256},
    {"e5m2_satfinite", MOE_CONVERSION_e5m2, false, 783},
    {"e5m2_nosat", MOE_CONVERSION_e5m2_nosat, false, 35},
    {"e5m2_decode", MOE_CONVERSION_e5m2, true, 256},
    {"e8m0_rp_satfinite", MOE_CONVERSION_e8m0, false, 159},
    {"e8m0_rp_nosat", MOE_CONVERSION_e8m0_nosat, false, 5},
    {"e8m0_rz_satfinite", MOE_CONVERSION_e8m0_zero, false, 159},
    {"e8m0_decode", MOE_CONVERSION_e8m0, true, 256},
};

#define PUBLISHED (sizeof(published) / sizeof(published[0]))

static size_t find_published(const char *name)
{
    for (size_t i = 0; i < PUBLISHED; i++) {
        if (strcmp(name, published[i].name) == 0) {
            return i;
        }
    }
    ck_abort_msg("rows of an unknown kind: %s", name);
    return 0;
}

static void check_vector(size_t kind, uint32_t bits, uint32_t code)
{
    const moe_conversion_info_t *info =
        moe_conversion_info(published[kind].conversion);
    uint32_t got = published[kind].decode ? moe_f32_bits(info->decode(code))
                                          : info->encode(moe_f32_of_bits(bits));

    ck_assert_msg(got == (published[kind].decode ? bits : code),
                  "%s of %08x, %x: %x", published[kind].name, bits, code, got);
}

START_TEST(every_published_vector_holds)
{
    FILE *file = fopen(moe_test_data("fp4_vectors.csv"), "r");
    int rows[PUBLISHED] = {0};
    char line[256];

    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(fgets(line, sizeof(line), file)); /* names */
    while (fgets(line, sizeof(line), file) != NULL) {
        char format[64];
        unsigned bits;
        unsigned code;
        size_t kind;

        ck_assert_int_eq(
            sscanf(line, "%63[^,],%x,%*[^,],%x", format, &bits, &code), 3);
        kind = find_published(format);
        check_vector(kind, bits, code);
        rows[kind]++;
    }
    (void)fclose(file);
    for (size_t i = 0; i < PUBLISHED; i++) {
        ck_assert_int_eq(rows[i], published[i].rows);
    }
}
END_TEST

START_TEST(integer_views_agree_with_values)
{
    for (int code = 0; code < 256; code++) {
        uint8_t c = (uint8_t)code;

        ck_assert(moe_e2m1_twice(c) == (int)(2.0f * moe_e2m1_to_f32(c)));
        if ((code & 0x7f) != 0x7f) {
            ck_assert(moe_e4m3_units(c) == (int)(512.0f * moe_e4m3_to_f32(c)));
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("element_vectors");
    TCase *tests = tcase_create("element_vectors");

    tcase_add_test(tests, every_published_vector_holds);
    tcase_add_test(tests, integer_views_agree_with_values);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
