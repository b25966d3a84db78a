/* SPDX-License-Identifier: Apache-2.0 */
/* Routing 16 tokens at once against routing each by itself, which
 * tests/check_route.c judges: ids and weights to the bit. */
#include "config.h"

#include "ref/elements.h"
#include "ref/route.h"
#include "ref/route_fast.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXPERTS_MAX = 384,
    ROWS = 77, /* not a multiple of 16 */
    SLOTS_MAX = 9
};

static float logits[ROWS * EXPERTS_MAX];
static float bias[EXPERTS_MAX];

static const struct {
    int experts;
    int n_group;
    int topk_group;
    int topk;
    int shared;
    bool renormalize;
    moe_group_limit_t limit;
} shapes[] = {
    {256, 8, 4, 8, 0, true, MOE_GROUP_LIMIT_top2_sum}, /* DeepSeek-V3 */
    {384, 1, 1, 8, 0, true, MOE_GROUP_LIMIT_top2_sum}, /* Kimi-K2 */
    {161, 1, 1, 9, 1, true, MOE_GROUP_LIMIT_top2_sum}, /* one shared */
    {128, 4, 2, 6, 0, false, MOE_GROUP_LIMIT_top2_sum},
    {39, 3, 1, 7, 0, true, MOE_GROUP_LIMIT_top2_sum}, /* no whole vectors */
    {64, 8, 8, 8, 0, true, MOE_GROUP_LIMIT_max},
    {16, 16, 5, 5, 0, true, MOE_GROUP_LIMIT_top2_sum}, /* groups of one */
    {8, 4, 2, 4, 0, true, MOE_GROUP_LIMIT_top2_sum},
    {1, 1, 1, 1, 0, true, MOE_GROUP_LIMIT_top2_sum},
};

static moe_model_t model_of(size_t s)
{
    return (moe_model_t){.experts = shapes[s].experts,
                         .n_group = shapes[s].n_group,
                         .topk_group = shapes[s].topk_group,
                         .topk = shapes[s].topk,
                         .shared = shapes[s].shared,
                         .renormalize = shapes[s].renormalize,
                         .group_limit = shapes[s].limit,
                         .score = MOE_SCORE_sigmoid,
                         .routed_scaling = 2.5f};
}

/* Logits that leave something open. */
typedef enum {
    RANDOM,
    COARSE,     /* many are equal */
    NEIGHBOURS, /* neighbours of one number, an ulp or two apart */
    EQUAL,
    GROUPS_ALIKE,
    EXTREME,  /* infinities, zeros of both signs, subnormals, the largest */
    FAR_DOWN, /* scores underflow */
    FAR_UP,   /* scores are 1, or a few ulps less */
    KINDS
} kind_t;

static float logit_of(kind_t kind, uint64_t *state, int64_t e, int64_t size)
{
    static const float extreme[] = {
        INFINITY, -INFINITY, 0.0f,       -0.0f,       0x1p-149f, -0x1p-149f,
        3e38f,    -3e38f,    0x1p-24f,   -103.97f,    88.7f,     17.0f,
        16.6355f, -87.3f,    -0.000001f, 0.99999994f, 40.0f,     -40.0f};
    const double x = judge_number(state, 24, -3, 1);
    const uint64_t r = (uint64_t)fabs(x * 0x1p30);

    switch (kind) {
    case COARSE:
        return (float)(rint(x * 4) / 4);
    case NEIGHBOURS:
        return moe_f32_of_bits(moe_f32_bits(0.75f) + (uint32_t)(r % 3));
    case EQUAL:
        return -0.5f;
    case GROUPS_ALIKE:
        return (float)(e % size) * 0.03125f;
    case EXTREME:
        return extreme[r % (sizeof(extreme) / sizeof(extreme[0]))];
    case FAR_DOWN:
        return -100.0f + (float)x;
    case FAR_UP:
        return 15.0f + (float)fabs(x);
    default:
        return (float)x;
    }
}

/* Biases: none, of the scores' size, of a size that swallows them, and such
 * that take the score of one logit to that of another. */
static const float *make_bias(int which, uint64_t *state)
{
    const float steps[4] = {0.0f, 0.5f, -0.25f, -0.0f};

    for (int e = 0; e < EXPERTS_MAX; e++) {
        double x = judge_number(state, 24, -3, 0);

        bias[e] = which == 1   ? (float)x
                  : which == 2 ? (float)(x * 0x1p24)
                               : steps[e % 4];
    }
    return which == 0 ? NULL : bias;
}

/* Every token by itself, and all in one call. */
static void compare_ways(const moe_model_t *m, const float *b)
{
    int32_t id[SLOTS_MAX], ids[ROWS * SLOTS_MAX];
    float weight[SLOTS_MAX], weights[ROWS * SLOTS_MAX];
    moe_ref_stats_t one = {0, 0, 0};
    moe_ref_stats_t all = {0, 0, 0};
    int64_t bad[2];

    ck_assert_int_eq(moe_ref_route(m, logits, b, ROWS, ids, weights, &all, bad),
                     MOE_OK);
    for (int r = 0; r < ROWS; r++) {
        const float *row = logits + r * m->experts;

        ck_assert_int_eq(moe_ref_route(m, row, b, 1, id, weight, &one, bad),
                         MOE_OK);
        ck_assert_mem_eq(id, ids + r * m->topk,
                         (size_t)m->topk * sizeof(id[0]));
        ck_assert_mem_eq(weight, weights + r * m->topk,
                         (size_t)m->topk * sizeof(weight[0]));
    }
    ck_assert_int_eq(one.elements, all.elements);
}

START_TEST(sixteen_tokens_at_once_are_routed_as_one_by_one)
{
    uint64_t state = 99;

    for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
        const moe_model_t m = model_of(s);
        const int64_t size = (m.experts - m.shared) / m.n_group;

        for (int64_t i = 0; i < ROWS * m.experts; i++) {
            logits[i] = logit_of((kind_t)_i, &state, i % m.experts, size);
        }
        for (int which = 0; which < 4; which++) {
            compare_ways(&m, make_bias(which, &state));
        }
    }
}
END_TEST

/* So the test above compares two ways, and a bench measures the one. */
START_TEST(few_random_tokens_are_left_to_the_plain_way)
{
    uint64_t state = 5;
    int left = 0;

    for (size_t s = 0; s < 2; s++) {
        const moe_model_t m = model_of(s);
        const float *b = make_bias(1, &state);
        moe_route_fast_t *fast = moe_route_fast_new(&m, b);
        moe_ref_stats_t stats = {0, 0, 0};
        int32_t ids[16 * 8];
        float weights[16 * 8];

        ck_assert(moe_route_fast_suits(&m));
        ck_assert_ptr_nonnull(fast);
        for (int i = 0; i < 100; i++) {
            const moe_route_block_t block = {logits, m.experts, b, 16,
                                             ids,    weights,   8};

            for (int64_t j = 0; j < 16 * m.experts; j++) {
                logits[j] = logit_of(RANDOM, &state, 0, 1);
            }
            left += __builtin_popcount(moe_route_fast(fast, &block, &stats));
        }
        moe_route_fast_free(fast);
    }
    ck_assert_int_lt(left, 3200 / 20);
}
END_TEST

/* Every 4099th fp32 number; in check-full every one. */
START_TEST(near_sigmoids_are_as_near_as_they_say)
{
    const uint64_t step = getenv("MOESIM_FULL") != NULL ? 1 : 4099;

    for (uint64_t u = 0; u < UINT64_C(1) << 32; u += step) {
        const float x = moe_f32_of_bits((uint32_t)u);
        double err;

        if (isnan(x)) {
            continue;
        }
        err = (double)moe_near_sigmoid(x) - 1.0 / (1.0 + exp(-(double)x));
        if (!(fabs(err) < MOE_NEAR_ERROR - 0x1p-25)) {
            ck_abort_msg("near sigmoid of %a is off by %a", (double)x, err);
        }
    }
}
END_TEST

START_TEST(the_first_nan_of_many_tokens_is_named)
{
    const moe_model_t m = model_of(0);
    int32_t ids[ROWS * SLOTS_MAX];
    float weights[ROWS * SLOTS_MAX];
    moe_ref_stats_t stats = {0, 0, 0};
    int64_t bad[2];

    memset(logits, 0, sizeof(logits));
    logits[70 * m.experts + 3] = NAN;
    logits[37 * m.experts + 255] = NAN;
    ck_assert_int_eq(
        moe_ref_route(&m, logits, NULL, ROWS, ids, weights, &stats, bad),
        MOE_ERR_RANGE);
    ck_assert_int_eq(bad[0], 37);
    ck_assert_int_eq(bad[1], 255);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("route_fast");
    TCase *tests = tcase_create("fast");

    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, sixteen_tokens_at_once_are_routed_as_one_by_one,
                        0, KINDS);
    tcase_add_test(tests, few_random_tokens_are_left_to_the_plain_way);
    tcase_add_test(tests, near_sigmoids_are_as_near_as_they_say);
    tcase_add_test(tests, the_first_nan_of_many_tokens_is_named);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
