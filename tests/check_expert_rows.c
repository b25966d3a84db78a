/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that experts compute beyond those that they have, as MegaBlocks pads
 * them: their memory, and which rows find no place. */
#include "tests/support.h"

#include "models/backend_meta.h"
#include "models/summary.h"
#include "ref/sort.h"
#include "sim/methods/registry.h"
#include "tests/layers.h"

enum {
    RANKS = 4
};

/* Memory of a rank while its experts compute, largest, and rows of each. */
typedef struct {
    int64_t peak[RANKS];
    moe_summary_t rows;
} cost_t;

static void price(const moe_test_layer_t *t, const char *key, const char *value,
                  cost_t *cost)
{
    const moe_method_t *method = moe_method_find("alltoallv");
    moe_method_use_t use = moe_test_use(method, &t->layer, key, value);
    moe_trace_sink_t sink;

    ck_assert(
        moe_option_set(method, "capacity_factor", "0", use.options, NULL));
    ck_assert(moe_test_runs(&t->layer, &use));
    ck_assert_int_eq(moe_summary_init(RANKS, false, &cost->rows), MOE_OK);
    sink = moe_summary_sink(&cost->rows);
    ck_assert_int_eq(moe_meta_run(&t->layer, &use, &t->routing, NULL, ~0U,
                                  &sink, cost->peak),
                     MOE_OK);
}

/* Bytes of a row of all that there is when gemm2 ends: its index, and rows at
 * every place from expert_in to gemm2_out. */
static int64_t bytes_of_row(const moe_test_layer_t *t)
{
    const int64_t h = t->model.hidden;
    const int64_t i = t->model.intermediate;
    const struct {
        moe_role_t role;
        int64_t cols;
    } places[] = {{MOE_ROLE_expert_in, h},
                  {MOE_ROLE_gemm1_out, 2 * i},
                  {MOE_ROLE_act_out, i},
                  {MOE_ROLE_gemm2_in, i},
                  {MOE_ROLE_gemm2_out, h}};
    int64_t bytes = 4;

    for (size_t p = 0; p < sizeof(places) / sizeof(places[0]); p++) {
        bytes += moe_format_row_bytes(t->layer.chain.at[places[p].role].format,
                                      places[p].cols);
    }
    return bytes;
}

/* What the blocks and bins of a rank's experts hold beyond its rows. */
static int64_t padding(const moe_summary_rank_t *rank, bool bins)
{
    int64_t rows = 0;
    int64_t most = 0;

    for (int64_t e = 0; e < rank->n_experts; e++) {
        const int64_t n = rank->rows_per_expert[e];

        most = n > most ? n : most;
        rows += bins ? -n : (n + 127) / 128 * 128 - n;
    }
    return bins ? rows + most * rank->n_experts : rows;
}

/* Blocks of 128, or bins of the fullest expert's rows. */
START_TEST(rows_of_padding_cost_memory)
{
    moe_model_t small = moe_test_small();
    moe_test_layer_t t;
    cost_t plain;
    cost_t padded;

    moe_test_layer_init(&t, &small, RANKS, MOE_TOKENS_equal, 300);
    price(&t, "expert_block", "none", &plain);
    price(&t, "expert_block", _i == 0 ? "128" : "bin", &padded);
    for (int r = 0; r < RANKS; r++) {
        const int64_t rows = padding(&plain.rows.rank[r], _i != 0);

        ck_assert_int_gt(rows, 0);
        ck_assert_int_eq(padded.peak[r] - plain.peak[r],
                         rows * bytes_of_row(&t));
    }
    moe_summary_fini(&plain.rows);
    moe_summary_fini(&padded.rows);
    moe_test_layer_fini(&t);
}
END_TEST

/* Two sources, two experts: rows 0-1 | 2-4 and 5-6 | 7. At most 3 of each. */
START_TEST(an_expert_leaves_out_rows_behind_its_first_ones_by_source)
{
    const int64_t chunks[] = {2, 3, 2, 1};
    const int64_t rows[] = {0, 1, 5, 2, 3, 4};
    const int64_t places[] = {0, 1, 3, 4, 5, 2, -1, -1};
    moe_ref_index_t index;

    ck_assert_int_eq(moe_ref_sort_chunks(chunks, 2, 2, 0, 3, &index), MOE_OK);
    ck_assert_int_eq(index.n, 6);
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(index.row[i], rows[i]);
    }
    for (int i = 0; i < 8; i++) {
        ck_assert_int_eq(index.place[i], places[i]);
    }
    ck_assert_int_eq(index.offset[1], 3);
    ck_assert_int_eq(index.offset[2], 6);
    moe_ref_index_fini(&index);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("expert_rows");
    TCase *tcase = tcase_create("expert_rows");

    tcase_add_loop_test(tcase, rows_of_padding_cost_memory, 0, 2);
    tcase_add_test(tcase,
                   an_expert_leaves_out_rows_behind_its_first_ones_by_source);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
