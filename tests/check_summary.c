/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "models/summary.h"

#include <string.h>

static const int ranks[3] = {0, 1, 2};

static moe_transfer_t transfer(int me, const int64_t *send, const int64_t *recv,
                               int64_t row_bytes)
{
    return (moe_transfer_t){.n = 3,
                            .me = me,
                            .ranks = ranks,
                            .send_rows = send,
                            .recv_rows = recv,
                            .row_bytes = row_bytes,
                            .root = -1};
}

/* Rank me gathers 2 rows in prepare, then sends rows around in finalize. */
static void add_rank(moe_trace_sink_t *sink, int me)
{
    const int64_t two[3] = {2, 2, 2};
    const int64_t sizes[3][3] = {{5, 1, 0}, {2, 7, 3}, {0, 0, 4}};
    const int64_t to_me[3] = {sizes[0][me], sizes[1][me], sizes[2][me]};
    const int64_t experts[2] = {me, 10};
    moe_trace_record_t gather = {.rank = me,
                                 .stage = MOE_STAGE_prepare,
                                 .op = MOE_OP_allgatherv,
                                 .payload = 2 * 100,
                                 .carried = 999,
                                 .transfer = transfer(me, two, two, 100)};
    moe_trace_record_t matmul = {.rank = me,
                                 .stage = MOE_STAGE_experts,
                                 .op = MOE_OP_grouped_matmul,
                                 .n_experts = 2,
                                 .rows_per_expert = experts};
    moe_trace_record_t exchange = {
        .rank = me,
        .stage = MOE_STAGE_finalize,
        .op = MOE_OP_alltoallv,
        .payload = 10 * (sizes[me][0] + sizes[me][1] + sizes[me][2]),
        .transfer = transfer(me, sizes[me], to_me, 10)};
    moe_trace_record_t known = {
        .rank = me, .op = MOE_OP_agree, .payload = 12345};
    moe_trace_record_t told = {.rank = me,
                               .stage = MOE_STAGE_permute,
                               .op = MOE_OP_agree,
                               .agree_kind = MOE_AGREE_alltoall,
                               .call = 1,
                               .payload = 3 * 8,
                               .carried = 3 * 8,
                               .transfer = transfer(me, two, two, 4)};

    ck_assert_int_eq(sink->record(sink->self, &known), MOE_OK);
    ck_assert_int_eq(sink->record(sink->self, &told), MOE_OK);
    ck_assert_int_eq(sink->record(sink->self, &gather), MOE_OK);
    ck_assert_int_eq(sink->record(sink->self, &matmul), MOE_OK);
    ck_assert_int_eq(sink->record(sink->self, &exchange), MOE_OK);
    sink->memory(sink->self, me, 50 + me);
    sink->memory(sink->self, me, 10);
}

static void fill(moe_summary_t *s, bool with_pairs)
{
    moe_trace_sink_t sink;

    ck_assert_int_eq(moe_summary_init(3, with_pairs, s), MOE_OK);
    sink = moe_summary_sink(s);
    for (int r = 0; r < 3; r++) {
        add_rank(&sink, r);
    }
}

START_TEST(bytes_are_summed_by_rank_and_stage)
{
    moe_summary_t s;
    moe_bytes_t b;

    fill(&s, false);
    b = moe_summary_bytes(&s, 1, ~0U);
    ck_assert_int_eq(b.payload, 200 + 120 + 24);
    ck_assert_int_eq(b.carried, 999 + 24);
    ck_assert_int_eq(b.wire_sent, 400 + 50 + 16);
    ck_assert_int_eq(b.wire_received, 400 + 10 + 16);
    b = moe_summary_bytes(&s, 1, 1U << MOE_STAGE_permute);
    ck_assert_int_eq(b.payload, 24);
    b = moe_summary_bytes(&s, 1, 1U << MOE_STAGE_finalize);
    ck_assert_int_eq(b.payload, 120);
    ck_assert_int_eq(s.rank[1].calls[MOE_OP_allgatherv], 1);
    ck_assert_int_eq(s.rank[1].calls[MOE_OP_broadcast], 0);
    ck_assert_int_eq(moe_summary_dispatch_bytes_per_token(&s), 100);
    ck_assert_int_eq(s.rank[2].n_experts, 2);
    ck_assert_int_eq(s.rank[2].rows_per_expert[0], 2);
    ck_assert_int_eq(s.rank[2].peak_bytes, 52);
    ck_assert_ptr_null(s.pairs[MOE_STAGE_prepare]);
    moe_summary_fini(&s);
}
END_TEST

START_TEST(pairs_are_by_origin_and_destination)
{
    const int64_t gathered[9] = {0, 200, 200, 200, 0, 200, 200, 200, 0};
    const int64_t exchanged[9] = {0, 10, 0, 20, 0, 30, 0, 0, 0};
    int64_t all[9] = {0};
    moe_summary_t s;

    fill(&s, true);
    ck_assert_mem_eq(s.pairs[MOE_STAGE_prepare], gathered, sizeof(gathered));
    ck_assert_mem_eq(s.pairs[MOE_STAGE_finalize], exchanged, sizeof(exchanged));
    ck_assert_ptr_null(s.pairs[MOE_STAGE_experts]);
    moe_summary_add_pairs(&s, ~0U, all);
    for (int i = 0; i < 9; i++) {
        ck_assert_int_eq(all[i],
                         gathered[i] + exchanged[i] + (i % 4 != 0 ? 8 : 0));
    }
    moe_summary_fini(&s);
}
END_TEST

START_TEST(a_token_is_in_the_broadcast_of_its_own_root_alone)
{
    const int64_t rows[3] = {2, 1, 0};
    moe_trace_sink_t sink;
    moe_summary_t s;

    ck_assert_int_eq(moe_summary_init(3, false, &s), MOE_OK);
    sink = moe_summary_sink(&s);
    for (int r = 0; r < 3; r++) {
        for (int root = 0; root < 2; root++) {
            moe_trace_record_t record = {
                .rank = r,
                .stage = MOE_STAGE_prepare,
                .op = MOE_OP_broadcast,
                .payload = r == root ? 100 * rows[root] : 0,
                .transfer = transfer(r, NULL, rows, 100)};

            record.transfer.root = root;
            ck_assert_int_eq(sink.record(sink.self, &record), MOE_OK);
        }
    }
    ck_assert_int_eq(moe_summary_dispatch_bytes_per_token(&s), 100);
    ck_assert_int_eq(s.rank[2].dispatch_row_bytes, 0);
    moe_summary_fini(&s);
}
END_TEST

START_TEST(algorithms_are_named_in_order)
{
    moe_summary_t s;
    char text[64];
    char tiny[4];

    fill(&s, false);
    moe_summary_algorithms(&s, ~0U, text, sizeof(text));
    ck_assert_str_eq(text, "ring,direct");
    moe_summary_algorithms(&s, 1U << MOE_STAGE_finalize, text, sizeof(text));
    ck_assert_str_eq(text, "direct");
    moe_summary_algorithms(&s, 1U << MOE_STAGE_experts, text, sizeof(text));
    ck_assert_str_eq(text, "none");
    moe_summary_algorithms(&s, ~0U, tiny, sizeof(tiny));
    ck_assert_str_eq(tiny, "rin");
    moe_summary_fini(&s);
}
END_TEST

START_TEST(a_record_of_no_rank_is_refused)
{
    moe_trace_record_t r = {.rank = 3};
    moe_trace_sink_t sink;
    moe_summary_t s;

    ck_assert_int_eq(moe_summary_init(3, false, &s), MOE_OK);
    sink = moe_summary_sink(&s);
    ck_assert_int_eq(sink.record(sink.self, &r), MOE_ERR_RANGE);
    moe_summary_fini(&s);
}
END_TEST

static moe_status_t refuse(void *self, const moe_trace_record_t *record)
{
    (void)self;
    (void)record;
    return MOE_ERR_IO;
}

START_TEST(a_tee_gives_all_to_all_until_one_fails)
{
    moe_trace_record_t r = {.rank = 0, .op = MOE_OP_topk};
    moe_summary_t s[2];
    moe_trace_sink_t sink[3];
    moe_tee_t tee = {.n = 3, .sink = {&sink[0], &sink[2], &sink[1]}};
    moe_trace_sink_t all = moe_tee_sink(&tee);

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(moe_summary_init(1, false, &s[i]), MOE_OK);
        sink[i] = moe_summary_sink(&s[i]);
    }
    sink[2] = (moe_trace_sink_t){0};
    ck_assert_int_eq(all.record(all.self, &r), MOE_OK);
    sink[2].record = refuse;
    ck_assert_int_eq(all.record(all.self, &r), MOE_ERR_IO);
    all.memory(all.self, 0, 9);
    ck_assert_int_eq(s[0].rank[0].calls[MOE_OP_topk], 2);
    ck_assert_int_eq(s[1].rank[0].calls[MOE_OP_topk], 1);
    ck_assert_int_eq(s[1].rank[0].peak_bytes, 9);
    moe_summary_fini(&s[0]);
    moe_summary_fini(&s[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("summary");
    TCase *tcase = tcase_create("summary");

    tcase_add_test(tcase, bytes_are_summed_by_rank_and_stage);
    tcase_add_test(tcase, pairs_are_by_origin_and_destination);
    tcase_add_test(tcase, a_token_is_in_the_broadcast_of_its_own_root_alone);
    tcase_add_test(tcase, algorithms_are_named_in_order);
    tcase_add_test(tcase, a_record_of_no_rank_is_refused);
    tcase_add_test(tcase, a_tee_gives_all_to_all_until_one_fails);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
