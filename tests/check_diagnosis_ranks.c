/* SPDX-License-Identifier: Apache-2.0 */
/* Every mistake of ref/fault.def made by each of several ranks, and what the
 * diagnosis makes of one rank's tensors, and of its output alone, against
 * tests/diagnosis_expected.csv. MOESIM_DIAGNOSIS_SHOW=CASE prints all lines of
 * a case of that table as they are found. */
#include "tests/diagnosis_ranks.h"
#include "tests/diagnosis_table.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Layers of tests/diagnosis_cases.c, shared by ranks. */
static const struct {
    const char *name;
    const char *layer;
    int ranks;
} cases[] = {{"deepseek-nvfp4-of-2", "deepseek-nvfp4", 2},
             {"gpt-oss-mxfp4-of-2", "gpt-oss-mxfp4", 2},
             {"shared-nvfp4-of-2", "shared-nvfp4", 2},
             {"wide-nvfp4-of-4", "wide-nvfp4", 4}};

enum {
    CASES = sizeof(cases) / sizeof(cases[0])
};

static const case_t *layer_of(int i)
{
    for (int c = 0; c < diagnosis_case_count; c++) {
        if (strcmp(diagnosis_cases[c].name, cases[i].layer) == 0) {
            return &diagnosis_cases[c];
        }
    }
    ck_abort_msg("no layer %s", cases[i].layer);
    return NULL;
}

/* case,mistake,place,with all stages,with the final output */
static void cell(int number, const diagnosis_rank_t *right, moe_fault_t fault,
                 char *line)
{
    char all[DIAGNOSIS_LINE] = "";
    char final[DIAGNOSIS_LINE] = "";
    const char *with_all = "meaningless";
    const char *with_final = "meaningless";
    diagnosis_rank_t wrong;
    moe_diagnosis_t d;

    if (diagnosis_rank_make(layer_of(number), cases[number].ranks, fault,
                            &wrong)) {
        if (diagnosis_same(&right->own, &wrong.own) &&
            diagnosis_same(&right->experts, &wrong.experts)) {
            with_all = with_final = "no-effect";
        } else {
            diagnosis_rank_examine(&wrong, true, &d);
            with_all = diagnosis_outcome(&d, fault.kind, all);
            diagnosis_rank_examine(&wrong, false, &d);
            with_final = diagnosis_outcome(&d, fault.kind, final);
        }
    }
    diagnosis_rank_fini(&wrong);
    (void)snprintf(line, DIAGNOSIS_LINE, "%s,%s,%s,%s,%s", cases[number].name,
                   moe_fault_name(fault.kind), moe_role_name(fault.role),
                   with_all, with_final);
}

/* An eighth of the first two but in make check-full. */
static bool is_tried(int number, int kind)
{
    return moe_test_full() || (number < 2 && (kind + number) % 8 == 0);
}

START_TEST(every_rank_makes_the_mistake)
{
    const char *shown = getenv("MOESIM_DIAGNOSIS_SHOW");
    const bool show = shown != NULL && strcmp(shown, cases[_i].name) == 0;
    diagnosis_rank_t right;
    int unexpected = 0;

    if ((shown != NULL && !show) || (!moe_test_full() && _i > 1)) {
        return;
    }
    ck_assert(diagnosis_rank_make(layer_of(_i), cases[_i].ranks,
                                  (moe_fault_t){0}, &right));
    for (int k = MOE_FAULT_none + 1; k < MOE_FAULT_COUNT; k++) {
        for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_output; r++) {
            const moe_fault_t fault = {.kind = (moe_fault_kind_t)k,
                                       .role = (moe_role_t)r};
            char line[DIAGNOSIS_LINE];

            if (!moe_fault_is_at(fault.kind, fault.role) ||
                !(show || is_tried(_i, k))) {
                continue;
            }
            cell(_i, &right, fault, line);
            if (show) {
                printf("%s\n", line);
            } else if (!diagnosis_is_expected(line)) {
                printf("not in the table: %s\n", line);
                unexpected++;
            }
            ck_assert_msg(strstr(line, "WRONG") == NULL, "%s", line);
        }
    }
    diagnosis_rank_fini(&right);
    ck_assert_int_eq(unexpected, 0);
}
END_TEST

START_TEST(a_correct_rank_has_no_diagnosis)
{
    diagnosis_rank_t right;
    moe_diagnosis_t d;

    ck_assert(diagnosis_rank_make(layer_of(_i), cases[_i].ranks,
                                  (moe_fault_t){0}, &right));
    for (int stages = 0; stages < 2; stages++) {
        diagnosis_rank_examine(&right, stages != 0, &d);
        ck_assert(d.good);
    }
    diagnosis_rank_fini(&right);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("diagnosis_ranks");
    TCase *tests = tcase_create("diagnosis_ranks");

    tcase_set_timeout(tests, moe_test_full() ? 3600.0 : 300.0);
    tcase_add_loop_test(tests, every_rank_makes_the_mistake, 0, CASES);
    if (getenv("MOESIM_DIAGNOSIS_SHOW") == NULL) {
        tcase_add_loop_test(tests, a_correct_rank_has_no_diagnosis, 0, CASES);
    }
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
