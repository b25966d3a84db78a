/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The workloads W0..W7 of Megatron-LM#7488, by counts.
 */
#include "tests/support.h"

#include "moe/layout.h"
#include "moe/workload.h"

#include <stdlib.h>
#include <string.h>

enum {
    EXPERTS = 64,
    TOKENS = 4096,
    SEED = 9
};

static const moe_model_t models[] = {
    {.experts = 24, .topk = 4, .n_group = 1, .topk_group = 1},
    {.experts = 64, .topk = 2, .n_group = 1, .topk_group = 1},
    {.experts = 256, .topk = 8, .n_group = 8, .topk_group = 4},
    {.experts = 32, .topk = 6, .n_group = 8, .topk_group = 3},
    {.experts = 64,
     .topk = 8,
     .n_group = 8,
     .topk_group = 8,
     .group_limit = MOE_GROUP_LIMIT_each},
};

enum {
    MODELS = sizeof(models) / sizeof(models[0])
};

static moe_routing_t draw(const moe_model_t *m, moe_sampler_kind_t kind,
                          uint64_t seed, int64_t step, int64_t first, int64_t n)
{
    const moe_sampler_t s = {.kind = kind, .step = step};
    moe_routing_t r = {0};

    ck_assert_int_eq(moe_routing_sample(m, &s, seed, first, n, &r), MOE_OK);
    return r;
}

/* Rows of each expert of TOKENS tokens of the plain model of 64 experts. */
static void count(moe_sampler_kind_t kind, int64_t step, int64_t first,
                  int64_t n, int64_t *rows)
{
    moe_routing_t r = draw(&models[1], kind, SEED, step, first, n);

    memset(rows, 0, EXPERTS * sizeof(*rows));
    moe_routing_count(&r, first, first + n, rows);
    moe_routing_fini(&r);
}

static int64_t sum(const int64_t *rows, int from, int n)
{
    int64_t all = 0;

    for (int e = from; e < from + n; e++) {
        all += rows[e];
    }
    return all;
}

/* Largest less smallest of the rows that ranks get. */
static int64_t rank_spread(const moe_routing_t *r, int64_t experts, int ranks)
{
    const moe_layout_t layout = {.dp = ranks, .tp = 1, .ep = ranks, .node = 1};
    const moe_range_t tokens = {r->first, r->first + r->n};
    int64_t least = INT64_MAX;
    int64_t most = 0;

    for (int i = 0; i < ranks; i++) {
        int64_t pairs = moe_routing_pairs(
            r, tokens, moe_layout_experts(&layout, experts, i));

        least = pairs < least ? pairs : least;
        most = pairs > most ? pairs : most;
    }
    return most - least;
}

/* Each rank's rows, of each source's tokens too: no rank begins with the
 * experts that another begins with, which would leave some idle. */
START_TEST(balanced_is_balanced_by_the_count_of_every_rank)
{
    const moe_model_t *m = &models[_i];
    moe_routing_t r =
        draw(m, MOE_SAMPLER_W0_balanced, SEED, 3, 0, m->experts * 5);
    int64_t *rows = calloc((size_t)m->experts, sizeof(*rows));

    moe_routing_count(&r, 0, r.n, rows);
    for (int64_t e = 0; e < m->experts; e++) {
        ck_assert_int_eq(rows[e], 5 * m->topk);
    }
    for (int ranks = 2; ranks <= 8; ranks *= 2) {
        ck_assert_int_eq(rank_spread(&r, m->experts, ranks), 0);
    }
    moe_routing_fini(&r);
    free(rows);
}
END_TEST

/* Any stretch of tokens: what one rank of many sends, a small batch. */
START_TEST(balanced_stretches_are_nearly_so)
{
    const moe_model_t *m = &models[_i];

    for (int64_t first = 0; first < 200; first += 37) {
        for (int64_t n = 1; n < 100; n += 13) {
            moe_routing_t r =
                draw(m, MOE_SAMPLER_W0_balanced, SEED, 0, first, n);
            int64_t *rows = calloc((size_t)m->experts, sizeof(*rows));
            int64_t visit = (m->topk + m->topk_group - 1) / m->topk_group;
            int64_t least = INT64_MAX;
            int64_t most = 0;

            moe_routing_count(&r, first, first + n, rows);
            for (int64_t e = 0; e < m->experts; e++) {
                least = rows[e] < least ? rows[e] : least;
                most = rows[e] > most ? rows[e] : most;
            }
            ck_assert_int_le(most - least, m->n_group > 1 ? 2 : 1);
            ck_assert_int_le(rank_spread(&r, m->experts, 8), 2 * visit + 2);
            free(rows);
            moe_routing_fini(&r);
        }
    }
}
END_TEST

static void expect_half(int64_t hot, int64_t all)
{
    ck_assert_int_gt(hot * 100, all * 42);
    ck_assert_int_lt(hot * 100, all * 55);
}

START_TEST(a_hot_eighth_draws_about_half_of_all_rows)
{
    int64_t rows[EXPERTS];
    int64_t spread = 0;
    int64_t hot = 0;
    int64_t n_hot = 0;

    count(MOE_SAMPLER_W2_hot_rank, 0, 0, TOKENS, rows);
    expect_half(sum(rows, 0, 8), 2 * TOKENS);
    count(MOE_SAMPLER_W3_spread_hot_experts, 0, 0, TOKENS, rows);
    for (int e = 0; e < EXPERTS; e += 8) {
        spread += rows[e];
        ck_assert_int_lt(sum(rows, e, 8), 2 * TOKENS / 6);
    }
    expect_half(spread, 2 * TOKENS);
    count(MOE_SAMPLER_W1_hot_expert_set, 0, 0, TOKENS, rows);
    for (int e = 0; e < EXPERTS; e++) {
        if (rows[e] > 2 * (2 * TOKENS / EXPERTS)) {
            hot += rows[e];
            n_hot++;
        }
    }
    ck_assert_int_eq(n_hot, 8);
    expect_half(hot, 2 * TOKENS);
}
END_TEST

START_TEST(each_stretch_of_tokens_has_a_hot_eighth_of_its_own)
{
    int64_t rows[EXPERTS];

    for (int i = 0; i < 16; i++) {
        count(MOE_SAMPLER_W4_source_ragged, 0, i * MOE_WORKLOAD_STRETCH,
              MOE_WORKLOAD_STRETCH, rows);
        ck_assert_int_gt(sum(rows, i % 8 * 8, 8), 40);
    }
    count(MOE_SAMPLER_W4_source_ragged, 0, 0, TOKENS, rows);
    for (int e = 0; e < EXPERTS; e += 8) {
        ck_assert_int_gt(sum(rows, e, 8), 900);
        ck_assert_int_lt(sum(rows, e, 8), 1150);
    }
}
END_TEST

START_TEST(an_idle_rank_and_idle_experts_get_no_row_at_all)
{
    int64_t rows[EXPERTS];

    count(MOE_SAMPLER_W5_zero_expert_rank, 0, 0, TOKENS, rows);
    ck_assert_int_eq(sum(rows, 56, 8), 0);
    for (int e = 0; e < 56; e++) {
        ck_assert_int_eq(rows[e] == 0, e % 8 == 7);
    }
}
END_TEST

START_TEST(a_hot_spot_rotates_with_the_step)
{
    int64_t rows[EXPERTS];

    for (int step = 0; step < 20; step++) {
        count(MOE_SAMPLER_W6_rotating_hotspot, step, 0, TOKENS, rows);
        expect_half(sum(rows, step % 8 * 8, 8), 2 * TOKENS);
    }
}
END_TEST

START_TEST(a_burst_comes_every_eighth_step)
{
    int64_t rows[EXPERTS];

    for (int step = 0; step < 17; step++) {
        count(MOE_SAMPLER_W7_burst, step, 0, TOKENS, rows);
        if (step % 8 == 7) {
            expect_half(sum(rows, 0, 8), 2 * TOKENS);
        } else {
            ck_assert_int_eq(sum(rows, 0, 8), TOKENS / 4);
        }
    }
}
END_TEST

START_TEST(seed_and_step_make_another_routing_and_nothing_else_does)
{
    const moe_sampler_kind_t kind =
        (moe_sampler_kind_t)(MOE_SAMPLER_W0_balanced + _i);
    const moe_model_t *m = &models[1];
    const size_t size = 200 * (size_t)m->topk * sizeof(int32_t);
    moe_routing_t a = draw(m, kind, SEED, 15, 0, 200);
    moe_routing_t same = draw(m, kind, SEED, 15, 0, 200);
    moe_routing_t seed = draw(m, kind, SEED + 1, 15, 0, 200);
    moe_routing_t step = draw(m, kind, SEED, 16, 0, 200);

    ck_assert_mem_eq(a.ids, same.ids, size);
    ck_assert_mem_ne(a.ids, seed.ids, size);
    ck_assert_mem_ne(a.ids, step.ids, size);
    moe_routing_fini(&a);
    moe_routing_fini(&same);
    moe_routing_fini(&seed);
    moe_routing_fini(&step);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("workload");
    TCase *tcase = tcase_create("counts");

    tcase_add_loop_test(tcase, balanced_is_balanced_by_the_count_of_every_rank,
                        0, MODELS);
    tcase_add_loop_test(tcase, balanced_stretches_are_nearly_so, 0, MODELS);
    tcase_add_test(tcase, a_hot_eighth_draws_about_half_of_all_rows);
    tcase_add_test(tcase, each_stretch_of_tokens_has_a_hot_eighth_of_its_own);
    tcase_add_test(tcase, an_idle_rank_and_idle_experts_get_no_row_at_all);
    tcase_add_test(tcase, a_hot_spot_rotates_with_the_step);
    tcase_add_test(tcase, a_burst_comes_every_eighth_step);
    tcase_add_loop_test(
        tcase, seed_and_step_make_another_routing_and_nothing_else_does, 0,
        MOE_SAMPLER_W7_burst - MOE_SAMPLER_W0_balanced + 1);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
