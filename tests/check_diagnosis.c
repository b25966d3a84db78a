/* SPDX-License-Identifier: Apache-2.0 */
/* Every mistake of ref/fault.def in layers of several formats and routers, and
 * what the diagnosis makes of it, with all stages and with the final output
 * alone, against tests/diagnosis_expected.csv. MOESIM_DIAGNOSIS_SHOW=CASE
 * prints all lines of a case of that table as they are found. */
#include "tests/diagnosis_cases.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE = 1024
};

static size_t bytes_of(const moe_rows_t *rows)
{
    return (size_t)(rows->rows * moe_rows_code_bytes(rows));
}

static bool same_rows(const moe_rows_t *a, const moe_rows_t *b)
{
    const moe_format_info_t *info = moe_format_info(a->storage.format);
    const int64_t scales = a->rows *
                           moe_format_scale_cols(a->storage.format, a->cols) *
                           (moe_dtype_bits(info->scale) / 8);

    return a->rows == b->rows && memcmp(a->codes, b->codes, bytes_of(a)) == 0 &&
           (a->scales == NULL ||
            memcmp(a->scales, b->scales, (size_t)scales) == 0);
}

static bool same_layers(const moe_ref_layer_t *a, const moe_ref_layer_t *b)
{
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        if (a->held[r] && !same_rows(&a->at[r], &b->at[r])) {
            return false;
        }
    }
    return true;
}

static bool has_suspect(const moe_diagnosis_t *d, moe_fault_kind_t kind)
{
    for (int i = 0; i < d->n_suspects; i++) {
        if (d->suspect[i].kind == kind) {
            return true;
        }
    }
    return false;
}

static const char *outcome(const moe_diagnosis_t *d, moe_fault_kind_t kind,
                           char *text)
{
    if (d->good) {
        return "unnoticed";
    }
    if (!moe_diagnosis_is_named(d)) {
        return has_suspect(d, kind) ? "ambiguous" : "detected";
    }
    if (!has_suspect(d, kind)) {
        (void)snprintf(text, LINE, "WRONG %s",
                       moe_fault_name(d->suspect[0].kind));
        return text;
    }
    if (d->n_suspects == 1) {
        return "named";
    }
    (void)snprintf(text, LINE, "same");
    for (int i = 0; i < d->n_suspects; i++) {
        if (d->suspect[i].kind != kind) {
            (void)snprintf(text + strlen(text), LINE - strlen(text), " %s",
                           moe_fault_name(d->suspect[i].kind));
        }
    }
    return text;
}

/* case,mistake,place,with all stages,with the final output */
static void cell(const case_t *c, const moe_ref_layer_t *right,
                 moe_fault_t fault, char *line)
{
    char all[LINE] = "";
    char final[LINE] = "";
    const char *with_all = "meaningless";
    const char *with_final = "meaningless";
    moe_ref_layer_t wrong;
    moe_diagnosis_t d;

    if (diagnosis_make(c, fault, &wrong)) {
        if (same_layers(right, &wrong)) {
            with_all = with_final = "no-effect";
        } else {
            diagnosis_examine(c, &wrong, true, &d);
            with_all = outcome(&d, fault.kind, all);
            diagnosis_examine(c, &wrong, false, &d);
            with_final = outcome(&d, fault.kind, final);
        }
    }
    moe_ref_layer_fini(&wrong);
    (void)snprintf(line, LINE, "%s,%s,%s,%s,%s", c->name,
                   moe_fault_name(fault.kind), moe_role_name(fault.role),
                   with_all, with_final);
}

/* The table, its lines in the order of cases, mistakes, places. */
static FILE *open_table(void)
{
    FILE *file = fopen(moe_test_source("tests/diagnosis_expected.csv"), "r");

    ck_assert_ptr_nonnull(file);
    return file;
}

static bool is_expected(const char *line)
{
    FILE *file = open_table();
    char text[2 * LINE];
    const size_t n = strlen(line);
    bool found = false;

    while (!found && fgets(text, sizeof(text), file) != NULL) {
        /* the reason follows, and is there */
        found = strncmp(text, line, n) == 0 && text[n] == ',' &&
                (strstr(line, ",named,named") != NULL || text[n + 1] != '\n');
    }
    (void)fclose(file);
    return found;
}

/* A sixth of them but in make check-full; of its cases their own alone. */
static bool is_tried(const case_t *c, moe_fault_kind_t kind, int number)
{
    return moe_test_full() || kind == c->own ||
           (!c->full && ((int)kind + number) % 6 == 0);
}

START_TEST(every_mistake_is_named_or_the_table_says_why_not)
{
    const case_t *c = &diagnosis_cases[_i];
    const char *shown = getenv("MOESIM_DIAGNOSIS_SHOW");
    const bool show = shown != NULL && strcmp(shown, c->name) == 0;
    moe_ref_layer_t right;
    int unexpected = 0;

    if ((shown != NULL && !show) ||
        (c->full && !moe_test_full() && c->own == MOE_FAULT_none)) {
        return;
    }
    ck_assert(diagnosis_make(c, (moe_fault_t){0}, &right));
    for (int k = MOE_FAULT_none + 1; k < MOE_FAULT_COUNT; k++) {
        for (int r = MOE_ROLE_hidden; r <= (int)diagnosis_last_of(c); r++) {
            char line[LINE];

            if (!moe_fault_is_at((moe_fault_kind_t)k, (moe_role_t)r) ||
                (r == MOE_ROLE_combine &&
                 diagnosis_last_of(c) != MOE_ROLE_combine) ||
                !(show || is_tried(c, (moe_fault_kind_t)k, _i))) {
                continue;
            }
            cell(c, &right,
                 (moe_fault_t){.kind = (moe_fault_kind_t)k,
                               .role = (moe_role_t)r},
                 line);
            if (show) {
                printf("%s\n", line);
            } else if (!is_expected(line)) {
                printf("not in the table: %s\n", line);
                unexpected++;
            }
            ck_assert_msg(strstr(line, "WRONG") == NULL, "%s", line);
        }
    }
    moe_ref_layer_fini(&right);
    ck_assert_int_eq(unexpected, 0);
}
END_TEST

START_TEST(correct_tensors_have_no_diagnosis)
{
    const case_t *c = &diagnosis_cases[_i];
    char text[LINE];
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
    char text[LINE];

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
    char text[LINE];
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
        tcase_add_test(tests, names_are_found_and_unique);
    }
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
