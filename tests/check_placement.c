/* SPDX-License-Identifier: Apache-2.0 */
/* EPLB's published vectors (its README), and what a placement must hold. */
#include "config.h"

#include "moe/placement.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <string.h>

START_TEST(eplbs_published_layers_come_out)
{
    static const double load[2][12] = {
        {90, 132, 40, 61, 104, 165, 39, 4, 73, 56, 183, 86},
        {20, 107, 104, 64, 19, 197, 187, 157, 172, 86, 16, 27}};
    static const int32_t want[2][16] = {
        {5, 6, 5, 7, 8, 4, 3, 4, 10, 9, 10, 2, 0, 1, 11, 1},
        {7, 10, 6, 8, 6, 11, 8, 9, 2, 4, 5, 1, 5, 0, 3, 1}};
    static const moe_placement_shape_t shape = {12, 16, 4, 2, 8};
    moe_placement_t p;

    ck_assert_int_eq(moe_placement_make(&shape, load[_i], &p), MOE_OK);
    ck_assert_mem_eq(p.logical_of, want[_i], sizeof(want[0]));
    moe_placement_fini(&p);
}
END_TEST

START_TEST(every_expert_has_its_slots_and_gpus_are_full)
{
    static const moe_placement_shape_t shapes[] = {
        {256, 288, 8, 4, 32}, {256, 288, 8, 3, 36}, {8, 8, 1, 1, 4},
        {7, 14, 1, 1, 2},     {60, 64, 1, 1, 8},    {5, 5, 5, 5, 5}};
    double load[256];
    uint64_t state = 3;
    moe_placement_t p;

    for (int i = 0; i < 256; i++) {
        load[i] = (double)(judge_random(&state) % 1000);
    }
    ck_assert_int_eq(moe_placement_make(&shapes[_i], load, &p), MOE_OK);
    for (int64_t e = 0; e < p.shape.logical; e++) {
        ck_assert_int_ge(p.replicas[e], 1);
        for (int64_t r = 0; r < p.most; r++) {
            int64_t slot = p.physical_of[e * p.most + r];

            ck_assert_int_eq(slot >= 0, r < p.replicas[e]);
            ck_assert(slot < 0 || p.logical_of[slot] == e);
        }
    }
    moe_placement_fini(&p);
}
END_TEST

START_TEST(ids_become_slots_by_policy_and_minus_one_stays)
{
    static const moe_placement_shape_t shape = {2, 4, 1, 1, 2};
    static const double load[] = {30, 10};
    int32_t ids[6] = {0, 1, -1, 0, 0, 1};
    moe_placement_t p;

    ck_assert_int_eq(moe_placement_make(&shape, load, &p), MOE_OK);
    ck_assert_int_eq(p.replicas[0], 3);
    moe_placement_map(&p, MOE_REPLICA_round_robin, 4, 0, 3, 2, ids);
    ck_assert_int_eq(ids[2], -1);
    ck_assert_int_eq(ids[0], p.physical_of[4 % 3]);
    ck_assert_int_eq(ids[4], p.physical_of[6 % 3]);
    ck_assert_int_eq(ids[1], p.physical_of[p.most]);
    ids[0] = 0;
    moe_placement_map(&p, MOE_REPLICA_source, 4, 2, 1, 1, ids);
    ck_assert_int_eq(ids[0], p.physical_of[2]);
    moe_placement_fini(&p);
}
END_TEST

/* -1 as an index would name the last expert of the map. */
START_TEST(an_expert_map_keeps_minus_one)
{
    static const int32_t map[] = {-1, 1, -1, 0};
    static const int32_t twice[] = {0, 0, -1, -1};
    int32_t ids[] = {3, -1, 0, 1, 4, 2};
    static const int32_t want[] = {0, -1, -1, 1, -1, -1};

    ck_assert_int_eq(moe_expert_map_apply(map, 4, 2, 6, ids), MOE_OK);
    ck_assert_mem_eq(ids, want, sizeof(want));
    ck_assert_int_eq(moe_expert_map_apply(twice, 4, 2, 6, ids), MOE_ERR_RANGE);
    ck_assert_int_eq(moe_expert_map_apply(map, 4, 1, 6, ids), MOE_ERR_RANGE);
    moe_error_clear();
}
END_TEST

START_TEST(placements_that_cannot_be_are_refused)
{
    static const moe_placement_shape_t shapes[] = {{0, 4, 1, 1, 1},
                                                   {4, 3, 1, 1, 1},
                                                   {4, 6, 1, 1, 4},
                                                   {4, 4, 3, 1, 1},
                                                   {4, 6, 1, 2, 3}};
    static const double load[4] = {1, 1, 1, 1};
    static const double negative[4] = {1, 1, -1, 1};
    static const moe_placement_shape_t good = {4, 4, 1, 1, 1};
    moe_placement_t p;

    for (size_t i = 0; i < 5; i++) {
        ck_assert_int_eq(moe_placement_make(&shapes[i], load, &p),
                         MOE_ERR_RANGE);
    }
    ck_assert_int_eq(moe_placement_make(&good, negative, &p), MOE_ERR_RANGE);
    moe_error_clear();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("placement");
    TCase *tests = tcase_create("placement");

    tcase_add_loop_test(tests, eplbs_published_layers_come_out, 0, 2);
    tcase_add_loop_test(tests, every_expert_has_its_slots_and_gpus_are_full, 0,
                        6);
    tcase_add_test(tests, ids_become_slots_by_policy_and_minus_one_stays);
    tcase_add_test(tests, an_expert_map_keeps_minus_one);
    tcase_add_test(tests, placements_that_cannot_be_are_refused);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
