/* SPDX-License-Identifier: Apache-2.0 */
/* A rank makes only its own tokens and its own experts' weights: what it has
 * of others came through MPI. tests/draw_probe.h sees what is made. */
#include "config.h"

#include "tests/mpi_support.h"

#include "ref/grid.h"
#include "sim/methods/registry.h"
#include "sim/scenario/schema.h"
#include "tests/draw_probe.h"
#include "tests/layers.h"
#include "tests/rank_setup.h"

#include <stdlib.h>
#include <string.h>

/* --- one layer -------------------------------------------------------------
 */

typedef struct {
    rank_setup_t rank;
    moe_range_t experts; /* own */
    int64_t own_rows;    /* (token, slot) pairs of all ranks for them */
} setup_t;

static void check_no_weights_but(const char *what, moe_range_t experts)
{
    ck_assert_int_eq(draw_probe.n_unknown, 0);
    for (int w = 0; w < DRAW_PROBE_WEIGHTS; w++) {
        for (int64_t e = 0; e < DRAW_PROBE_EXPERTS; e++) {
            bool own = e >= experts.begin && e < experts.end;

            ck_assert_msg(
                own || draw_probe.n_weight[w][e] + draw_probe.n_bias[w][e] == 0,
                "%s: rank %d, experts %d to %d, drew those of %d", what,
                test_rank, (int)experts.begin, (int)experts.end - 1, (int)e);
        }
    }
}

/* The inputs are made as a run makes them: own tokens, once, no weights. */
static void check_inputs(const moe_layer_t *layer)
{
    moe_range_t own =
        moe_layer_tokens(layer, moe_layout_dp_rank(&layer->layout, test_rank));

    ck_assert_int_eq(draw_probe.n_hidden, own.end - own.begin);
    if (draw_probe.n_hidden > 0) {
        ck_assert_int_eq(draw_probe.first, own.begin);
        ck_assert_int_eq(draw_probe.end, own.end);
    }
    check_no_weights_but("inputs", (moe_range_t){0, 0});
}

/* What is drawn, by whom: one layer's changes to the tutorial's. */
typedef struct {
    const char *tokens;
    const char *intermediate;
    const char *numerics;
    const char *data;
    const char *weights; /* and rows that they are multiplied by */
    const char *expert_bias;
} case_t;

/* The intermediate size: whole tiles in each rank's part of tp_allreduce. */
static void setup(setup_t *s, const case_t *about)
{
    const moe_change_t changes[] = {{"methods", "[allgatherv]"},
                                    {"model.hidden", "128"},
                                    {"model.intermediate", about->intermediate},
                                    {"workload.tokens", about->tokens},
                                    {"numerics", about->numerics},
                                    {"workload.data", about->data},
                                    {"precision.weights", about->weights},
                                    {"precision.expert_in", about->weights},
                                    {"precision.gemm2_in", about->weights},
                                    {"model.expert_bias", about->expert_bias}};
    const moe_layer_t *layer;

    draw_probe_clear();
    rank_setup_inputs(&s->rank, changes, sizeof(changes) / sizeof(changes[0]));
    layer = &s->rank.scenario->layer;
    ck_assert_int_le(layer->model->experts, DRAW_PROBE_EXPERTS);
    s->experts = moe_layout_experts(
        &layer->layout, layer->model->experts,
        moe_layout_group_index(&layer->layout, MOE_GROUP_ep, test_rank));
    check_inputs(layer);
    rank_setup_backend(&s->rank);
    s->own_rows = moe_routing_pairs(
        &s->rank.routing, (moe_range_t){0, moe_layer_total_tokens(layer)},
        s->experts);
}

/* --- methods ---------------------------------------------------------------
 */

/* A method that lays the layer in its own way holds other experts, here all,
 * with the rows of all tokens. */
static moe_range_t experts_of(const setup_t *s, const moe_method_use_t *use,
                              int64_t *rows)
{
    const moe_layer_t *layer = &s->rank.scenario->layer;

    if (use->tokens == NULL) {
        *rows = s->own_rows;
        return s->experts;
    }
    ck_assert_int_eq(use->layout.ep, 1);
    *rows = moe_layer_total_tokens(layer) * layer->model->topk;
    return (moe_range_t){0, layer->model->experts};
}

/* Experts compute the empty slots of a capacity too, if it has any. */
static bool fills_slots(const setup_t *s, const moe_method_use_t *use)
{
    const moe_layer_t *layer = &s->rank.scenario->layer;

    return use->method->gate != NULL &&
           (moe_method_drops(layer, use) || moe_layer_total_tokens(layer) > 0);
}

/* Own experts with rows take part, so the probe is seen to work; but not in a
 * method that computes nothing. */
static void check_drawn(const setup_t *s, const moe_method_use_t *use)
{
    const moe_model_t *model = s->rank.scenario->layer.model;
    const bool computes = moe_contract_computes(&use->method->contract);
    const char *label = use->label;
    int64_t rows;
    const moe_range_t experts = experts_of(s, use, &rows);
    const bool draws = computes && (rows > 0 || fills_slots(s, use));

    ck_assert_msg(draw_probe.n_hidden == 0, "%s: rank %d made %d tokens", label,
                  test_rank, (int)draw_probe.n_hidden);
    check_no_weights_but(label, experts);
    for (int w = 0; w < DRAW_PROBE_WEIGHTS; w++) {
        /* parts of an expert add its second bias once */
        const bool adds_bias =
            model->expert_bias &&
            (w == MOE_W13 || use->tokens == NULL || test_rank == 0);
        int64_t n = 0;
        int64_t biases = 0;

        for (int64_t e = experts.begin; e < experts.end; e++) {
            n += draw_probe.n_weight[w][e];
            biases += draw_probe.n_bias[w][e];
        }
        ck_assert_msg((n > 0) == draws && (biases > 0) == (draws && adds_bias),
                      "%s: rank %d has %d rows and drew %d weights, %d biases",
                      label, test_rank, (int)rows, (int)n, (int)biases);
    }
}

static void run_use(const setup_t *s, const moe_method_use_t *use)
{
    uint16_t *hidden = rank_setup_hidden(&s->rank, use);

    draw_probe_clear();
    rank_setup_run(&s->rank, use, hidden, NULL);
    check_drawn(s, use);
    free(hidden);
}

/* Defaults, then every value of every option, one at a time. */
static void run_method(const setup_t *s, const moe_method_t *method,
                       bool options)
{
    const moe_layer_t *layer = &s->rank.scenario->layer;
    moe_method_use_t use = moe_test_use(method, layer, NULL, NULL);

    if (moe_grid_chain_refuses(layer->data, layer->model, &use.chain) != NULL) {
        ck_assert_str_eq(method->name, "fused_mc2"); /* int8 rows alone */
        return;
    }
    run_use(s, &use);
    for (const moe_option_t *o = method->options; o->key != NULL; o++) {
        char word[64];

        for (int i = 0; options && o->choices != NULL &&
                        moe_words_get(o->choices, i, word, sizeof(word));
             i++) {
            use = moe_test_use(method, layer, o->key, word);
            if (moe_test_runs(layer, &use)) {
                run_use(s, &use);
            }
        }
    }
}

static void run_methods(const case_t *about, bool options)
{
    setup_t s;

    setup(&s, about);
    for (int m = 0; m < moe_method_count(); m++) {
        run_method(&s, moe_method_get(m), options);
    }
    rank_setup_free(&s.rank);
}

static const case_t counts[] = {
    {"[5, 3, 0, 8]", "256", "exact", "normal", "nvfp4", "false"},
    {"[5, 3, 0, 8]", "256", "faithful", "normal", "nvfp4", "false"},
    {"[0, 1, 0, 0]", "256", "exact", "normal", "nvfp4", "false"},
    {"[0, 0, 0, 0]", "256", "exact", "normal", "nvfp4", "false"},
};

START_TEST(no_method_makes_tokens_or_weights_of_other_ranks)
{
    run_methods(&counts[_i], _i < 2); /* options where all ranks compute */
}
END_TEST

START_TEST(so_it_is_with_weights_of_every_format_and_biases)
{
    const moe_key_t *key = moe_schema_find(MOE_SECTION_precision, "weights");
    int n = 0;
    char word[64];

    for (; moe_words_get(key->words, n, word, sizeof(word)); n++) {
        const case_t about = {"[1, 0, 0, 2]", "512",
                              "faithful",     "normal",
                              word,           n % 2 == 0 ? "true" : "false"};

        run_methods(&about, false);
    }
    ck_assert_int_ge(n, 2);
}
END_TEST

START_TEST(so_it_is_with_data_of_every_other_kind)
{
    static const char *const weights[] = {"nvfp4", "bf16"};

    for (int d = MOE_DATA_normal + 1; d < MOE_DATA_COUNT; d++) {
        for (int w = 0; w < 2; w++) {
            const case_t about = {"[1, 0, 0, 2]",
                                  "512",
                                  w == 0 ? "exact" : "faithful",
                                  moe_data_name((moe_data_t)d),
                                  weights[w],
                                  "false"};

            run_methods(&about, false);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("own_inputs");
    TCase *tc = tcase_create("methods");

    tcase_add_loop_test(tc, no_method_makes_tokens_or_weights_of_other_ranks, 0,
                        (int)(sizeof(counts) / sizeof(counts[0])));
    tcase_add_test(tc, so_it_is_with_weights_of_every_format_and_biases);
    tcase_add_test(tc, so_it_is_with_data_of_every_other_kind);
    suite_add_tcase(suite, tc);
    return moe_mpi_suite_main(suite);
}
