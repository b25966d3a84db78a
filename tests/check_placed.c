/* SPDX-License-Identifier: Apache-2.0 */
/* Experts in the slots of ranks: lists, EPLB through a layer, which replica a
 * token takes. */
#include "config.h"

#include "moe/placed.h"
#include "tests/support.h"

#include <string.h>

enum {
    EXPERTS = 12,
    REDUNDANT = 4,
    SLOTS = EXPERTS + REDUNDANT,
    RANKS = 8,
    TOKENS = 2048
};

static const int64_t tokens[RANKS] = {256, 0, 512, 256, 256, 256, 512, 0};

typedef struct {
    moe_model_t model;
    moe_model_t slots;
    moe_layer_t layer;
    moe_routing_t routing; /* by experts */
} case_t;

/* Ranks in two nodes, zipf routing. */
static void start(case_t *c, moe_placing_t place)
{
    const moe_sampler_t zipf = {.kind = MOE_SAMPLER_zipf, .s = 1.1};

    memset(c, 0, sizeof(*c));
    c->model = (moe_model_t){.experts = EXPERTS,
                             .topk = 3,
                             .n_group = 4,
                             .topk_group = 4,
                             .routed_scaling = 1.0f};
    c->slots = moe_placed_model(&c->model, &place);
    c->layer = (moe_layer_t){.model = &c->slots,
                             .layout = {RANKS, 1, RANKS, RANKS / 2},
                             .tokens = tokens,
                             .place = place};
    ck_assert_int_eq(
        moe_routing_sample(&c->model, &zipf, 3, 0, TOKENS, &c->routing),
        MOE_OK);
}

static void end(case_t *c, moe_placed_t *placed)
{
    moe_placed_fini(placed);
    moe_routing_fini(&c->routing);
}

START_TEST(lists_lie_in_order_or_in_turn)
{
    static const int32_t turn[SLOTS] = {0, 8, 1, 9, 2, 10, 3, 11,
                                        4, 0, 5, 1, 6, 2,  7, 3};
    const moe_placing_t place = {.kind = _i == 0 ? MOE_PLACING_linear
                                                 : MOE_PLACING_round_robin,
                                 .redundant = REDUNDANT};
    moe_placed_t placed;
    case_t c;

    start(&c, place);
    ck_assert(moe_layer_is_placed(&c.layer));
    ck_assert_int_eq(moe_model_choices(c.layer.model), EXPERTS);
    ck_assert_int_eq(moe_layer_place(&c.layer, &c.routing, &placed), MOE_OK);
    c.layer.placed = &placed;
    for (int64_t p = 0; p < SLOTS; p++) {
        ck_assert_int_eq(moe_layer_expert(&c.layer, p),
                         _i == 0 ? p % EXPERTS : turn[p]);
    }
    end(&c, &placed);
}
END_TEST

START_TEST(a_layer_is_placed_again_by_what_its_slots_hold)
{
    const moe_placing_t place = {
        .kind = _i, .redundant = REDUNDANT, .replica = MOE_REPLICA_round_robin};
    int32_t holds[SLOTS];
    moe_placed_t placed;
    moe_placed_t again;
    case_t c;

    start(&c, place);
    ck_assert_int_eq(moe_layer_place(&c.layer, &c.routing, &placed), MOE_OK);
    memcpy(holds, placed.map.logical_of, sizeof(holds));
    ck_assert_int_eq(moe_layer_place_as(&c.layer, holds, &again), MOE_OK);
    for (int64_t i = 0; i < (int64_t)TOKENS * 3; i++) {
        ck_assert_int_eq(moe_placed_slot(&again, i / 3, c.routing.ids[i]),
                         moe_placed_slot(&placed, i / 3, c.routing.ids[i]));
    }
    moe_placed_fini(&again);
    for (int p = 0; p < SLOTS; p++) {
        holds[p] = holds[p] == 0 ? 1 : holds[p]; /* nobody has expert 0 */
    }
    ck_assert_int_eq(moe_layer_place_as(&c.layer, holds, &again),
                     MOE_ERR_RANGE);
    moe_error_clear();
    end(&c, &placed);
}
END_TEST

/* Its README: 16 slots of 12 experts in 4 groups, 2 nodes, 8 GPUs. */
START_TEST(eplbs_published_layer_comes_out_of_a_layer)
{
    static const double load[EXPERTS] = {90, 132, 40, 61, 104, 165,
                                         39, 4,   73, 56, 183, 86};
    static const int32_t want[SLOTS] = {5,  6, 5,  7, 8, 4, 3,  4,
                                        10, 9, 10, 2, 0, 1, 11, 1};
    moe_placed_t placed;
    case_t c;

    start(&c, (moe_placing_t){.kind = MOE_PLACING_eplb,
                              .redundant = REDUNDANT,
                              .load = load});
    ck_assert_int_eq(moe_layer_place(&c.layer, &c.routing, &placed), MOE_OK);
    ck_assert_mem_eq(placed.map.logical_of, want, sizeof(want));
    end(&c, &placed);
}
END_TEST

/* Dp rank of a token, by adding up. */
static int source_of(int64_t token)
{
    int r = 0;

    for (int64_t end = tokens[0]; token >= end; end += tokens[++r]) {
    }
    return r;
}

START_TEST(a_slot_holds_what_the_token_chose_and_is_the_policys)
{
    const moe_placing_t place = {
        .kind = MOE_PLACING_eplb, .redundant = REDUNDANT, .replica = _i};
    int32_t chosen[TOKENS * 3];
    moe_placed_t placed;
    case_t c;

    start(&c, place);
    memcpy(chosen, c.routing.ids, sizeof(chosen));
    ck_assert_int_eq(moe_layer_place(&c.layer, &c.routing, &placed), MOE_OK);
    moe_placed_route(&placed, &c.routing);
    for (int64_t i = 0; i < (int64_t)TOKENS * 3; i++) {
        const moe_placement_t *map = &placed.map;
        const int32_t e = chosen[i];
        const int64_t turn = _i == MOE_REPLICA_source        ? source_of(i / 3)
                             : _i == MOE_REPLICA_round_robin ? i / 3
                                                             : 0;

        ck_assert_int_eq(map->logical_of[c.routing.ids[i]], e);
        ck_assert_int_eq(
            c.routing.ids[i],
            map->physical_of[e * map->most + turn % map->replicas[e]]);
    }
    for (int s = 0; s < 3; s++) {
        const int64_t first = s * placed.map.most; /* pads choose 0, 1, 2 */

        ck_assert_int_eq(c.routing.pad_ids[s], placed.map.physical_of[first]);
    }
    end(&c, &placed);
}
END_TEST

/* Rows of the fullest rank. */
static int64_t fullest(const case_t *c)
{
    int64_t most = 0;

    for (int r = 0; r < RANKS; r++) {
        const moe_range_t all = {0, TOKENS};
        const int64_t n = moe_routing_pairs(
            &c->routing, all,
            moe_layout_experts(&c->layer.layout, c->layer.model->experts, r));

        most = n > most ? n : most;
    }
    return most;
}

START_TEST(eplb_betters_the_fullest_rank_of_a_zipf_routing)
{
    const moe_placing_t linear = {.redundant = REDUNDANT};
    const moe_placing_t eplb = {.kind = MOE_PLACING_eplb,
                                .redundant = REDUNDANT,
                                .replica = MOE_REPLICA_round_robin};
    const int64_t mean = TOKENS * 3 / RANKS;
    int64_t before;
    case_t c;

    start(&c, linear);
    ck_assert_int_eq(moe_routing_place(&c.layer, &c.routing), MOE_OK);
    before = fullest(&c);
    moe_routing_fini(&c.routing);
    start(&c, eplb);
    ck_assert_int_eq(moe_routing_place(&c.layer, &c.routing), MOE_OK);
    ck_assert_int_lt(2 * (fullest(&c) - mean), before - mean);
    moe_routing_fini(&c.routing);
}
END_TEST

/* What vLLM calls expert_map: -1 is no index. */
START_TEST(a_ranks_expert_map_has_minus_one_for_slots_of_others)
{
    int32_t ids[SLOTS];
    int32_t map[SLOTS];
    moe_placed_t placed;
    case_t c;

    start(&c, (moe_placing_t){.redundant = REDUNDANT});
    ck_assert_int_eq(moe_layer_place(&c.layer, &c.routing, &placed), MOE_OK);
    for (int r = 0; r < RANKS; r++) {
        moe_placed_expert_map(&placed, 2 * r, 2, map);
        for (int32_t p = 0; p < SLOTS; p++) {
            ids[p] = p;
        }
        ck_assert_int_eq(moe_expert_map_apply(map, SLOTS, 2, SLOTS, ids),
                         MOE_OK);
        for (int p = 0; p < SLOTS; p++) {
            ck_assert_int_eq(ids[p], p / 2 == r ? p % 2 : -1);
        }
    }
    end(&c, &placed);
}
END_TEST

START_TEST(lists_that_leave_an_expert_out_are_refused)
{
    static const moe_placement_shape_t shape = {3, 4, 1, 1, 1};
    static const int32_t without[] = {0, 0, 1, 1};
    static const int32_t beyond[] = {0, 1, 2, 3};
    moe_placement_t p;

    ck_assert_int_eq(moe_placement_from(&shape, without, &p), MOE_ERR_RANGE);
    ck_assert_int_eq(moe_placement_from(&shape, beyond, &p), MOE_ERR_RANGE);
    moe_error_clear();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("placed");
    TCase *tests = tcase_create("placed");

    tcase_add_loop_test(tests, lists_lie_in_order_or_in_turn, 0, 2);
    tcase_add_loop_test(tests, a_layer_is_placed_again_by_what_its_slots_hold,
                        0, MOE_PLACING_COUNT);
    tcase_add_test(tests, eplbs_published_layer_comes_out_of_a_layer);
    tcase_add_loop_test(tests,
                        a_slot_holds_what_the_token_chose_and_is_the_policys, 0,
                        MOE_REPLICA_COUNT);
    tcase_add_test(tests, eplb_betters_the_fullest_rank_of_a_zipf_routing);
    tcase_add_test(tests, a_ranks_expert_map_has_minus_one_for_slots_of_others);
    tcase_add_test(tests, lists_that_leave_an_expert_out_are_refused);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
