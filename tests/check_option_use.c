/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/scenario/option_use.def says where options do nothing: it names what
 * there is, is right about it, and is not needlessly strict.
 */
#include "tests/support.h"

#include "sim/methods/registry.h"
#include "tests/layers.h"

#include <stdio.h>
#include <string.h>

enum {
    RANKS = 4
};

static const struct {
    const char *method;
    const char *option;
    const char *by;
    const char *words;
    int topk;
} rows[] = {
#define MOE_OPTION_USE(method, option, by, words, topk)                        \
    {#method, #option, #by, words, topk},
#include "sim/scenario/option_use.def"
#undef MOE_OPTION_USE
};

#define ROWS ((int)(sizeof(rows) / sizeof(rows[0])))

/* All that an option may change of what a method makes of a layer. */
typedef struct {
    bool runs;
    moe_contract_t contract;
    bool rule[3];
    int64_t bin[RANKS];
    int64_t payload[RANKS][MOE_STAGE_COUNT];
} seen_t;

static seen_t see(const moe_test_layer_t *t, const moe_method_use_t *use)
{
    const moe_method_t *m = use->method;
    moe_formula_t f = {
        .layer = &t->layer, .options = use->options, .routing = &t->routing};
    moe_gate_rule_t rule;
    seen_t s;

    memset(&s, 0, sizeof(s));
    s.runs = moe_test_runs(&t->layer, use);
    s.contract = moe_method_contract(m, t->layer.model, use->options);
    if (moe_method_gate(&t->layer, use, &rule)) {
        s.rule[0] = rule.choices_first;
        s.rule[1] = rule.first_loss;
        s.rule[2] = rule.renormalize;
    }
    for (f.rank = 0; s.runs && f.rank < RANKS; f.rank++) {
        s.bin[f.rank] = moe_method_bin(&t->layer, use, f.rank);
        m->payload(&f, s.payload[f.rank]);
    }
    return s;
}

static bool same(const seen_t *a, const seen_t *b)
{
    return a->runs == b->runs && a->contract.points == b->contract.points &&
           a->contract.sum == b->contract.sum &&
           a->contract.reduce == b->contract.reduce &&
           a->contract.weigh == b->contract.weigh &&
           a->contract.weighs_sums == b->contract.weighs_sums &&
           memcmp(a->rule, b->rule, sizeof(a->rule)) == 0 &&
           memcmp(a->bin, b->bin, sizeof(a->bin)) == 0 &&
           memcmp(a->payload, b->payload, sizeof(a->payload)) == 0;
}

/* Whether another value of the row's option than its default is seen. */
static bool does_something(const moe_test_layer_t *t, int row,
                           const char *by_word)
{
    static const char numbers[] = "0.25 3 9";
    const moe_method_t *m = moe_method_find(rows[row].method);
    const moe_method_use_t plain =
        moe_test_use(m, &t->layer, rows[row].by, by_word);
    const seen_t want = see(t, &plain);
    char words[128];
    int place;
    bool does = false;

    ck_assert(moe_option_find(m, rows[row].option, &place));
    (void)snprintf(words, sizeof(words), "%s",
                   m->options[place].choices != NULL ? m->options[place].choices
                                                     : numbers);
    for (char *w = strtok(words, " "); w != NULL; w = strtok(NULL, " ")) {
        moe_method_use_t use = plain;

        if (moe_option_set(m, rows[row].option, w, use.options, NULL)) {
            const seen_t got = see(t, &use);

            does = does || !same(&want, &got);
        }
    }
    return does;
}

static bool is_listed(const char *words, const char *word)
{
    char padded[128];
    char wanted[64];

    (void)snprintf(padded, sizeof(padded), " %s ", words);
    (void)snprintf(wanted, sizeof(wanted), " %s ", word);
    return strstr(padded, wanted) != NULL;
}

START_TEST(an_option_does_nothing_but_beside_the_words_that_are_listed)
{
    const moe_method_t *m = moe_method_find(rows[_i].method);
    moe_model_t model = moe_test_small();
    moe_test_layer_t t;
    char choices[128];
    char *rest = NULL;
    int listed = 0;
    int used = 0;
    int by;

    model.topk = rows[_i].topk > 2 ? rows[_i].topk : 2;
    model.renormalize = true;
    moe_test_layer_init(&t, &model, RANKS, MOE_TOKENS_equal, 12);
    ck_assert(m != NULL && moe_option_find(m, rows[_i].by, &by));
    (void)snprintf(choices, sizeof(choices), "%s", m->options[by].choices);
    for (char *w = strtok_r(choices, " ", &rest); w != NULL;
         w = strtok_r(NULL, " ", &rest)) {
        const bool does = does_something(&t, _i, w);

        listed += is_listed(rows[_i].words, w);
        used += does;
        ck_assert_msg(!does || is_listed(rows[_i].words, w), "%s: %s beside %s",
                      m->name, rows[_i].option, w);
    }
    ck_assert_int_gt(listed, 0);
    ck_assert_int_gt(used, 0);
    moe_test_layer_fini(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("option_use");
    TCase *tcase = tcase_create("rows");

    tcase_add_loop_test(
        tcase, an_option_does_nothing_but_beside_the_words_that_are_listed, 0,
        ROWS);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
