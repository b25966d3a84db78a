/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/mpi/injection.h"
#include "tests/support.h"

#include <string.h>

static const char *const good[] = {
    "count-mismatch@0", "skip-collective@3", "skip-collective@2:last",
    "kill@1:experts",   "oom@0:combine",
};

static const char *const bad[] = {
    "",
    "kill",
    "kill@",
    "kill@1",
    "kill@1:",
    "kill@1:nowhere",
    "kill@x:experts",
    "kill@-1:experts",
    "kill@4:experts",
    "kill@ 1:experts",
    "kill@1:experts ",
    "slow@1",
    "skip-collective@1:first",
    "count-mismatch@1:last",
    "count-mismatch",
    "kill@99999999999999999999:experts",
    "@1",
    "nibbles-swapped@4",
    "nibbles-swapped@",
    "nibbles-swapped@1:experts",
    "nibbles",
};

START_TEST(good_ones_are_parsed)
{
    moe_injection_t injection;

    ck_assert(moe_injection_parse(good[_i], 4, &injection, NULL));
    ck_assert_int_eq(strncmp(good[_i], moe_injection_name(injection.kind),
                             strlen(moe_injection_name(injection.kind))),
                     0);
    ck_assert_int_eq(injection.rank, strchr(good[_i], '@')[1] - '0');
    ck_assert_int_eq(injection.last, strstr(good[_i], ":last") != NULL);
    ck_assert(!injection.fired);
}
END_TEST

START_TEST(mistakes_are_of_all_ranks_or_of_one)
{
    moe_injection_t injection;

    ck_assert(moe_injection_parse("nibbles-swapped", 4, &injection, NULL));
    ck_assert_int_eq(injection.fault, MOE_FAULT_nibbles_swapped);
    ck_assert_int_eq(injection.kind, MOE_INJECTION_COUNT);
    ck_assert_int_eq(injection.rank, -1);
    ck_assert(moe_injection_parse("truncation@3", 4, &injection, NULL));
    ck_assert_int_eq(injection.fault, MOE_FAULT_truncation);
    ck_assert_int_eq(injection.rank, 3);
    ck_assert(
        moe_injection_parse("global-ids-for-local@2", 4, &injection, NULL));
    ck_assert_int_eq(moe_fault_mapping(injection.fault), MOE_MAPPING_global);
    ck_assert(moe_injection_parse("expert-map-minus-one", 4, &injection, NULL));
    ck_assert_int_eq(moe_fault_mapping(injection.fault), MOE_MAPPING_last);
    ck_assert(moe_injection_parse("group-mask-zero", 4, &injection, NULL));
    ck_assert(moe_fault_is_of_inputs(injection.fault));
    ck_assert(
        moe_injection_parse("previous-calls-output@0", 4, &injection, NULL));
    ck_assert(moe_fault_is_of_inputs(injection.fault));
}
END_TEST

START_TEST(bad_ones_say_what_was_expected)
{
    moe_injection_t injection;
    char why[MOE_INJECTION_TEXT] = "";

    ck_assert(!moe_injection_parse(bad[_i], 4, &injection, why));
    ck_assert_uint_gt(strlen(why), 10);
    ck_assert_uint_lt(strlen(why), sizeof(why) - 1);
    ck_assert(!moe_injection_parse(bad[_i], 4, &injection, NULL));
}
END_TEST

START_TEST(an_unknown_stage_is_told_all_that_there_are)
{
    moe_injection_t injection;
    char why[MOE_INJECTION_TEXT];

    ck_assert(!moe_injection_parse("kill@1:foo", 4, &injection, why));
    for (int s = 0; s < MOE_STAGE_COUNT; s++) {
        ck_assert_ptr_nonnull(strstr(why, moe_stage_name((moe_stage_t)s)));
    }
    ck_assert_ptr_nonnull(strstr(why, "kill@RANK:STAGE"));
    ck_assert_ptr_null(strstr(why, "oom"));
}
END_TEST

START_TEST(what_was_expected_is_the_callers_own)
{
    moe_injection_t injection;
    char one[MOE_INJECTION_TEXT];
    char two[MOE_INJECTION_TEXT];

    ck_assert(!moe_injection_parse("kill@9:experts", 4, &injection, one));
    ck_assert(!moe_injection_parse("kill@9:experts", 8, &injection, two));
    ck_assert_ptr_nonnull(strstr(one, "0 to 3"));
    ck_assert_ptr_nonnull(strstr(two, "0 to 7"));
}
END_TEST

START_TEST(a_stage_that_means_several_is_a_set)
{
    moe_injection_t injection;

    ck_assert(moe_injection_parse("oom@0:combine", 4, &injection, NULL));
    ck_assert_uint_eq(injection.stages,
                      1u << MOE_STAGE_unpermute | 1u << MOE_STAGE_finalize);
}
END_TEST

START_TEST(due_is_what_fits_and_has_not_fired)
{
    moe_injection_t list[2];

    ck_assert(moe_injection_parse("kill@1:experts", 4, &list[0], NULL));
    ck_assert(moe_injection_parse("kill@2:experts", 4, &list[1], NULL));
    ck_assert_ptr_eq(moe_injection_due(list, 2, MOE_INJECTION_kill, 2),
                     &list[1]);
    ck_assert_ptr_null(moe_injection_due(list, 2, MOE_INJECTION_oom, 2));
    ck_assert_ptr_null(moe_injection_due(list, 2, MOE_INJECTION_kill, 0));
    list[1].fired = true;
    ck_assert_ptr_null(moe_injection_due(list, 2, MOE_INJECTION_kill, 2));
}
END_TEST

START_TEST(every_injection_is_named_and_explained)
{
    moe_injection_kind_t kind = (moe_injection_kind_t)_i;

    ck_assert_uint_gt(strlen(moe_injection_name(kind)), 1);
    ck_assert_int_eq(moe_injection_where(kind)[0], '@');
    ck_assert_uint_gt(strlen(moe_injection_text(kind)), 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("injection");
    TCase *tc = tcase_create("parse");

    tcase_add_test(tc, mistakes_are_of_all_ranks_or_of_one);
    tcase_add_loop_test(tc, good_ones_are_parsed, 0,
                        sizeof(good) / sizeof(good[0]));
    tcase_add_loop_test(tc, bad_ones_say_what_was_expected, 0,
                        sizeof(bad) / sizeof(bad[0]));
    tcase_add_test(tc, an_unknown_stage_is_told_all_that_there_are);
    tcase_add_test(tc, what_was_expected_is_the_callers_own);
    tcase_add_test(tc, a_stage_that_means_several_is_a_set);
    tcase_add_test(tc, due_is_what_fits_and_has_not_fired);
    tcase_add_loop_test(tc, every_injection_is_named_and_explained, 0,
                        MOE_INJECTION_COUNT);
    suite_add_tcase(suite, tc);
    return moe_suite_main(suite);
}
