/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>

START_TEST(each_status_has_its_own_text_and_an_exit)
{
    for (int i = 0; i < MOE_STATUS_COUNT; i++) {
        int code = moe_status_exit((moe_status_t)i);

        ck_assert_uint_gt(strlen(moe_status_text((moe_status_t)i)), 3);
        ck_assert_int_ge(code, i == MOE_OK ? 0 : 1);
        ck_assert_int_le(code, i == MOE_OK ? 0 : 3);
        for (int j = 0; j < i; j++) {
            ck_assert_str_ne(moe_status_text((moe_status_t)i),
                             moe_status_text((moe_status_t)j));
        }
    }
}
END_TEST

START_TEST(a_number_that_is_no_status_is_an_error_too)
{
    ck_assert_str_eq(moe_status_text(MOE_STATUS_COUNT), "unknown status");
    ck_assert_int_eq(moe_status_exit(MOE_STATUS_COUNT), 3);
}
END_TEST

START_TEST(the_first_message_is_kept_and_the_status_passed)
{
    moe_error_clear();
    ck_assert_str_eq(moe_error_text(), "");
    ck_assert_int_eq(moe_fail(MOE_ERR_IO, "%s: %d", "disk", 7), MOE_ERR_IO);
    ck_assert_int_eq(moe_fail(MOE_ERR_NOMEM, "later"), MOE_ERR_NOMEM);
    ck_assert_str_eq(moe_error_text(), "disk: 7");
    moe_error_clear();
    ck_assert_str_eq(moe_error_text(), "");
}
END_TEST

START_TEST(a_message_is_one_printable_line_of_bounded_length)
{
    char *name = malloc(100001);

    ck_assert_ptr_nonnull(name);
    memset(name, 'x', 100000);
    name[100000] = '\0';
    memcpy(name, "a\nb\x1b[2J\xff", 8);
    moe_error_clear();
    (void)moe_fail(MOE_ERR_INPUT, "%s", name);
    free(name);
    ck_assert_int_eq(strncmp(moe_error_text(), "a\\x0ab\\x1b[2J\\xffxxx", 20),
                     0);
    ck_assert_uint_lt(strlen(moe_error_text()), 4096);
    ck_assert_ptr_nonnull(strstr(moe_error_text(), "xxx..."));
    moe_error_clear();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("status");
    TCase *t = tcase_create("status");

    tcase_add_test(t, each_status_has_its_own_text_and_an_exit);
    tcase_add_test(t, a_number_that_is_no_status_is_an_error_too);
    tcase_add_test(t, the_first_message_is_kept_and_the_status_passed);
    tcase_add_test(t, a_message_is_one_printable_line_of_bounded_length);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
