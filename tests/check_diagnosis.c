/* SPDX-License-Identifier: Apache-2.0 */
/* Every mistake of ref/fault.def in layers of several formats and routers, and
 * what the diagnosis makes of it, with all stages and with the final output
 * alone, against tests/diagnosis_expected.csv. MOESIM_DIAGNOSIS_SHOW=CASE
 * prints all lines of a case of that table as they are found. */
#include "tests/diagnosis_cases.h"
#include "tests/diagnosis_table.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORDS = 1024
};

/* A case's layers, right and wrong. */
typedef struct {
    const case_t *about;
    int number;
    moe_ref_layer_t right;
    moe_ref_layer_t wrong;
} layers_t;

static bool has_place(const void *self, moe_role_t role)
{
    const layers_t *l = self;
    const moe_role_t last = diagnosis_last_of(l->about);

    return role <= last && (role != MOE_ROLE_combine || role == last);
}

/* A sixth of them but in make check-full; of its cases their own alone. */
static bool is_tried(const void *self, moe_fault_kind_t kind)
{
    const layers_t *l = self;

    return moe_test_full() || kind == l->about->own ||
           (!l->about->full && ((int)kind + l->number) % 6 == 0);
}

static diagnosis_effect_t spoil(void *self, moe_fault_t fault)
{
    layers_t *l = self;

    moe_ref_layer_fini(&l->wrong);
    if (!diagnosis_make(l->about, fault, &l->wrong)) {
        return DIAGNOSIS_meaningless;
    }
    return diagnosis_same(&l->right, &l->wrong) ? DIAGNOSIS_no_effect
                                                : DIAGNOSIS_changed;
}

static void examine(const void *self, bool stages, moe_diagnosis_t *d)
{
    const layers_t *l = self;

    diagnosis_examine(l->about, &l->wrong, stages, d);
}

START_TEST(every_mistake_is_named_or_the_table_says_why_not)
{
    const case_t *c = &diagnosis_cases[_i];
    layers_t layers = {.about = c, .number = _i};
    const diagnosis_table_t table = {.name = c->name,
                                     .self = &layers,
                                     .has_place = has_place,
                                     .is_tried = is_tried,
                                     .spoil = spoil,
                                     .examine = examine};

    if (!diagnosis_is_asked(c->name) ||
        (c->full && !moe_test_full() && c->own == MOE_FAULT_none)) {
        return;
    }
    ck_assert(diagnosis_make(c, (moe_fault_t){0}, &layers.right));
    diagnosis_compare(&table);
    moe_ref_layer_fini(&layers.right);
    moe_ref_layer_fini(&layers.wrong);
}
END_TEST

START_TEST(correct_tensors_have_no_diagnosis)
{
    const case_t *c = &diagnosis_cases[_i];
    char text[WORDS];
    moe_ref_layer_t right;
    moe_diagnosis_t d;

    if (c->full && !moe_test_full()) {
        return;
    }
    ck_assert(diagnosis_make(c, (moe_fault_t){0}, &right));
    for (int stages = 0; stages < 2; stages++) {
        diagnosis_examine(c, &right, stages != 0, &d);
        moe_diagnosis_words(&d, text, sizeof(text));
        ck_assert(d.good);
        ck_assert_str_eq(text, "");
    }
    moe_ref_layer_fini(&right);
}
END_TEST

/* Noise of several sizes, on all elements, on some, on one. */
static void add_noise(moe_rows_t *rows, double size, int64_t every,
                      uint64_t *state)
{
    for (int64_t i = 0; i < rows->rows * rows->cols; i++) {
        double x = moe_rows_value(rows, i / rows->cols, i % rows->cols);
        double y = x + size * judge_number(state, 20, -3, 0);

        if (every <= 1 || judge_random(state) % (uint64_t)every == 0) {
            moe_rows_round(rows, i / rows->cols, i % rows->cols, 1, &y);
        }
    }
}

START_TEST(noise_has_no_name)
{
    static const moe_role_t places[] = {MOE_ROLE_gemm1_out, MOE_ROLE_act_out,
                                        MOE_ROLE_gemm2_out};
    static const double sizes[] = {0.02, 0.3, 5.0};
    const case_t *c = &diagnosis_cases[_i];
    uint64_t state = 99;
    moe_diagnosis_t d;
    char text[WORDS];

    if (c->full && !moe_test_full()) {
        return;
    }
    for (int n = 0; n < (moe_test_full() ? 27 : 9); n++) {
        const moe_role_t role =
            n % 3 == 2 ? diagnosis_last_of(c) : places[n % 2];
        moe_ref_layer_t noisy;

        ck_assert(diagnosis_make(c, (moe_fault_t){0}, &noisy));
        add_noise(&noisy.at[role], sizes[(n / 3 + n / 9) % 3],
                  n % 9 / 3 == 0   ? 1
                  : n % 9 / 3 == 1 ? 10
                                   : 1000,
                  &state);
        diagnosis_examine(c, &noisy, n % 2 != 0 || role != diagnosis_last_of(c),
                          &d);
        moe_diagnosis_words(&d, text, sizeof(text));
        ck_assert_msg(!moe_diagnosis_is_named(&d), "%s: noise %d: %s", c->name,
                      n, text);
        ck_assert(d.good || strncmp(text, "no known mistake", 16) == 0);
        moe_ref_layer_fini(&noisy);
    }
}
END_TEST

START_TEST(the_words_say_where_errors_sit)
{
    const case_t *c = &diagnosis_cases[0];
    moe_ref_layer_t layer;
    moe_diagnosis_t d;
    char text[WORDS];
    double x = 77.0;

    ck_assert(diagnosis_make(c, (moe_fault_t){0}, &layer));
    for (int64_t i = 5; i < layer.at[MOE_ROLE_output].rows; i++) {
        for (int64_t col = 3; col < layer.at[MOE_ROLE_output].cols; col += 16) {
            x = -x * 1.01;
            moe_rows_round(&layer.at[MOE_ROLE_output], i, col, 1, &x);
        }
    }
    diagnosis_examine(c, &layer, false, &d);
    moe_diagnosis_words(&d, text, sizeof(text));
    ck_assert_msg(strstr(text, "only rows >= 5") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "only columns that are 3 mod 16") != NULL, "%s",
                  text);
    moe_ref_layer_fini(&layer);
}
END_TEST

/* Hidden states of 8 times the size: gates and ups reach the clamp. */
static void make_loud(const case_t *c, moe_fault_t fault,
                      moe_ref_layer_t *layer)
{
    const moe_ref_case_t about = diagnosis_about(c);
    moe_rows_t *hidden = &layer->at[MOE_ROLE_hidden];

    ck_assert_int_eq(moe_ref_layer_init(&about, layer), MOE_OK);
    layer->fault = fault;
    ck_assert_int_eq(moe_ref_layer_make(layer, MOE_ROLE_hidden), MOE_OK);
    for (int64_t i = 0; i < hidden->rows * hidden->cols; i++) {
        double x =
            8.0 * moe_rows_value(hidden, i / hidden->cols, i % hidden->cols);

        moe_rows_round(hidden, i / hidden->cols, i % hidden->cols, 1, &x);
    }
    for (int r = MOE_ROLE_logits; r <= MOE_ROLE_output; r++) {
        if (r != MOE_ROLE_combine) {
            ck_assert_int_eq(moe_ref_layer_make(layer, (moe_role_t)r), MOE_OK);
        }
    }
}

START_TEST(a_missing_clamp_is_named_where_it_is_reached)
{
    const moe_fault_t fault = {.kind = MOE_FAULT_clamp_missing,
                               .role = MOE_ROLE_act_out};
    const case_t *c = &diagnosis_cases[1];
    const moe_ref_case_t about = diagnosis_about(c);

    for (int stages = 0; stages < 2; stages++) {
        moe_ref_layer_t wrong;
        moe_diagnosis_t d;

        make_loud(c, fault, &wrong);
        for (int r = MOE_ROLE_logits; stages == 0 && r < MOE_ROLE_output; r++) {
            wrong.held[r] = false;
        }
        diagnosis_judge(&about, &wrong, MOE_ROLE_hidden, MOE_ROLE_output,
                        MOE_ROLE_hidden, MOE_DIAGNOSIS_WORK, &d);
        ck_assert(moe_diagnosis_is_named(&d));
        ck_assert_int_eq(d.n_suspects, 1);
        ck_assert_int_eq(d.suspect[0].kind, MOE_FAULT_clamp_missing);
        moe_ref_layer_fini(&wrong);
    }
}
END_TEST

START_TEST(names_are_found_and_unique)
{
    moe_fault_kind_t kind;

    for (int k = MOE_FAULT_none + 1; k < MOE_FAULT_COUNT; k++) {
        ck_assert(moe_fault_find(moe_fault_name((moe_fault_kind_t)k), &kind));
        ck_assert_int_eq(kind, k);
    }
    ck_assert(!moe_fault_find("none", &kind));
    ck_assert(!moe_fault_find("", &kind));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("diagnosis");
    TCase *tests = tcase_create("diagnosis");

    tcase_set_timeout(tests, moe_test_full() ? 3600.0 : 300.0);
    tcase_add_loop_test(tests, every_mistake_is_named_or_the_table_says_why_not,
                        0, diagnosis_case_count);
    if (getenv("MOESIM_DIAGNOSIS_SHOW") == NULL) {
        tcase_add_loop_test(tests, correct_tensors_have_no_diagnosis, 0,
                            diagnosis_case_count);
        tcase_add_loop_test(tests, noise_has_no_name, 0, diagnosis_case_count);
        tcase_add_test(tests, the_words_say_where_errors_sit);
        tcase_add_test(tests, a_missing_clamp_is_named_where_it_is_reached);
        tcase_add_test(tests, names_are_found_and_unique);
    }
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
