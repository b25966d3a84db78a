/* SPDX-License-Identifier: Apache-2.0 */
/* Which mistakes a diagnosis tries, and what that may cost. */
#include "ref/fault_inside.h"
#include "tests/diagnosis_cases.h"
#include "tests/support.h"

#include <string.h>

enum {
    LINE = 1024
};

/* What is refused without computing is what computing refuses; of the many
 * cases a quarter, all in make check-full. */
START_TEST(a_mistake_applies_if_it_can_be_made)
{
    const case_t *c = &diagnosis_cases[_i];
    const moe_role_t last = diagnosis_last_of(c);
    moe_ref_layer_t right;

    if (c->full && !moe_test_full() && _i % 4 != 0) {
        return;
    }
    ck_assert(diagnosis_make(c, (moe_fault_t){0}, &right));
    for (int k = MOE_FAULT_none + 1; k < MOE_FAULT_COUNT; k++) {
        for (int r = MOE_ROLE_hidden; r <= (int)last; r++) {
            const moe_fault_t fault = {.kind = (moe_fault_kind_t)k,
                                       .role = (moe_role_t)r};
            moe_ref_layer_t wrong;
            bool made;

            if (r == MOE_ROLE_combine && last != MOE_ROLE_combine) {
                continue;
            }
            made = moe_fault_is_at(fault.kind, fault.role) &&
                   diagnosis_make(c, fault, &wrong);
            ck_assert_msg(moe_ref_fault_applies(&right, fault) == made,
                          "%s: %s in %s is%s made", c->name,
                          moe_fault_name(fault.kind), moe_role_name(fault.role),
                          made ? "" : " not");
            if (moe_fault_is_at(fault.kind, fault.role)) {
                moe_ref_layer_fini(&wrong);
            }
        }
    }
    moe_ref_layer_fini(&right);
}
END_TEST

/* With work for the mistakes that apply and for none beside, a name is given;
 * with less the rest is told, and none that does not apply. */
START_TEST(mistakes_that_do_not_apply_cost_nothing)
{
    static const moe_fault_t fault = {.kind = MOE_FAULT_weight_missing,
                                      .role = MOE_ROLE_output};
    const case_t *c = &diagnosis_cases[0];
    moe_ref_layer_t wrong;
    moe_diagnosis_t d;
    double wanted;
    char text[LINE];

    ck_assert(diagnosis_make(c, fault, &wrong));
    diagnosis_examine(c, &wrong, false, &d);
    ck_assert(moe_diagnosis_is_named(&d));
    wanted = d.wanted;
    ck_assert(wanted > 0.0 && !(d.work < wanted) && !(d.work > wanted));
    diagnosis_examine_most(c, &wrong, false, wanted, &d);
    moe_diagnosis_words(&d, text, sizeof(text));
    ck_assert_msg(strncmp(text, "routing-weight-missing: ", 24) == 0, "%s",
                  text);
    diagnosis_examine_most(c, &wrong, false, wanted / 2.0, &d);
    ck_assert(!moe_diagnosis_is_named(&d));
    ck_assert_int_gt(moe_diagnosis_untried(&d), 0);
    ck_assert(!d.untried[MOE_FAULT_one_alpha]);
    ck_assert(!d.untried[MOE_FAULT_bias_per_rank]);
    ck_assert(!d.untried[MOE_FAULT_clamp_missing]);
    ck_assert(!d.untried[MOE_FAULT_e8m0_floor]);
    moe_ref_layer_fini(&wrong);
}
END_TEST

/* The case of python/README.md: rank 3 of 8, 64 tokens. */
START_TEST(a_rank_of_deepseek_v3_is_within_the_work)
{
    static const moe_model_t model = {.name = "deepseek-v3",
                                      .hidden = 7168,
                                      .intermediate = 2048,
                                      .experts = 256,
                                      .topk = 8,
                                      .n_group = 8,
                                      .topk_group = 4,
                                      .score = MOE_SCORE_sigmoid,
                                      .bias = true,
                                      .renormalize = true,
                                      .routed_scaling = 2.5f};
    static const case_t c = {.name = "deepseek-v3",
                             .model = &model,
                             .sent = MOE_FORMAT_nvfp4,
                             .format = MOE_FORMAT_nvfp4,
                             .tokens = 64,
                             .experts = {96, 128}};
    moe_ref_layer_t zeros = {0};
    moe_diagnosis_t d;

    zeros.held[MOE_ROLE_combine] = true;
    ck_assert_int_eq(
        moe_ref_rows_alloc(&(moe_storage_t){.format = MOE_FORMAT_bf16},
                           c.tokens, model.hidden, &zeros.at[MOE_ROLE_combine]),
        MOE_OK);
    memset(zeros.at[MOE_ROLE_combine].codes, 0,
           (size_t)(c.tokens * model.hidden) * 2);
    diagnosis_examine_most(&c, &zeros, false, 0.0, &d);
    ck_assert(!d.good && !moe_diagnosis_is_named(&d));
    ck_assert_msg(d.wanted > 1e11 && d.wanted < MOE_DIAGNOSIS_WORK, "%g",
                  d.wanted);
    moe_ref_rows_free(&zeros.at[MOE_ROLE_combine]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("diagnosis_work");
    TCase *tests = tcase_create("diagnosis_work");

    tcase_add_loop_test(tests, a_mistake_applies_if_it_can_be_made, 0,
                        diagnosis_case_count);
    tcase_add_test(tests, mistakes_that_do_not_apply_cost_nothing);
    tcase_add_test(tests, a_rank_of_deepseek_v3_is_within_the_work);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
