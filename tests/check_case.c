/* SPDX-License-Identifier: Apache-2.0 */
/* A rank's layer by libmoeref alone: as the parts of the library have it. */
#include "config.h"

#include "ref/moeref.h"
#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMALL                                                                  \
    "hidden=128 intermediate=64 experts=8 topk=2 score=sigmoid bias=true "     \
    "renormalize=true routed_scaling=2.5 token_end=12 "

static const char *const places[] = {
    "hidden",    "logits",  "topk_ids", "topk_weights", "dispatch", "expert_in",
    "gemm1_out", "act_out", "gemm2_in", "gemm2_out",    "combine",
};

enum {
    PLACES = sizeof(places) / sizeof(places[0]),
    TEXT = 4000,
    TOKENS = 12,
    HIDDEN = 128
};

static moeref_case_t *new_case(const char *settings)
{
    moeref_case_t *c = moeref_case_new(settings);

    if (c == NULL) {
        ck_abort_msg("%s: %s", settings, moeref_error());
    }
    return c;
}

static moeref_tensor_t tensor(moeref_case_t *c, const char *name)
{
    moeref_tensor_t t;

    if (moeref_case_tensor(c, name, &t) != MOEREF_OK) {
        ck_abort_msg("%s: %s", name, moeref_error());
    }
    return t;
}

START_TEST(every_place_is_judged_good_as_it_is)
{
    moeref_case_t *c = new_case(SMALL "expert_begin=2 expert_end=5 dispatch="
                                      "nvfp4 seed=7");
    char text[TEXT];
    moeref_tensor_t t = tensor(c, places[_i]);

    ck_assert_ptr_nonnull(t.data);
    ck_assert_int_ge(t.rows, 1);
    if (strcmp(places[_i], "hidden") != 0) {
        ck_assert_int_eq(
            moeref_case_check(c, &places[_i], &t, 1, text, sizeof(text)),
            MOEREF_OK);
        ck_assert_ptr_nonnull(strstr(text, places[_i]));
        ck_assert_ptr_nonnull(strstr(text, "good"));
        ck_assert(strstr(text, "ulp") == NULL ||
                  strstr(text, "at most 0 ulp") != NULL);
    }
    moeref_case_free(c);
}
END_TEST

START_TEST(a_wrong_element_is_found_where_it_is)
{
    static const char *const names[] = {"gemm1_out", "combine"};
    moeref_case_t *c = new_case(SMALL "expert_end=8");
    moeref_tensor_t t[2] = {tensor(c, names[0]), tensor(c, names[1])};
    uint16_t *sums = malloc((size_t)(t[1].rows * t[1].cols) * 2);
    char text[TEXT];

    ck_assert_ptr_nonnull(sums);
    memcpy(sums, t[1].data, (size_t)(t[1].rows * t[1].cols) * 2);
    sums[5 * HIDDEN + 77] ^= 0x40; /* of bf16's fraction the second bit */
    t[1].data = sums;
    ck_assert_int_eq(moeref_case_check(c, names, t, 2, text, sizeof(text)),
                     MOEREF_ERR_WRONG);
    ck_assert_ptr_eq(strstr(text, "combine: wrong"), text);
    ck_assert_ptr_nonnull(strstr(text, "row 5, token 5, column 77"));
    ck_assert_ptr_nonnull(strstr(text, "gemm1_out: good"));
    free(sums);
    moeref_case_free(c);
}
END_TEST

static double bf16_at(const moeref_tensor_t *t, int64_t row, int64_t col)
{
    uint16_t bits;

    memcpy(&bits, (const uint8_t *)t->data + 2 * (row * t->cols + col), 2);
    return (double)moeref_from_bf16(bits);
}

/* Partial sums of ranks that share the experts add up to the output. */
START_TEST(sums_of_the_ranks_are_the_output)
{
    moeref_case_t *all = new_case(SMALL "expert_end=8 combine=fp32");
    moeref_case_t *part[2] = {
        new_case(SMALL "expert_end=3 combine=fp32"),
        new_case(SMALL "expert_begin=3 expert_end=8 combine=fp32")};
    moeref_tensor_t sum[2] = {tensor(part[0], "combine"),
                              tensor(part[1], "combine")};
    moeref_tensor_t output = tensor(all, "output");

    ck_assert_str_eq(sum[0].dtype, "fp32");
    for (int64_t i = 0; i < TOKENS * HIDDEN; i++) {
        const double want = (double)((const float *)sum[0].data)[i] +
                            (double)((const float *)sum[1].data)[i];
        const double got = bf16_at(&output, i / HIDDEN, i % HIDDEN);

        ck_assert(fabs(got - want) <= 0.0041 * fabs(want) + 1e-30);
    }
    moeref_case_free(all);
    moeref_case_free(part[0]);
    moeref_case_free(part[1]);
}
END_TEST

/* Of NVFP4, or of E4M3 without scales. */
static double value_at(const moeref_tensor_t *t, int64_t row, int64_t col)
{
    const uint8_t *codes = t->data;
    const uint8_t *scales = t->scales;
    int code = codes[(row * t->cols + col) / 2] >> (4 * (col % 2));

    if (scales == NULL) {
        return (double)moeref_from_e4m3(codes[row * t->cols + col]) *
               (double)t->decode_scale;
    }
    return (double)moeref_from_e2m1((uint8_t)(code & 15)) *
           (double)moeref_from_e4m3(scales[row * t->blocks + col / 16]) *
           (double)t->decode_scale;
}

/* gemm1_out of a pair, from the weights and rows that the case gives out. */
START_TEST(weights_and_rows_give_the_products)
{
    moeref_case_t *c =
        new_case(_i == 0 ? SMALL "expert_begin=1 expert_end=4"
                         : SMALL "expert_begin=1 expert_end=4 weights="
                                 "fp8_tensor expert_in=fp8_tensor "
                                 "gemm2_in=fp8_tensor");
    moeref_tensor_t x = tensor(c, "expert_in");
    moeref_tensor_t w = tensor(c, "w13");
    moeref_tensor_t out = tensor(c, "gemm1_out");
    moeref_tensor_t expert = tensor(c, "expert");
    moeref_tensor_t bound = tensor(c, "gemm1_out.abs");

    ck_assert_int_eq(w.rows, 3 * 128);
    ck_assert_int_eq(bound.rows, out.rows);
    for (int64_t i = 0; i < out.rows; i++) {
        for (int64_t j = 0; j < out.cols; j++) {
            int64_t row = (((const int32_t *)expert.data)[i] - 1) * 128 + j;
            double sum = 0.0;

            for (int64_t k = 0; k < HIDDEN; k++) {
                sum += value_at(&x, i, k) * value_at(&w, row, k);
            }
            if (!(fabs(bf16_at(&out, i, j) - sum) <= 0.0040 * fabs(sum))) {
                ck_abort_msg("pair %d, %d: %g, sum %g", (int)i, (int)j,
                             bf16_at(&out, i, j), sum);
            }
            ck_assert(fabs(sum) <=
                      (double)((const float *)bound.data)[i * out.cols + j]);
        }
    }
    moeref_case_free(c);
}
END_TEST

/* The output of kernels of all operand classes, with no stage between. */
static const char *const operands[] = {
    "expert_in=bf16 gemm2_in=bf16 weights=bf16",
    "expert_in=bf16 gemm2_in=fp16 weights=fp16",
    ("expert_in=fp8_1x128 gemm2_in=fp8_1x128 weights=fp8_1x128 "
     "intermediate=128"),
    "expert_in=int8_token gemm2_in=int8_token weights=int8_token",
    "expert_in=fp32 gemm2_in=fp16 weights=fp32 act_out=fp32",
    "expert_in=mxfp8 gemm2_in=mxfp8 weights=mxfp4",
    "expert_in=mxfp8_e5m2 gemm2_in=mxfp8_e5m2 weights=mxfp8_e5m2",
    "expert_in=fp8_tensor gemm2_in=fp8_tensor weights=fp8_tensor",
};

enum {
    OPERANDS = sizeof(operands) / sizeof(operands[0])
};

START_TEST(the_output_alone_is_judged_for_every_operand)
{
    static const char *const name = "combine";
    char settings[400];
    char text[TEXT];
    moeref_case_t *c;
    moeref_tensor_t t;

    (void)snprintf(settings, sizeof(settings), SMALL "expert_end=8 %s",
                   operands[_i]);
    c = new_case(settings);
    t = tensor(c, name);
    if (moeref_case_check(c, &name, &t, 1, text, sizeof(text)) != MOEREF_OK) {
        ck_abort_msg("%s: %s%s", settings, moeref_error(), text);
    }
    ck_assert_int_eq(((uint16_t *)t.data)[0] & 0x8000,
                     bf16_at(&t, 0, 0) < 0.0 ? 0x8000 : 0);
    ((uint16_t *)t.data)[3 * HIDDEN + 1] ^= 0x8000;
    ((uint16_t *)t.data)[3 * HIDDEN + 2] ^= 0x8000;
    ck_assert_int_eq(moeref_case_check(c, &name, &t, 1, text, sizeof(text)),
                     MOEREF_ERR_WRONG);
    moeref_case_free(c);
}
END_TEST

static const struct {
    const char *settings;
    const char *told;
} wrong[] = {
    {"", "hidden: must be given"},
    {SMALL, "expert_end: must be given"},
    {SMALL "expert_end=9", "expert_end: 9"},
    {SMALL "expert_end=8 topk=9", "topk: 9 of 8 experts"},
    {SMALL "expert_end=8 seed=-1", "seed: '-1'"},
    {SMALL "expert_end=8 dispatch=fp3", "dispatch: 'fp3' is unknown"},
    {SMALL "expert_end=8 score=best", "score: 'best' is unknown"},
    {SMALL "expert_end=8 data=gird", "data: 'gird' is unknown"},
    {SMALL "expert_end=8 inject=nibbles", "inject: 'nibbles' is unknown"},
    {SMALL "expert_end=8 colour=red", "'colour' is no setting"},
    {SMALL "expert_end=8 seed", "'seed' is no setting"},
    {SMALL "expert_end=8 hidden=100000000", "hidden: '100000000'"},
    {SMALL "expert_end=8 profile=mine", "profile: 'mine'"},
    {SMALL "expert_end=8 token_begin=13", "token_end: before"},
    {SMALL "expert_end=8 hidden=40 dispatch=nvfp4", "no whole blocks"},
    {SMALL "expert_end=8 weights=i32", "weights: i32, expected a format"},
    {SMALL "expert_end=8 output=fp8_1x128", "output: fp8_1x128, expected"},
};

enum {
    WRONG = sizeof(wrong) / sizeof(wrong[0])
};

START_TEST(a_wrong_setting_is_refused_by_name)
{
    ck_assert_ptr_null(moeref_case_new(wrong[_i].settings));
    if (strstr(moeref_error(), wrong[_i].told) == NULL) {
        ck_abort_msg("'%s' does not say '%s'", moeref_error(), wrong[_i].told);
    }
}
END_TEST

START_TEST(what_is_no_tensor_of_the_case_is_refused)
{
    static const char *const name = "combine";
    moeref_case_t *c = new_case(SMALL "expert_end=3");
    moeref_tensor_t t = tensor(c, "combine");
    char text[TEXT];

    ck_assert_int_eq(moeref_case_tensor(c, "gemm3_out", &t),
                     MOEREF_ERR_ARGUMENT);
    ck_assert_int_ne(moeref_case_tensor(c, "output", &t), MOEREF_OK);
    ck_assert_int_ne(moeref_case_tensor(c, "expert_in.abs", &t), MOEREF_OK);
    t.rows = 3; /* of 12 */
    t.dtype = "bf16";
    ck_assert_int_eq(moeref_case_check(c, &name, &t, 1, text, sizeof(text)),
                     MOEREF_ERR_ARGUMENT);
    t.dtype = "e4m3";
    ck_assert_int_eq(moeref_case_check(c, &name, &t, 1, text, sizeof(text)),
                     MOEREF_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(moeref_error(), "combine"));
    moeref_case_free(c);
    moeref_case_free(NULL);
}
END_TEST

static const char *const mistakes[] = {
#define MOE_FAULT(id, name, places, text) name,
#include "ref/fault.def"
#undef MOE_FAULT
};

enum {
    MISTAKES = sizeof(mistakes) / sizeof(mistakes[0])
};

/* A mistake told by another's name. */
static bool names_another(const char *text, const char *mistake)
{
    char line[TEXT];

    (void)snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
    if (strstr(line, mistake) != NULL ||
        strstr(line, "no known mistake") != NULL) {
        return false;
    }
    for (int i = 0; i < MISTAKES; i++) {
        if (strstr(line, mistakes[i]) != NULL) {
            return true;
        }
    }
    return false;
}

/* Each mistake that is made in what check is given fails it, and is called
 * by no other name; or it means nothing here, and check says so. */
START_TEST(an_injected_mistake_is_found_and_named)
{
    static const char *const given[] = {"topk_ids",  "topk_weights", "dispatch",
                                        "gemm1_out", "act_out",      "gemm2_in",
                                        "gemm2_out", "combine"};
    moeref_tensor_t t[8];
    char text[TEXT] = "";
    char settings[400];
    moeref_case_t *c;
    moeref_status_t status;

    (void)snprintf(settings, sizeof(settings),
                   SMALL "expert_end=8 dispatch=nvfp4 n_group=4 topk_group=2 "
                         "token_end=16 inject=%s",
                   mistakes[_i]);
    c = new_case(settings);
    for (int i = 0; i < 8; i++) {
        t[i] = tensor(c, given[i]);
    }
    status = moeref_case_check(c, given, t, 8, text, sizeof(text));
    if (status == MOEREF_ERR_UNSUPPORTED) {
        ck_assert_ptr_nonnull(strstr(moeref_error(), mistakes[_i]));
    } else {
        ck_assert_int_eq(status, MOEREF_ERR_WRONG);
        ck_assert_msg(!names_another(text, mistakes[_i]), "%s: %s",
                      mistakes[_i], text);
    }
    if (strcmp(mistakes[_i], "nibbles-swapped") == 0 ||
        strcmp(mistakes[_i], "not-renormalised") == 0 ||
        strcmp(mistakes[_i], "gate-up-swapped") == 0 ||
        strcmp(mistakes[_i], "off-by-one-expert") == 0 ||
        strcmp(mistakes[_i], "reduced-twice") == 0) {
        ck_assert_int_eq(status, MOEREF_ERR_WRONG);
        ck_assert_ptr_nonnull(strstr(text, mistakes[_i]));
    }
    moeref_case_free(c);
}
END_TEST

/* A shared expert is the last slot of every token, with weight 1; the output
 * of a layer has it once, and a sum that has it once a rank is named so. */
START_TEST(shared_experts_are_in_every_token_once)
{
    static const char *const name = "output";
    moeref_case_t *c = new_case(SMALL "experts=10 topk=4 shared_experts=2 "
                                      "expert_end=10 dispatch=nvfp4");
    moeref_case_t *often =
        new_case(SMALL "experts=10 topk=4 shared_experts=2 expert_end=10 "
                       "dispatch=nvfp4 inject=shared-expert-per-rank");
    moeref_tensor_t ids = tensor(c, "topk_ids");
    moeref_tensor_t weights = tensor(c, "topk_weights");
    moeref_tensor_t output = tensor(c, name);
    char text[TEXT];

    for (int64_t i = 0; i < TOKENS * 4; i++) {
        const int32_t id = ((const int32_t *)ids.data)[i];
        const double w = (double)((const float *)weights.data)[i];

        ck_assert_int_eq(id >= 8, i % 4 >= 2);
        ck_assert(i % 4 < 2 || (id == 6 + i % 4 && !(w < 1.0) && !(w > 1.0)));
    }
    ck_assert_int_eq(moeref_case_check(c, &name, &output, 1, text, TEXT),
                     MOEREF_OK);
    ck_assert_int_eq(moeref_case_check(often, &name, &output, 1, text, TEXT),
                     MOEREF_ERR_WRONG);
    ck_assert_ptr_eq(strstr(text, "output: wrong: shared-expert-per-rank"),
                     text);
    moeref_case_free(c);
    moeref_case_free(often);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("case");
    TCase *tests = tcase_create("case");

    tcase_add_loop_test(tests, every_place_is_judged_good_as_it_is, 0, PLACES);
    tcase_add_test(tests, a_wrong_element_is_found_where_it_is);
    tcase_add_test(tests, sums_of_the_ranks_are_the_output);
    tcase_add_loop_test(tests, weights_and_rows_give_the_products, 0, 2);
    tcase_add_loop_test(tests, the_output_alone_is_judged_for_every_operand, 0,
                        OPERANDS);
    tcase_add_loop_test(tests, a_wrong_setting_is_refused_by_name, 0, WRONG);
    tcase_add_test(tests, what_is_no_tensor_of_the_case_is_refused);
    tcase_add_test(tests, shared_experts_are_in_every_token_once);
    tcase_add_loop_test(tests, an_injected_mistake_is_found_and_named, 0,
                        MISTAKES);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
