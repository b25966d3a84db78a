/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/permute_forms.h"
#include "tests/support.h"

#include <string.h>

static const int32_t ids[] = {2, 0, 1, 2, -1, 2, 0, 3};

START_TEST(lists_of_counts_and_of_sums_are_one_permutation)
{
    static const int64_t counts[] = {2, 1, 3};
    static const int64_t sums[] = {2, 3, 6};
    static const int64_t bad[] = {2, 1, 3};
    int64_t list[3];
    int64_t offset[4];
    moe_ref_index_t index;

    ck_assert_int_eq(moe_ref_index_init(ids, 4, 2, 0, 3, &index), MOE_OK);
    moe_ref_group_list(&index, MOE_GROUP_LIST_count, list);
    ck_assert_mem_eq(list, counts, sizeof(counts));
    ck_assert_int_eq(
        moe_ref_group_offsets(list, MOE_GROUP_LIST_count, 3, offset), MOE_OK);
    ck_assert_mem_eq(offset, index.offset, sizeof(offset));
    moe_ref_group_list(&index, MOE_GROUP_LIST_cumsum, list);
    ck_assert_mem_eq(list, sums, sizeof(sums));
    ck_assert_int_eq(
        moe_ref_group_offsets(list, MOE_GROUP_LIST_cumsum, 3, offset), MOE_OK);
    ck_assert_mem_eq(offset, index.offset, sizeof(offset));
    ck_assert_int_eq(
        moe_ref_group_offsets(bad, MOE_GROUP_LIST_cumsum, 3, offset),
        MOE_ERR_RANGE);
    moe_error_clear();
    moe_ref_index_fini(&index);
}
END_TEST

/* Blocks of 2; padding is the number of pairs, as vLLM has it. */
START_TEST(blocks_hold_one_expert_each)
{
    static const int64_t want[] = {1, 6, 2, 8, 0, 3, 5, 8};
    static const int32_t experts[] = {0, 1, 2, 2};
    moe_ref_index_t index;
    moe_ref_blocks_t b;

    ck_assert_int_eq(moe_ref_index_init(ids, 4, 2, 0, 3, &index), MOE_OK);
    ck_assert_int_eq(moe_ref_blocks_init(&index, 2, &b), MOE_OK);
    ck_assert_int_eq(b.n, 8);
    ck_assert_mem_eq(b.sorted_ids, want, sizeof(want));
    ck_assert_mem_eq(b.expert_ids, experts, sizeof(experts));
    moe_ref_blocks_fini(&b);
    ck_assert_int_eq(moe_ref_blocks_init(&index, 0, &b), MOE_ERR_RANGE);
    moe_error_clear();
    moe_ref_index_fini(&index);
}
END_TEST

START_TEST(capacity_keeps_the_first_and_fills_with_zeros)
{
    static const int64_t rows[] = {0, 3, 1, -1, 0, 1, 3, -1};
    static const int64_t places[] = {4, 0, 2, 5, -1, -1, 1, 6};
    uint16_t x[4] = {10, 11, 12, 13};
    uint16_t y[8];
    moe_rows_t src = {.storage = {.format = MOE_FORMAT_bf16},
                      .rows = 4,
                      .cols = 1,
                      .codes = x};
    moe_rows_t dst = src;
    moe_ref_index_t index;

    ck_assert_int_eq(moe_ref_index_capacity(ids, NULL, 4, 2, 4, 2, &index),
                     MOE_OK);
    ck_assert_int_eq(index.n, 8);
    ck_assert_mem_eq(index.row, rows, sizeof(rows));
    ck_assert_mem_eq(index.place, places, sizeof(places));
    dst.rows = 8;
    dst.codes = y;
    memset(y, 0xff, sizeof(y));
    moe_ref_gather_rows(&src, &index, &dst);
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(y[i], rows[i] < 0 ? 0 : x[rows[i]]);
    }
    moe_ref_index_fini(&index);
}
END_TEST

START_TEST(locations_are_followed_and_checked)
{
    static const int32_t two[] = {0, 0};
    static const int64_t apart[] = {1, 0};
    static const int64_t same[] = {1, 1};
    static const int64_t beyond[] = {0, 2};
    moe_ref_index_t index;

    ck_assert_int_eq(moe_ref_index_capacity(two, apart, 2, 1, 1, 2, &index),
                     MOE_OK);
    ck_assert_int_eq(index.row[0], 1);
    moe_ref_index_fini(&index);
    ck_assert_int_eq(moe_ref_index_capacity(two, same, 2, 1, 1, 2, &index),
                     MOE_ERR_RANGE);
    ck_assert_int_eq(moe_ref_index_capacity(two, beyond, 2, 1, 1, 2, &index),
                     MOE_ERR_RANGE);
    ck_assert_int_eq(
        moe_ref_index_capacity(two, NULL, 2, 1, INT64_MAX, 2, &index),
        MOE_ERR_RANGE);
    moe_error_clear();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("permute_forms");
    TCase *tests = tcase_create("forms");

    tcase_add_test(tests, lists_of_counts_and_of_sums_are_one_permutation);
    tcase_add_test(tests, blocks_hold_one_expert_each);
    tcase_add_test(tests, capacity_keeps_the_first_and_fills_with_zeros);
    tcase_add_test(tests, locations_are_followed_and_checked);
    suite_add_tcase(suite, tests);
    return moe_suite_main(suite);
}
