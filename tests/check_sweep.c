/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "sim/options/sweep.h"

START_TEST(points_are_the_product_with_the_last_key_fastest)
{
    char *a[] = {(char[]){"1"}, (char[]){"2"}};
    char *b[] = {(char[]){"x"}, (char[]){"y"}, (char[]){"z"}};
    moe_sweep_t sweeps[] = {{.path = (char[]){"seed"}, .n = 2, .value = a},
                            {.path = (char[]){"model"}, .n = 3, .value = b}};
    moe_change_t given = {"model", "w"};
    moe_command_t command = {0};
    moe_scenario_t scenario = {.n_sweeps = 2, .sweep = sweeps};
    moe_sweep_points_t points;
    size_t i;

    ck_assert_int_eq(moe_sweep_points_init(&command, &scenario, &points),
                     MOE_OK);
    ck_assert_uint_eq(points.n_points, 6);
    for (i = 0; i < 6; ++i) {
        ck_assert_str_eq(moe_sweep_value(&points, i, 0), a[i / 3]);
        ck_assert_str_eq(moe_sweep_value(&points, i, 1), b[i % 3]);
    }
    moe_sweep_points_fini(&points);
    /* a key that an option sets is not swept */
    command.change = &given;
    command.n_changes = 1;
    ck_assert_int_eq(moe_sweep_points_init(&command, &scenario, &points),
                     MOE_OK);
    ck_assert_uint_eq(points.n_points, 2);
    ck_assert_str_eq(points.key[0], "seed");
    moe_sweep_points_fini(&points);
}
END_TEST

START_TEST(a_sweep_of_too_many_points_is_refused)
{
    static char one[] = "1";
    char *values[100];
    moe_sweep_t sweeps[3];
    moe_command_t command = {0};
    moe_scenario_t scenario = {.n_sweeps = 3, .sweep = sweeps};
    moe_sweep_points_t points;
    size_t i;

    for (i = 0; i < 100; ++i) {
        values[i] = one;
    }
    for (i = 0; i < 3; ++i) {
        sweeps[i] = (moe_sweep_t){.path = one, .n = 100, .value = values};
    }
    ck_assert_int_eq(moe_sweep_points_init(&command, &scenario, &points),
                     MOE_ERR_RANGE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sweep");
    TCase *tcase = tcase_create("points");

    tcase_add_test(tcase, points_are_the_product_with_the_last_key_fastest);
    tcase_add_test(tcase, a_sweep_of_too_many_points_is_refused);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
