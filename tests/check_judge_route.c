/* SPDX-License-Identifier: Apache-2.0 */
/* Routers whose scores saturate: what fp32 rounds decides there, and is no
 * mistake; an expert that is behind by more is one. */
#include "ref/judge.h"

#include "tests/judge.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TOKENS = 200,
    EXPERTS = 16,
    K = 4,
    BEHIND = EXPERTS - 1, /* an expert that nobody may choose */
    LOW = 5,
    HIGH = 13
};

static const moe_model_t model = {.hidden = 16,
                                  .intermediate = 16,
                                  .experts = EXPERTS,
                                  .topk = K,
                                  .n_group = 1,
                                  .topk_group = 1,
                                  .score = MOE_SCORE_sigmoid,
                                  .renormalize = true,
                                  .routed_scaling = 2.5f};

/* How somebody's kernel computes scores and choices. */
typedef enum {
    PLAIN,    /* fp32 throughout */
    BY_TANH,  /* fp32, sigmoid by tanh */
    IN_DOUBLE /* not rounded before the choice */
} router_t;

typedef struct {
    moe_ref_layer_t truth; /* of which storages are taken */
    moe_judge_t judge;
    moe_rows_t logits;
    moe_rows_t ids;
    float *bias; /* NULL without; the judge's */
} court_t;

static void rows_like(moe_ref_layer_t *truth, moe_role_t role, moe_rows_t *rows)
{
    ck_assert_int_eq(moe_ref_layer_make(truth, role), MOE_OK);
    ck_assert_int_eq(moe_ref_rows_alloc(&truth->at[role].storage,
                                        truth->at[role].rows,
                                        truth->at[role].cols, rows),
                     MOE_OK);
}

static void open_court(bool biased, court_t *court)
{
    const moe_ref_case_t about = {.model = &model,
                                  .chain = {.weights = MOE_FORMAT_bf16},
                                  .seed = 1,
                                  .tokens = {0, TOKENS},
                                  .experts = {0, EXPERTS}};

    memset(court, 0, sizeof(*court));
    ck_assert_int_eq(moe_ref_layer_init(&about, &court->truth), MOE_OK);
    rows_like(&court->truth, MOE_ROLE_logits, &court->logits);
    rows_like(&court->truth, MOE_ROLE_topk_ids, &court->ids);
    ck_assert_int_eq(
        moe_judge_init(&about, MOE_ACCUMULATOR_fp32, TOKENS, &court->judge),
        MOE_OK);
    if (biased) {
        court->bias = malloc(EXPERTS * sizeof(*court->bias));
        ck_assert_ptr_nonnull(court->bias);
        for (int e = 0; e < EXPERTS; e++) {
            court->bias[e] = 3.3f; /* choices have fewer digits than scores */
        }
        court->judge.layer.bias = court->bias;
    }
}

static void close_court(court_t *court)
{
    moe_judge_fini(&court->judge);
    moe_ref_layer_fini(&court->truth);
    moe_ref_rows_free(&court->logits);
    moe_ref_rows_free(&court->ids);
}

/* Logits a few roundings of their scores apart. */
static void draw_logits(int level, court_t *court)
{
    uint64_t state = 77;
    float *x = court->logits.codes;

    for (int i = 0; i < TOKENS * EXPERTS; i++) {
        const double u = (double)(judge_random(&state) >> 11) * 0x1p-53;

        x[i] = (float)(i % EXPERTS == BEHIND
                           ? level - 3.0
                           : level + 20.0 * u * exp(level) * 0x1p-24);
    }
}

static double choice_of(router_t router, float x, const float *bias, int e)
{
    const float add = bias != NULL ? bias[e] : 0.0f;
    float score;

    if (router == IN_DOUBLE) {
        return 1.0 / (1.0 + exp(-(double)x)) + (double)add;
    }
    score = router == PLAIN ? 1.0f / (1.0f + expf(-x))
                            : 0.5f + 0.5f * tanhf(0.5f * x);
    return (double)(score + add);
}

/* The k largest, of equal ones the last. */
static void route(router_t router, court_t *court)
{
    const float *x = court->logits.codes;
    int32_t *ids = court->ids.codes;

    for (int t = 0; t < TOKENS; t++) {
        bool taken[EXPERTS] = {false};

        for (int s = 0; s < K; s++) {
            int best = -1;

            for (int e = 0; e < EXPERTS; e++) {
                const float *row = x + t * EXPERTS;

                if (!taken[e] &&
                    (best < 0 ||
                     !(choice_of(router, row[e], court->bias, e) <
                       choice_of(router, row[best], court->bias, best)))) {
                    best = e;
                }
            }
            taken[best] = true;
            ids[t * K + s] = best;
        }
    }
}

static void judge(court_t *court)
{
    ck_assert_int_eq(
        moe_judge_trust(&court->judge, MOE_ROLE_logits, &court->logits),
        MOE_OK);
    ck_assert_int_eq(
        moe_judge_give(&court->judge, MOE_ROLE_topk_ids, &court->ids), MOE_OK);
    ck_assert_int_eq(moe_judge_run(&court->judge), MOE_OK);
}

START_TEST(what_a_saturated_score_rounds_is_a_near_tie)
{
    const router_t router = (router_t)(_i / 2);
    int64_t differ = 0;

    for (int level = LOW; level < HIGH; level++) {
        court_t court;
        const moe_verdict_t *v = &court.judge.verdict[MOE_ROLE_topk_ids];

        open_court(_i % 2 == 1, &court);
        draw_logits(level, &court);
        route(router, &court);
        judge(&court);
        ck_assert_msg(v->good && v->near_ties == v->differ,
                      "level %d: %d differ, %d near ties", level,
                      (int)v->differ, (int)v->near_ties);
        differ += v->differ;
        close_court(&court);
    }
    ck_assert_int_gt(differ, TOKENS);
}
END_TEST

START_TEST(an_expert_behind_is_an_error_at_saturated_scores_too)
{
    for (int level = LOW; level < HIGH; level++) {
        court_t court;
        const moe_verdict_t *v = &court.judge.verdict[MOE_ROLE_topk_ids];

        open_court(_i == 1, &court);
        draw_logits(level, &court);
        route(PLAIN, &court);
        ((int32_t *)court.ids.codes)[57 * K + 2] = BEHIND;
        judge(&court);
        ck_assert(!v->good);
        ck_assert_int_ge(v->beyond[MOE_WIDTH_likely], 1);
        ck_assert_int_le(v->beyond[MOE_WIDTH_likely], K);
        ck_assert_int_eq(v->worst.token, 57);
        close_court(&court);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("judge_route");
    TCase *tests = tcase_create("judge_route");

    tcase_add_loop_test(tests, what_a_saturated_score_rounds_is_a_near_tie, 0,
                        6);
    tcase_add_loop_test(
        tests, an_expert_behind_is_an_error_at_saturated_scores_too, 0, 2);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
