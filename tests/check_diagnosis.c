/* SPDX-License-Identifier: Apache-2.0 */
/* Every mistake of ref/fault.def in layers of several formats and routers, and
 * what the diagnosis makes of it, with all stages and with the final output
 * alone, against tests/diagnosis_expected.csv. MOESIM_DIAGNOSIS_SHOW=1 prints
 * the lines of that table as they are found. */
#include "ref/diagnose.h"

#include "ref/formats.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE = 1024
};

/* Two routers, and what goes with them. */
static const moe_model_t deepseek = {.name = "deepseek",
                                     .hidden = 128,
                                     .intermediate = 128,
                                     .experts = 8,
                                     .topk = 3,
                                     .n_group = 4,
                                     .topk_group = 2,
                                     .score = MOE_SCORE_sigmoid,
                                     .bias = true,
                                     .renormalize = true,
                                     .routed_scaling = 2.5f};
static const moe_model_t gpt_oss = {.name = "gpt-oss",
                                    .hidden = 128,
                                    .intermediate = 128,
                                    .experts = 8,
                                    .topk = 2,
                                    .n_group = 1,
                                    .topk_group = 1,
                                    .score = MOE_SCORE_softmax_chosen,
                                    .routed_scaling = 1.0f,
                                    .activation = MOE_ACTIVATION_swiglu_oai,
                                    .gate_up = MOE_GATE_UP_interleaved};

static const moe_model_t wide = {.name = "wide",
                                 .hidden = 512,
                                 .intermediate = 256,
                                 .experts = 16,
                                 .topk = 4,
                                 .n_group = 1,
                                 .topk_group = 1,
                                 .score = MOE_SCORE_softmax,
                                 .renormalize = true,
                                 .routed_scaling = 1.0f};

/* A layer. */
typedef struct {
    const char *name;
    const moe_model_t *model;
    moe_format_t format; /* of rows before both matmuls */
    moe_profile_t profile;
    int64_t tokens;
    moe_range_t experts;
    bool full; /* of make check-full alone */
} case_t;

static const case_t cases[] = {
    {"deepseek-nvfp4", &deepseek, MOE_FORMAT_nvfp4, 0, 12, {0, 8}, false},
    {"gpt-oss-mxfp4", &gpt_oss, MOE_FORMAT_mxfp4, 0, 12, {0, 8}, false},
    {"deepseek-rank-fp8",
     &deepseek,
     MOE_FORMAT_fp8_1x128,
     0,
     12,
     {4, 8},
     false},
    {"gpt-oss-ue8m0",
     &gpt_oss,
     MOE_FORMAT_fp8_1x128_ue8m0,
     0,
     12,
     {0, 8},
     true},
    {"deepseek-mxfp8", &deepseek, MOE_FORMAT_mxfp8, 0, 12, {0, 8}, true},
    {"deepseek-int8", &deepseek, MOE_FORMAT_int8_token, 0, 12, {0, 8}, true},
    {"deepseek-bf16", &deepseek, MOE_FORMAT_bf16, 0, 12, {0, 8}, true},
    {"deepseek-fp8-tensor",
     &deepseek,
     MOE_FORMAT_fp8_tensor,
     0,
     12,
     {0, 8},
     true},
    {"wide-nvfp4", &wide, MOE_FORMAT_nvfp4, 0, 40, {0, 16}, true},
    {"wide-rank-nvfp4", &wide, MOE_FORMAT_nvfp4, 0, 40, {8, 16}, true},
    {"wide-mxfp4-even",
     &wide,
     MOE_FORMAT_mxfp4,
     MOE_PROFILE_mxfp4_even,
     40,
     {0, 16},
     true},
};

enum {
    CASES = sizeof(cases) / sizeof(cases[0])
};

static moe_ref_case_t about(const case_t *c)
{
    moe_ref_case_t about = {.model = c->model,
                            .seed = 7,
                            .tokens = {0, c->tokens},
                            .experts = c->experts};
    moe_storage_t *at = about.chain.at;

    about.chain.weights = c->format == MOE_FORMAT_mxfp4 ? MOE_FORMAT_mxfp4
                          : c->format == MOE_FORMAT_fp8_1x128 ||
                                  c->format == MOE_FORMAT_fp8_1x128_ue8m0
                              ? c->format
                              : MOE_FORMAT_nvfp4;
    if (c->format == MOE_FORMAT_bf16 || c->format == MOE_FORMAT_int8_token ||
        c->format == MOE_FORMAT_mxfp8 || c->format == MOE_FORMAT_fp8_tensor) {
        about.chain.weights = c->format;
    }
    at[MOE_ROLE_dispatch].format = c->format;
    at[MOE_ROLE_gemm2_in].format = c->format;
    at[MOE_ROLE_dispatch].profile = c->profile;
    at[MOE_ROLE_gemm2_in].profile = c->profile;
    moe_storage_default(&at[MOE_ROLE_dispatch], MOE_FILL_HIDDEN_BOUND);
    moe_storage_default(&at[MOE_ROLE_gemm2_in], MOE_FILL_ACT_BOUND);
    at[MOE_ROLE_expert_in] = at[MOE_ROLE_dispatch];
    return about;
}

static moe_role_t last_of(const case_t *c)
{
    return c->experts.end - c->experts.begin == c->model->experts
               ? MOE_ROLE_output
               : MOE_ROLE_combine;
}

/* The layer with a mistake; false if it means nothing. */
static bool make(const case_t *c, moe_fault_t fault, moe_ref_layer_t *layer)
{
    const moe_ref_case_t what = about(c);

    ck_assert_int_eq(moe_ref_layer_init(&what, layer), MOE_OK);
    layer->fault = fault;
    for (int r = MOE_ROLE_hidden; r <= (int)last_of(c); r++) {
        moe_status_t status;

        if (r == MOE_ROLE_combine && last_of(c) != MOE_ROLE_combine) {
            continue;
        }
        status = moe_ref_layer_make(layer, (moe_role_t)r);
        if (status == MOE_ERR_UNSUPPORTED && fault.kind != MOE_FAULT_none) {
            moe_error_clear();
            return false;
        }
        ck_assert_msg(status == MOE_OK, "%s: %s: %s", c->name,
                      moe_role_name((moe_role_t)r), moe_error_text());
    }
    return true;
}

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

/* Judge and diagnose the tensors of a layer; what was found, in words. */
static void examine(const case_t *c, const moe_ref_layer_t *layer, bool stages,
                    moe_diagnosis_t *d)
{
    const moe_ref_case_t what = about(c);
    moe_judge_t judge;

    ck_assert_int_eq(
        moe_judge_init(&what, MOE_ACCUMULATOR_fp32, 1000000, &judge), MOE_OK);
    for (int r = MOE_ROLE_hidden; r <= (int)last_of(c); r++) {
        if (layer->held[r] && (stages || r == (int)last_of(c))) {
            ck_assert_int_eq(
                moe_judge_give(&judge, (moe_role_t)r, &layer->at[r]), MOE_OK);
        }
    }
    ck_assert_int_eq(moe_judge_run(&judge), MOE_OK);
    ck_assert_msg(moe_diagnosis_make(&judge, d) == MOE_OK, "%s",
                  moe_error_text());
    ck_assert(moe_judge_is_good(&judge) == d->good);
    moe_judge_fini(&judge);
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

    if (make(c, fault, &wrong)) {
        if (same_layers(right, &wrong)) {
            with_all = with_final = "no-effect";
        } else {
            examine(c, &wrong, true, &d);
            with_all = outcome(&d, fault.kind, all);
            examine(c, &wrong, false, &d);
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

START_TEST(every_mistake_is_named_or_the_table_says_why_not)
{
    const case_t *c = &cases[_i];
    const bool show = getenv("MOESIM_DIAGNOSIS_SHOW") != NULL;
    moe_ref_layer_t right;
    int unexpected = 0;

    if (c->full && !moe_test_full()) {
        return;
    }
    ck_assert(make(c, (moe_fault_t){0}, &right));
    for (int k = MOE_FAULT_none + 1; k < MOE_FAULT_COUNT; k++) {
        for (int r = MOE_ROLE_hidden; r <= (int)last_of(c); r++) {
            char line[LINE];

            if (!moe_fault_is_at((moe_fault_kind_t)k, (moe_role_t)r) ||
                (r == MOE_ROLE_combine && last_of(c) != MOE_ROLE_combine) ||
                (!moe_test_full() && (k + _i) % 3 != 0)) {
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
            ck_assert_ptr_null(strstr(line, "WRONG"));
        }
    }
    moe_ref_layer_fini(&right);
    ck_assert_int_eq(unexpected, 0);
}
END_TEST

START_TEST(correct_tensors_have_no_diagnosis)
{
    const case_t *c = &cases[_i];
    char text[LINE];
    moe_ref_layer_t right;
    moe_diagnosis_t d;

    if (c->full && !moe_test_full()) {
        return;
    }
    ck_assert(make(c, (moe_fault_t){0}, &right));
    for (int stages = 0; stages < 2; stages++) {
        examine(c, &right, stages != 0, &d);
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
    const case_t *c = &cases[_i];
    uint64_t state = 99;
    moe_diagnosis_t d;
    char text[LINE];

    if (c->full && !moe_test_full()) {
        return;
    }
    for (int n = 0; n < (moe_test_full() ? 27 : 9); n++) {
        const moe_role_t role = n % 3 == 2 ? last_of(c) : places[n % 2];
        moe_ref_layer_t noisy;

        ck_assert(make(c, (moe_fault_t){0}, &noisy));
        add_noise(&noisy.at[role], sizes[n % 27 / 9],
                  n % 9 / 3 == 0   ? 1
                  : n % 9 / 3 == 1 ? 10
                                   : 1000,
                  &state);
        examine(c, &noisy, n % 2 != 0 || role != last_of(c), &d);
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
    const case_t *c = &cases[0];
    moe_ref_layer_t layer;
    moe_diagnosis_t d;
    char text[LINE];
    double x = 77.0;

    ck_assert(make(c, (moe_fault_t){0}, &layer));
    for (int64_t i = 5; i < layer.at[MOE_ROLE_output].rows; i++) {
        for (int64_t col = 3; col < layer.at[MOE_ROLE_output].cols; col += 16) {
            x = -x * 1.01;
            moe_rows_round(&layer.at[MOE_ROLE_output], i, col, 1, &x);
        }
    }
    examine(c, &layer, false, &d);
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
                        0, CASES);
    tcase_add_loop_test(tests, correct_tensors_have_no_diagnosis, 0, CASES);
    tcase_add_loop_test(tests, noise_has_no_name, 0, CASES);
    tcase_add_test(tests, the_words_say_where_errors_sit);
    tcase_add_test(tests, names_are_found_and_unique);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
