/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "moe/layer.h"
#include "moe/routing.h"

#include <string.h>

enum {
    TOKENS = 300
};

static moe_model_t grouped(void)
{
    moe_model_t m = {.experts = 32,
                     .topk = 6,
                     .n_group = 8,
                     .topk_group = 3,
                     .routed_scaling = 2.5f};

    return m;
}

static moe_sampler_t sampler(int kind)
{
    moe_sampler_t s = {.kind = (moe_sampler_kind_t)kind, .s = 1.2};

    return s;
}

START_TEST(sampled_experts_are_distinct_and_within_the_groups)
{
    moe_model_t m = grouped();
    moe_sampler_t s = sampler(_i);
    moe_routing_t r = {0};

    ck_assert_int_eq(moe_routing_sample(&m, &s, 11, 0, TOKENS, &r), MOE_OK);
    for (int t = 0; t < TOKENS; t++) {
        uint32_t experts = 0;
        uint32_t groups = 0;

        for (int i = 0; i < m.topk; i++) {
            int32_t e = r.ids[t * m.topk + i];

            ck_assert(e >= 0 && e < m.experts);
            ck_assert_uint_eq(experts >> e & 1, 0);
            experts |= 1u << e;
            groups |= 1u << (e / 4);
        }
        ck_assert_int_le(__builtin_popcount(groups), m.topk_group);
    }
    moe_routing_fini(&r);
}
END_TEST

START_TEST(a_token_is_sampled_alike_in_any_cut)
{
    moe_model_t m = grouped();
    moe_sampler_t s = sampler(_i);
    moe_routing_t all = {0};
    moe_routing_t part = {0};

    ck_assert_int_eq(moe_routing_sample(&m, &s, 5, 0, TOKENS, &all), MOE_OK);
    ck_assert_int_eq(moe_routing_sample(&m, &s, 5, 100, 50, &part), MOE_OK);
    ck_assert_mem_eq(part.ids, all.ids + 100 * m.topk,
                     50 * (size_t)m.topk * sizeof(*part.ids));
    moe_routing_fini(&all);
    moe_routing_fini(&part);
}
END_TEST

static void count(const moe_model_t *m, int kind, int64_t *counts)
{
    moe_sampler_t s = sampler(kind);
    moe_routing_t r = {0};

    ck_assert_int_eq(moe_routing_sample(m, &s, 1, 0, 4000, &r), MOE_OK);
    moe_routing_count(&r, 0, 4000, counts);
    moe_routing_fini(&r);
}

START_TEST(distributions_do_what_their_names_say)
{
    moe_model_t m = {.experts = 16, .topk = 2, .n_group = 1, .topk_group = 1};
    int64_t uniform[16] = {0};
    int64_t zipf[16] = {0};
    int64_t one[16] = {0};
    int64_t skip[16] = {0};
    int64_t most = 0;

    count(&m, MOE_SAMPLER_uniform, uniform);
    count(&m, MOE_SAMPLER_zipf, zipf);
    count(&m, MOE_SAMPLER_one_expert, one);
    count(&m, MOE_SAMPLER_skip_expert, skip);
    for (int e = 0; e < 16; e++) {
        ck_assert(uniform[e] > 400 && uniform[e] < 600);
        most = zipf[e] > most ? zipf[e] : most;
    }
    ck_assert_int_gt(most, 2000);
    ck_assert_int_eq(one[0], 4000);
    ck_assert_int_eq(skip[15], 0);
}
END_TEST

START_TEST(too_few_experts_are_an_error_and_no_hang)
{
    moe_model_t m = {.experts = 8, .topk = 8, .n_group = 1, .topk_group = 1};
    moe_sampler_t s = sampler(MOE_SAMPLER_skip_expert);
    moe_routing_t r = {0};

    ck_assert_int_eq(moe_routing_sample(&m, &s, 1, 0, 3, &r), MOE_ERR_RANGE);
    moe_error_clear();
}
END_TEST

START_TEST(a_steep_zipf_ends)
{
    moe_model_t m = grouped();
    moe_sampler_t s = {.kind = MOE_SAMPLER_zipf, .s = 60.0};
    moe_routing_t r = {0};

    ck_assert_int_eq(moe_routing_sample(&m, &s, 1, 0, TOKENS, &r), MOE_OK);
    moe_routing_fini(&r);
}
END_TEST

/* In one pass what the questions by range say; nothing beside it. */
START_TEST(tokens_and_pairs_of_each_rank_are_those_of_its_experts)
{
    const moe_model_t m = {
        .experts = 10, .topk = 3, .n_group = 1, .topk_group = 1};
    const moe_sampler_t s = {.kind = MOE_SAMPLER_uniform};
    const moe_layout_t l = {.dp = _i, .tp = 1, .ep = _i, .node = _i};
    const moe_range_t tokens = {3, 40};
    enum {
        STRIDE = 12
    };
    int64_t out[8 * STRIDE];
    moe_routing_t r = {0};

    memset(out, 0x55, sizeof(out));
    ck_assert_int_eq(moe_routing_sample(&m, &s, 1, 0, 50, &r), MOE_OK);
    moe_routing_spread(&r, tokens, &l, m.experts, STRIDE, out);
    for (int j = 0; j < l.ep; j++) {
        const moe_range_t e = moe_layout_experts(&l, m.experts, j);
        const int64_t *of = out + j * STRIDE;

        ck_assert_int_eq(of[0], moe_routing_touching(&r, tokens, e));
        for (int64_t i = e.begin; i < e.end; i++) {
            ck_assert_int_eq(
                of[1 + i - e.begin],
                moe_routing_pairs(&r, tokens, (moe_range_t){i, i + 1}));
        }
        ck_assert_int_eq(of[1 + e.end - e.begin], 0x5555555555555555);
    }
    moe_routing_fini(&r);
}
END_TEST

START_TEST(parts_cover_a_total_once_longer_first)
{
    for (int64_t total = 0; total < 20; total++) {
        for (int n = 1; n < 9; n++) {
            int64_t at = 0;

            for (int i = 0; i < n; i++) {
                moe_range_t r = moe_layout_part(total, n, i);

                ck_assert_int_eq(r.begin, at);
                ck_assert_int_eq(r.end - r.begin, total / n + (i < total % n));
                at = r.end;
            }
            ck_assert_int_eq(at, total);
        }
    }
}
END_TEST

static void check_group(const moe_layout_t *l, moe_group_t group)
{
    for (int rank = 0; rank < moe_layout_world(l); rank++) {
        int n = moe_layout_group_size(l, group, rank);
        int me = moe_layout_group_index(l, group, rank);

        ck_assert(me >= 0 && me < n);
        ck_assert_int_eq(moe_layout_group_member(l, group, rank, me), rank);
        for (int i = 0; i < n; i++) {
            int other = moe_layout_group_member(l, group, rank, i);

            ck_assert_int_eq(moe_layout_group_size(l, group, other), n);
            ck_assert_int_eq(moe_layout_group_index(l, group, other), i);
        }
    }
}

START_TEST(members_of_a_group_agree_on_it)
{
    const moe_layout_t layouts[] = {
        {1, 1, 1, 1}, {8, 1, 8, 8}, {4, 2, 8, 4}, {2, 4, 2, 8}, {6, 1, 3, 2},
    };

    for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
        check_group(&layouts[i], (moe_group_t)_i);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("routing");
    TCase *t = tcase_create("routing");

    tcase_add_loop_test(t, sampled_experts_are_distinct_and_within_the_groups,
                        0, MOE_SAMPLER_COUNT);
    tcase_add_loop_test(t, a_token_is_sampled_alike_in_any_cut, 0,
                        MOE_SAMPLER_COUNT);
    tcase_add_test(t, distributions_do_what_their_names_say);
    tcase_add_test(t, too_few_experts_are_an_error_and_no_hang);
    tcase_add_test(t, a_steep_zipf_ends);
    tcase_add_loop_test(
        t, tokens_and_pairs_of_each_rank_are_those_of_its_experts, 1, 9);
    tcase_add_test(t, parts_cover_a_total_once_longer_first);
    tcase_add_loop_test(t, members_of_a_group_agree_on_it, 0, MOE_GROUP_COUNT);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return moe_suite_main(suite());
}
