/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/layers.h"
#include "tests/support.h"

#include "models/backend_meta.h"
#include "models/summary.h"
#include "sim/methods/registry.h"

#include <string.h>

static void from_first(void *self, int *ranks, int n)
{
    ++*(int *)self;
    for (int i = 0; i < n; i++) {
        ranks[i] = i;
    }
}

START_TEST(arrays_are_made_once_and_sums_are_those_of_a_loop)
{
    moe_shared_t *s = moe_shared_create();
    int64_t rows[5] = {1, 2, 3, 4, 5};
    int made = 0;
    const int *ranks;
    const int64_t *same;

    ck_assert_ptr_nonnull(s);
    ranks = moe_shared_members(s, MOE_GROUP_ep, 0, 5, from_first, &made);
    ck_assert_ptr_eq(
        ranks, moe_shared_members(s, MOE_GROUP_ep, 0, 5, from_first, &made));
    ck_assert_int_eq(made, 1);
    ck_assert_int_eq(ranks[4], 4);
    (void)moe_shared_members(s, MOE_GROUP_ep, 5, 5, from_first, &made);
    ck_assert_int_eq(made, 2);
    same = moe_shared_same(s, 5, 7);
    ck_assert_ptr_eq(same, moe_shared_same(s, 5, 7));
    ck_assert_int_eq(same[4], 7);
    ck_assert_int_eq(moe_shared_sum(s, same, 5), 35);
    ck_assert_int_eq(moe_shared_sum(s, rows, 5), 15);
    ck_assert_int_eq(moe_shared_sum(NULL, rows, 4), 10);
    moe_shared_learn(s, rows, 5);
    rows[0] = 100; /* a learnt array must not change; this one did */
    ck_assert_int_eq(moe_shared_sum(s, rows, 5), 15);
    /* values beyond the room are refused, not dropped */
    for (int64_t v = 0; v < 100; v++) {
        same = moe_shared_same(s, 5, v);
        ck_assert(same == NULL || same[0] == v);
    }
    ck_assert_ptr_null(moe_shared_same(s, 5, 99));
    moe_shared_free(s);
    moe_shared_free(NULL);
}
END_TEST

/* The same ranks, each with arrays of its own. */
static void run_alone(const moe_test_layer_t *t, const moe_method_use_t *use,
                      moe_summary_t *summary)
{
    moe_trace_sink_t sink = moe_summary_sink(summary);
    moe_backend_t *meta = NULL;

    ck_assert_int_eq(moe_meta_create(NULL, &t->routing, &meta), MOE_OK);
    for (int r = 0; r < moe_layout_world(&t->layer.layout); r++) {
        moe_run_t run = {.layer = &t->layer,
                         .use = use,
                         .rank = r,
                         .routing = &t->routing,
                         .backend = meta,
                         .sink = &sink,
                         .stages = (1u << MOE_STAGE_COUNT) - 1};

        ck_assert_int_eq(moe_run_method(&run), MOE_OK);
    }
    moe_meta_free(meta);
}

static void compare(const moe_summary_t *a, const moe_summary_t *b)
{
    for (int r = 0; r < a->world; r++) {
        const moe_summary_rank_t *x = &a->rank[r];
        const moe_summary_rank_t *y = &b->rank[r];

        ck_assert_mem_eq(x->stage, y->stage, sizeof(x->stage));
        ck_assert_mem_eq(x->calls, y->calls, sizeof(x->calls));
        ck_assert_int_eq(x->peak_bytes, y->peak_bytes);
        ck_assert_int_eq(x->n_experts, y->n_experts);
        ck_assert(x->n_experts == 0 ||
                  memcmp(x->rows_per_expert, y->rows_per_expert,
                         (size_t)x->n_experts * sizeof(int64_t)) == 0);
    }
}

START_TEST(what_ranks_share_changes_no_number_of_any_method)
{
    moe_model_t model = moe_test_small();

    for (int m = 0; m < moe_method_count(); m++) {
        for (int k = 0; k < MOE_TOKENS_COUNT; k++) {
            moe_test_layer_t t;
            moe_method_use_t use;
            moe_summary_t alone;
            moe_summary_t shared;
            moe_trace_sink_t sink;

            moe_test_layer_init(&t, &model, 8, (moe_test_tokens_t)k, 12);
            use = moe_test_use(moe_method_get(m), &t.layer, NULL, NULL);
            ck_assert_int_eq(moe_summary_init(8, false, &alone), MOE_OK);
            ck_assert_int_eq(moe_summary_init(8, false, &shared), MOE_OK);
            run_alone(&t, &use, &alone);
            sink = moe_summary_sink(&shared);
            ck_assert_int_eq(moe_meta_run(&t.layer, &use, &t.routing, NULL,
                                          (1u << MOE_STAGE_COUNT) - 1, &sink,
                                          NULL),
                             MOE_OK);
            compare(&alone, &shared);
            moe_summary_fini(&alone);
            moe_summary_fini(&shared);
            moe_test_layer_fini(&t);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("shared");
    TCase *tcase = tcase_create("shared");

    tcase_add_test(tcase, arrays_are_made_once_and_sums_are_those_of_a_loop);
    tcase_add_test(tcase, what_ranks_share_changes_no_number_of_any_method);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
