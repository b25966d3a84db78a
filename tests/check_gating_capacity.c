/* SPDX-License-Identifier: Apache-2.0 */
/* DeepSpeed's published cases (tests/unit/v1/moe/test_moe.py), and what its
 * three gates promise. */
#include "config.h"

#include "ref/gating_capacity.h"
#include "ref/permute_forms.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <math.h>
#include <string.h>

enum {
    S = 24,
    E = 6,
    K = 3
};

static int32_t ids[S * K];
static int64_t location[S * K];
static float weights[S * K];
static int64_t counts[E];
static moe_gated_t gated = {
    .ids = ids, .location = location, .weights = weights, .counts = counts};

static const float published[16] = {.11f, .2f, .1f, .3f, .3f, .4f,  .11f, .1f,
                                    .11f, .1f, .6f, .5f, .1f, .11f, .7f,  .8f};

static moe_status_t gate(const moe_gating_t *g, const float *logits, int64_t s,
                         int64_t e)
{
    moe_ref_stats_t stats = {0, 0, 0};

    return moe_ref_gate(g, logits, s, e, &gated, &stats);
}

/* True if the published (token, expert, row) triples are what was kept. */
static bool is_kept(const int (*triple)[3], int n, int s, int k)
{
    int kept = 0;

    for (int i = 0; i < s * k; i++) {
        bool known = false;

        for (int t = 0; ids[i] >= 0 && t < n; t++) {
            known = known || (triple[t][0] == i / k && triple[t][1] == ids[i] &&
                              triple[t][2] == location[i]);
        }
        kept += ids[i] >= 0;
        if (ids[i] >= 0 && !known) {
            return false;
        }
    }
    return kept == n;
}

START_TEST(topk_gives_deepspeeds_published_masks)
{
    static const int probs[][3] = {{0, 1, 0}, {1, 0, 0}, {1, 1, 1}, {2, 2, 0},
                                   {2, 3, 0}, {3, 2, 1}, {3, 3, 1}};
    static const int position[][3] = {{0, 1, 0}, {0, 3, 0}, {1, 0, 0},
                                      {1, 1, 1}, {2, 2, 0}, {2, 3, 1},
                                      {3, 2, 1}};
    moe_gating_t g = {.kind = MOE_GATE_topk,
                      .drop = MOE_DROP_probs,
                      .topk = 2,
                      .capacity_factor = 1.0,
                      .min_capacity = 1};

    ck_assert_int_eq(gate(&g, published, 4, 4), MOE_OK);
    ck_assert_int_eq(gated.capacity, 2);
    ck_assert(is_kept(probs, 7, 4, 2));
    ck_assert_double_eq_tol((double)gated.aux_loss, 1.0334199, 1e-7);
    ck_assert_double_eq((double)weights[1], 1.0); /* slot 0 was dropped */
    g.drop = MOE_DROP_position;
    ck_assert_int_eq(gate(&g, published, 4, 4), MOE_OK);
    ck_assert(is_kept(position, 7, 4, 2));
    ck_assert_double_eq_tol((double)gated.aux_loss, 1.0334199, 1e-7);
    ck_assert_int_eq(ids[0], 3);
    ck_assert_double_eq_tol((double)weights[0], 0.524979, 5e-7);
    ck_assert_double_eq_tol((double)weights[1], 0.475021, 5e-7);
    ck_assert_int_eq(ids[6], -1);
    ck_assert_double_eq((double)weights[7], 1.0);
    g.drop = MOE_DROP_none; /* expert 3 has three tokens */
    ck_assert_int_eq(gate(&g, published, 4, 4), MOE_OK);
    ck_assert_int_eq(gated.capacity, 3);
    ck_assert_int_eq(counts[3], 3);
    g.agreed = 4;
    ck_assert_int_eq(gate(&g, published, 4, 4), MOE_OK);
    ck_assert_int_eq(gated.capacity, 4);
}
END_TEST

/* Uniform scores, balanced choices: the loss is 1 for each gate. */
START_TEST(balanced_tokens_have_loss_one)
{
    float logits[E * E];
    moe_gating_t g = {.kind = (moe_gate_kind_t)_i,
                      .drop = MOE_DROP_position,
                      .topk = _i == MOE_GATE_topk ? K : _i + 1,
                      .capacity_factor = 1.0,
                      .min_capacity = 1};

    for (int i = 0; i < E * E; i++) { /* 2^-20: as good as uniform */
        logits[i] = i / E == i % E ? 0x1p-20f : 0.0f;
    }
    ck_assert_int_eq(gate(&g, logits, E, E), MOE_OK);
    if (_i != MOE_GATE_topk) { /* there ties choose the lower experts */
        ck_assert_double_eq_tol((double)gated.aux_loss, 1.0, 1e-5);
    }
    ck_assert_int_eq(gated.capacity, g.topk);
}
END_TEST

/* Second choices come after all first ones of an expert. */
START_TEST(top2_places_first_choices_first)
{
    static const float logits[] = {3, 4, 0, 3, 4, 0, 4, 3, 0};
    moe_gating_t g = {.kind = MOE_GATE_top2,
                      .drop = MOE_DROP_position,
                      .topk = 2,
                      .capacity_factor = 1.0,
                      .min_capacity = 1};

    ck_assert_int_eq(gate(&g, logits, 3, 3), MOE_OK);
    ck_assert_int_eq(gated.capacity, 2);
    ck_assert_int_eq(ids[0], 1);
    ck_assert_int_eq(location[0], 0);
    ck_assert_int_eq(ids[4], 0); /* token 2's first choice: row 0 of 0 */
    ck_assert_int_eq(location[4], 0);
    ck_assert_int_eq(location[1], 1); /* token 0's second choice behind it */
    ck_assert_int_eq(ids[3], -1);     /* token 1's is dropped */
    ck_assert_double_eq((double)weights[2], 1.0);
}
END_TEST

/* Counts, rows and weights for random logits, every gate and policy. */
START_TEST(rows_are_dense_and_counts_are_those_before_dropping)
{
    static float logits[S * E], random[S * E];
    uint64_t state = 1 + (uint64_t)_i;
    moe_gating_t g = {.kind = (moe_gate_kind_t)(_i / 3),
                      .drop = (moe_drop_t)(_i % 3),
                      .topk = _i / 3 == MOE_GATE_topk ? K : _i / 3 + 1,
                      .capacity_factor = 0.5,
                      .min_capacity = 2,
                      .random = random};
    int64_t pairs = 0;

    for (int i = 0; i < S * E; i++) {
        logits[i] = (float)judge_number(&state, 6, -2, 1);
        random[i] = (float)(judge_random(&state) >> 40) * 0x1p-24f;
    }
    if (g.kind == MOE_GATE_top2 && g.drop == MOE_DROP_probs) {
        ck_assert_int_eq(gate(&g, logits, S, E), MOE_ERR_RANGE);
        moe_error_clear();
        return;
    }
    ck_assert_int_eq(gate(&g, logits, S, E), MOE_OK);
    for (int32_t e = 0; e < E; e++) {
        int64_t rows = 0, sum = 0;

        for (int i = 0; i < S * g.topk; i++) {
            rows += ids[i] == e;
            sum += ids[i] == e ? location[i] : 0;
            ck_assert((ids[i] < 0) == (location[i] < 0));
            ck_assert((ids[i] < 0) == !(weights[i] > 0.0f));
        }
        ck_assert_int_eq(sum, rows * (rows - 1) / 2);
        ck_assert_int_eq(rows, g.drop == MOE_DROP_none      ? counts[e]
                               : counts[e] < gated.capacity ? counts[e]
                                                            : gated.capacity);
        pairs += counts[e];
    }
    ck_assert_int_eq(pairs, S * g.topk);
}
END_TEST

START_TEST(settings_out_of_range_are_refused)
{
    float logits[4] = {0, 1, 2, NAN};
    moe_gating_t g = {.kind = MOE_GATE_top1,
                      .drop = MOE_DROP_position,
                      .topk = 1,
                      .capacity_factor = 1.0,
                      .min_capacity = 1};

    ck_assert_int_eq(gate(&g, logits, 1, 3), MOE_OK);
    ck_assert_int_eq(gate(&g, logits, 1, 4), MOE_ERR_RANGE);
    g.drop = MOE_DROP_probs;
    ck_assert_int_eq(gate(&g, logits, 1, 3), MOE_ERR_RANGE);
    g.topk = 2;
    ck_assert_int_eq(gate(&g, logits, 1, 3), MOE_ERR_RANGE);
    moe_error_clear();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gating_capacity");
    TCase *tests = tcase_create("gating");

    tcase_add_test(tests, topk_gives_deepspeeds_published_masks);
    tcase_add_loop_test(tests, balanced_tokens_have_loss_one, 0, 3);
    tcase_add_test(tests, top2_places_first_choices_first);
    tcase_add_loop_test(
        tests, rows_are_dense_and_counts_are_those_before_dropping, 0, 9);
    tcase_add_test(tests, settings_out_of_range_are_refused);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
