/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/scenario/option_use.def says where options do nothing: of every method,
 * beside any two words of its other options, an option is listed there if it
 * changes nothing that can be seen although it does elsewhere, and is not if it
 * changes something.
 */
#include "tests/support.h"

#include "sim/methods/registry.h"
#include "sim/scenario/parts.h"
#include "tests/layers.h"

#include <stdio.h>
#include <string.h>

enum {
    RANKS = 16, /* that every library is built for */
    TOKENS = 12,
    SEEN = 4, /* ranks that are looked at */
    WORDS_MAX = 64,
    WORD_MAX = 32,
    TOPK_MAX = 2
};

/* All that an option may change of what a method makes of a layer. */
typedef struct {
    bool runs;
    moe_contract_t contract;
    bool rule[3];
    int64_t bin[SEEN];
    int64_t payload[SEEN][MOE_STAGE_COUNT];
} seen_t;

/* A value of an option. */
typedef struct {
    int place;
    char text[WORD_MAX];
} word_t;

typedef struct {
    const moe_method_t *method;
    moe_test_layer_t layer;
    word_t word[WORDS_MAX]; /* of its choices */
    int n_words;
    bool useful[MOE_OPTIONS_MAX]; /* the option does something somewhere */
} method_t;

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
    for (f.rank = 0; s.runs && f.rank < SEEN; f.rank++) {
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
           memcmp(a->rule, b->rule, sizeof(a->rule)) == 0 &&
           memcmp(a->bin, b->bin, sizeof(a->bin)) == 0 &&
           memcmp(a->payload, b->payload, sizeof(a->payload)) == 0;
}

/* Words of an option, or numbers to try. */
static void words_of(const moe_option_t *option, char out[MOE_OPTION_TEXT])
{
    (void)snprintf(out, MOE_OPTION_TEXT, "%s",
                   option->kind == MOE_OPTION_bool ? "false true"
                   : option->choices != NULL       ? option->choices
                                                   : "0.25 3 9 200");
}

/* Whether another value of an option is seen. */
static bool does_something(const method_t *m, const moe_method_use_t *plain,
                           int place)
{
    const moe_option_t *option = &m->method->options[place];
    const seen_t want = see(&m->layer, plain);
    char words[MOE_OPTION_TEXT];
    char *rest = NULL;
    bool does = false;

    words_of(option, words);
    for (char *w = strtok_r(words, " ", &rest); w != NULL && !does;
         w = strtok_r(NULL, " ", &rest)) {
        moe_method_use_t use = *plain;

        if (moe_option_set(m->method, option->key, w, use.options, NULL)) {
            const seen_t got = see(&m->layer, &use);

            does = !same(&want, &got);
        }
    }
    return does;
}

static void check_option(method_t *m, const moe_method_use_t *use, int place,
                         bool verdict)
{
    const char *key = m->method->options[place].key;
    const bool does = does_something(m, use, place);
    const bool listed = moe_option_idle(&m->layer.layer, use, key) != NULL;

    if (!verdict) {
        m->useful[place] = m->useful[place] || does;
        return;
    }
    ck_assert_msg(!(does && listed), "is listed: %s %s, k %d, %s", use->label,
                  key, m->layer.model.topk, m->method->name);
    ck_assert_msg(does || listed || !m->useful[place] ||
                      !moe_test_runs(&m->layer.layer, use),
                  "is not listed: %s %s, k %d, %s", use->label, key,
                  m->layer.model.topk, m->method->name);
}

/* All options beside two words. */
static void check_beside(method_t *m, const word_t *a, const word_t *b,
                         bool verdict)
{
    const moe_option_t *options = m->method->options;
    moe_method_use_t use = moe_test_use(m->method, &m->layer.layer,
                                        options[a->place].key, a->text);

    ck_assert(moe_option_set(m->method, options[b->place].key, b->text,
                             use.options, NULL));
    (void)snprintf(use.label, sizeof(use.label), "%.20s %.20s:", a->text,
                   b->text);
    for (int i = 0; options[i].key != NULL; i++) {
        if (i != a->place && i != b->place) {
            check_option(m, &use, i, verdict);
        }
    }
}

static void collect_words(method_t *m)
{
    const moe_option_t *options = m->method->options;
    char words[MOE_OPTION_TEXT];
    char *rest = NULL;

    for (int i = 0; options[i].key != NULL; i++) {
        if (options[i].kind != MOE_OPTION_choice) {
            continue;
        }
        words_of(&options[i], words);
        for (char *w = strtok_r(words, " ", &rest); w != NULL;
             w = strtok_r(NULL, " ", &rest)) {
            ck_assert_int_lt(m->n_words, WORDS_MAX);
            m->word[m->n_words].place = i;
            (void)snprintf(m->word[m->n_words++].text, WORD_MAX, "%s", w);
        }
    }
}

static void check_method(method_t *m, bool verdict)
{
    for (int i = 0; i < m->n_words; i++) {
        for (int j = i; j < m->n_words; j++) {
            if (j == i || m->word[j].place != m->word[i].place) {
                check_beside(m, &m->word[i], &m->word[j], verdict);
            }
        }
    }
}

START_TEST(an_option_is_listed_where_it_does_nothing)
{
    moe_model_t model = moe_test_deepseek();

    for (model.topk = 1; model.topk <= TOPK_MAX; model.topk++) {
        method_t m = {.method = moe_method_get(_i)};

        moe_test_layer_init(&m.layer, &model, RANKS, MOE_TOKENS_equal, TOKENS);
        m.layer.layer.data = MOE_DATA_grid; /* no gate asks for its weights */
        collect_words(&m);
        check_method(&m, false);
        check_method(&m, true);
        moe_test_layer_fini(&m.layer);
    }
}
END_TEST

static const struct {
    const char *method;
    const char *option;
    const char *by;
} rows[] = {
#define MOE_OPTION_USE(method, option, by, words, gate) {#method, #option, #by},
#include "sim/scenario/option_use.def"
#undef MOE_OPTION_USE
};

/* A row of a method, option or word that there is not would say nothing. */
START_TEST(a_row_names_what_there_is)
{
    const moe_method_t *m = moe_method_find(rows[_i].method);
    int place;

    ck_assert(m != NULL && moe_option_find(m, rows[_i].option, &place));
    ck_assert(moe_option_find(m, rows[_i].by, &place));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("option_use");
    TCase *tcase = tcase_create("rows");

    tcase_add_loop_test(tcase, an_option_is_listed_where_it_does_nothing, 0,
                        moe_method_count());
    tcase_add_loop_test(tcase, a_row_names_what_there_is, 0,
                        (int)(sizeof(rows) / sizeof(rows[0])));
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
