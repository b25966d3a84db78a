/* SPDX-License-Identifier: Apache-2.0 */
/* A rank makes only its own tokens and its own experts' weights: what it has
 * of others came through MPI. The linker (--wrap) puts a probe before each
 * function that makes rows of either. */
#include "config.h"

#include "tests/mpi_support.h"

#include "moe/fill.h"
#include "sim/methods/registry.h"
#include "sim/run_inputs.h"
#include "tests/layers.h"
#include "tests/scenarios.h"

#include <stdlib.h>
#include <string.h>

enum {
    EXPERTS_MAX = 64,
    WEIGHTS = 2 /* MOE_W13, MOE_W2 */
};

/* What this rank has drawn since it was last cleared. */
static struct {
    int64_t n_hidden; /* rows of hidden states */
    int64_t first;    /* lowest token of them, and one beyond the highest */
    int64_t end;
    int64_t n_unknown; /* pieces of a weight or an expert that is none */
    int64_t n_weight[WEIGHTS][EXPERTS_MAX]; /* pieces */
} drawn;

static void note_weight(moe_weight_t weight, int64_t expert)
{
    if ((int)weight >= WEIGHTS || expert < 0 || expert >= EXPERTS_MAX) {
        drawn.n_unknown++;
        return;
    }
    drawn.n_weight[weight][expert]++;
}

/* __real_x is x itself, __wrap_x what other files call for x. */
#define PROBED(x) __typeof__(x) __real_##x, __wrap_##x

PROBED(moe_fill_hidden);
PROBED(moe_fill_weight_codes);
PROBED(moe_fill_weight_scales);
PROBED(moe_fill_panel_codes);
PROBED(moe_fill_panel_scales);

void __wrap_moe_fill_hidden(uint64_t seed, int64_t hidden, int64_t first,
                            int64_t n, uint16_t *out)
{
    if (n > 0) {
        bool none = drawn.n_hidden == 0;

        drawn.first = none || first < drawn.first ? first : drawn.first;
        drawn.end = none || first + n > drawn.end ? first + n : drawn.end;
        drawn.n_hidden += n;
    }
    __real_moe_fill_hidden(seed, hidden, first, n, out);
}

void __wrap_moe_fill_weight_codes(uint64_t seed, moe_weight_t weight,
                                  int64_t expert, int64_t row, int64_t rows,
                                  int64_t col, int64_t cols, uint8_t *out)
{
    note_weight(weight, expert);
    __real_moe_fill_weight_codes(seed, weight, expert, row, rows, col, cols,
                                 out);
}

void __wrap_moe_fill_weight_scales(uint64_t seed, moe_weight_t weight,
                                   int64_t expert, int64_t row, int64_t rows,
                                   int64_t block, int64_t blocks, uint8_t *out)
{
    note_weight(weight, expert);
    __real_moe_fill_weight_scales(seed, weight, expert, row, rows, block,
                                  blocks, out);
}

void __wrap_moe_fill_panel_codes(uint64_t seed, moe_weight_t weight,
                                 int64_t expert, int64_t row, int64_t col,
                                 int64_t cols, uint8_t *out)
{
    note_weight(weight, expert);
    __real_moe_fill_panel_codes(seed, weight, expert, row, col, cols, out);
}

void __wrap_moe_fill_panel_scales(uint64_t seed, moe_weight_t weight,
                                  int64_t expert, int64_t row, int64_t block,
                                  int64_t blocks, uint8_t *out)
{
    note_weight(weight, expert);
    __real_moe_fill_panel_scales(seed, weight, expert, row, block, blocks, out);
}

/* --- one layer -------------------------------------------------------------
 */

typedef struct {
    moe_scenario_t *scenario;
    moe_inputs_t inputs;
    moe_agreement_t *agreement;
    moe_ledger_t *ledger;
    moe_backend_t *backend;
    moe_range_t experts; /* own */
    int64_t own_rows;    /* (token, slot) pairs of all ranks for them */
} setup_t;

static void clear_drawn(void)
{
    memset(&drawn, 0, sizeof(drawn));
}

static void check_no_weights_but(const char *what, moe_range_t experts)
{
    ck_assert_int_eq(drawn.n_unknown, 0);
    for (int w = 0; w < WEIGHTS; w++) {
        for (int64_t e = 0; e < EXPERTS_MAX; e++) {
            bool own = e >= experts.begin && e < experts.end;

            ck_assert_msg(own || drawn.n_weight[w][e] == 0,
                          "%s: rank %d, experts %d to %d, drew those of %d",
                          what, test_rank, (int)experts.begin,
                          (int)experts.end - 1, (int)e);
        }
    }
}

/* The inputs are made as a run makes them: own tokens, once, no weights. */
static void make_inputs(setup_t *s)
{
    const moe_layer_t *layer = &s->scenario->layer;
    moe_range_t own =
        moe_layer_tokens(layer, moe_layout_dp_rank(&layer->layout, test_rank));

    clear_drawn();
    ck_assert_int_eq(moe_inputs_make(s->scenario, test_rank, &s->inputs),
                     MOE_OK);
    ck_assert_int_eq(drawn.n_hidden, own.end - own.begin);
    if (drawn.n_hidden > 0) {
        ck_assert_int_eq(drawn.first, own.begin);
        ck_assert_int_eq(drawn.end, own.end);
    }
    check_no_weights_but("inputs", (moe_range_t){0, 0});
}

/* Every rank counts where its tokens go. */
static int64_t rows_for(const setup_t *s)
{
    int64_t counts[EXPERTS_MAX] = {0};
    const moe_range_t *own = &s->inputs.own;
    moe_blob_t *all = NULL;
    int64_t sum = 0;

    moe_routing_count(&s->inputs.routing, own->begin, own->end, counts);
    ck_assert_int_eq(moe_world_share(test_world, counts, sizeof(counts), &all),
                     MOE_OK);
    for (int r = 0; r < test_ranks; r++) {
        memcpy(counts, all[r].data, sizeof(counts));
        for (int64_t e = s->experts.begin; e < s->experts.end; e++) {
            sum += counts[e];
        }
    }
    moe_blobs_free(all);
    return sum;
}

static void make_backend(setup_t *s)
{
    const moe_layer_t *layer = &s->scenario->layer;
    moe_ref_inputs_t in = {.world = test_world,
                           .layer = layer,
                           .routing = &s->inputs.routing,
                           .hidden = s->inputs.hidden,
                           .router = s->inputs.router,
                           .bias = s->inputs.bias};

    ck_assert_int_eq(moe_world_set_layout(test_world, &layer->layout), MOE_OK);
    ck_assert_int_eq(moe_agreement_create(test_world, true, &s->agreement),
                     MOE_OK);
    ck_assert_int_eq(moe_ledger_create(test_rank, &s->ledger), MOE_OK);
    in.agreement = s->agreement;
    in.ledger = s->ledger;
    ck_assert_int_eq(moe_ref_backend_create(&in, &s->backend), MOE_OK);
}

static void setup(setup_t *s, const char *tokens, const char *numerics)
{
    const moe_change_t changes[] = {{"workload.tokens", tokens},
                                    {"numerics", numerics}};
    const moe_layer_t *layer;

    memset(s, 0, sizeof(*s));
    s->scenario =
        moe_load_good(moe_test_source("scenarios/tutorial/first.yaml"), changes,
                      2, test_ranks);
    layer = &s->scenario->layer;
    ck_assert_int_le(layer->model->experts, EXPERTS_MAX);
    s->experts = moe_layout_experts(
        &layer->layout, layer->model->experts,
        moe_layout_group_index(&layer->layout, MOE_GROUP_ep, test_rank));
    make_inputs(s);
    s->own_rows = rows_for(s);
    make_backend(s);
}

static void teardown(setup_t *s)
{
    moe_ref_backend_free(s->backend);
    moe_ledger_free(s->ledger);
    moe_agreement_free(s->agreement);
    moe_inputs_fini(&s->inputs);
    moe_scenario_free(s->scenario);
}

/* --- methods ---------------------------------------------------------------
 */

/* Own experts with rows take part, so the probe is seen to work; but not in a
 * method that computes nothing. */
static void check_drawn(const setup_t *s, const moe_method_use_t *use)
{
    const bool computes = use->method->contract.weigh != MOE_WEIGH_nowhere;
    const char *label = use->label;
    int64_t n[WEIGHTS] = {0};

    ck_assert_msg(drawn.n_hidden == 0, "%s: rank %d made %d tokens", label,
                  test_rank, (int)drawn.n_hidden);
    check_no_weights_but(label, s->experts);
    for (int w = 0; w < WEIGHTS; w++) {
        for (int64_t e = s->experts.begin; e < s->experts.end; e++) {
            n[w] += drawn.n_weight[w][e];
        }
        ck_assert_msg((n[w] > 0) == (computes && s->own_rows > 0),
                      "%s: rank %d has %d rows and drew %d weights", label,
                      test_rank, (int)s->own_rows, (int)n[w]);
    }
}

/* False if the method refuses the layer. */
static bool run_use(setup_t *s, const moe_method_use_t *use)
{
    const moe_layer_t *layer = &s->scenario->layer;
    const moe_layer_t own = moe_method_layer(layer, use);
    const moe_method_t *method = use->method;
    moe_run_t run = {.layer = layer,
                     .use = use,
                     .rank = test_rank,
                     .routing = &s->inputs.routing,
                     .backend = s->backend,
                     .stages = ~0U};
    moe_status_t status;

    if (method->check != NULL && method->check(&own, use->options) != NULL) {
        return false;
    }
    clear_drawn();
    status = moe_ref_backend_begin(s->backend, use);
    if (status == MOE_OK) {
        status = moe_run_method(&run);
    }
    ck_assert_msg(status == MOE_OK, "%s: %s", use->label, moe_error_text());
    check_drawn(s, use);
    return true;
}

/* Defaults, then every value of every option, one at a time. */
static bool run_method(setup_t *s, const moe_method_t *method)
{
    const moe_layer_t *layer = &s->scenario->layer;
    moe_method_use_t use = moe_test_use(method, layer, NULL, NULL);
    bool ran = run_use(s, &use);

    for (const moe_option_t *o = method->options; o->key != NULL; o++) {
        char words[256];

        if (o->choices == NULL) {
            continue;
        }
        ck_assert_uint_lt(strlen(o->choices), sizeof(words));
        strcpy(words, o->choices);
        for (char *rest = words, *word = strtok_r(rest, " ", &rest);
             word != NULL; word = strtok_r(NULL, " ", &rest)) {
            use = moe_test_use(method, layer, o->key, word);
            ran = run_use(s, &use) || ran;
        }
    }
    return ran;
}

static const struct {
    const char *tokens;
    const char *numerics;
} cases[] = {
    {"[5, 3, 0, 8]", "exact"},
    {"[5, 3, 0, 8]", "faithful"},
    {"[0, 1, 0, 0]", "exact"},
    {"[0, 0, 0, 0]", "exact"},
};

START_TEST(no_method_makes_tokens_or_weights_of_other_ranks)
{
    int n_ran = 0;
    setup_t s;

    setup(&s, cases[_i].tokens, cases[_i].numerics);
    for (int m = 0; m < moe_method_count(); m++) {
        const moe_method_t *method = moe_method_get(m);

        if (run_method(&s, method)) {
            n_ran++;
        } else if (test_rank == 0) {
            printf("%s refuses this layer\n", method->name);
        }
    }
    ck_assert_int_ge(n_ran, 2);
    teardown(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("own_inputs");
    TCase *tc = tcase_create("methods");

    tcase_add_loop_test(tc, no_method_makes_tokens_or_weights_of_other_ranks, 0,
                        (int)(sizeof(cases) / sizeof(cases[0])));
    suite_add_tcase(suite, tc);
    return moe_mpi_suite_main(suite);
}
