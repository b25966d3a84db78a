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

/* A case's second rank, right and wrong. */
typedef struct {
    int number;
    diagnosis_rank_t right;
    diagnosis_rank_t wrong;
} ranks_t;

static bool has_place(const void *self, moe_role_t role)
{
    (void)self;
    return role <= MOE_ROLE_output;
}

/* An eighth of the first two but in make check-full. */
static bool is_tried(const void *self, moe_fault_kind_t kind)
{
    const ranks_t *r = self;

    return moe_test_full() ||
           (r->number < 2 && ((int)kind + r->number) % 8 == 0);
}

static diagnosis_effect_t spoil(void *self, moe_fault_t fault)
{
    ranks_t *r = self;

    diagnosis_rank_fini(&r->wrong);
    if (!diagnosis_rank_make(layer_of(r->number), cases[r->number].ranks, fault,
                             &r->wrong)) {
        return DIAGNOSIS_meaningless;
    }
    return diagnosis_same(&r->right.own, &r->wrong.own) &&
                   diagnosis_same(&r->right.experts, &r->wrong.experts)
               ? DIAGNOSIS_no_effect
               : DIAGNOSIS_changed;
}

static void examine(const void *self, bool stages, moe_diagnosis_t *d)
{
    const ranks_t *r = self;

    diagnosis_rank_examine(&r->wrong, stages, d);
}

START_TEST(every_rank_makes_the_mistake)
{
    ranks_t ranks = {.number = _i};
    const diagnosis_table_t table = {.name = cases[_i].name,
                                     .self = &ranks,
                                     .has_place = has_place,
                                     .is_tried = is_tried,
                                     .spoil = spoil,
                                     .examine = examine};

    if (!diagnosis_is_asked(cases[_i].name) || (!moe_test_full() && _i > 1)) {
        return;
    }
    ck_assert(diagnosis_rank_make(layer_of(_i), cases[_i].ranks,
                                  (moe_fault_t){0}, &ranks.right));
    diagnosis_compare(&table);
    diagnosis_rank_fini(&ranks.right);
    diagnosis_rank_fini(&ranks.wrong);
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
