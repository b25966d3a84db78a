/* SPDX-License-Identifier: Apache-2.0 */
/* Every method of the list, shapes only, at many ranks and token counts. */
#include "tests/support.h"

#include "models/backend_meta.h"
#include "models/summary.h"
#include "sim/methods/registry.h"
#include "tests/layers.h"

#include <stdlib.h>
#include <string.h>

static const int rank_counts[] = {1, 2, 3, 4, 7, 8};

enum {
    N_RANK_COUNTS = sizeof(rank_counts) / sizeof(rank_counts[0]),
    N_CASES = N_RANK_COUNTS * MOE_TOKENS_COUNT,
    TENSORS_MAX = 256,
    CALLS_MAX = 64
};

/* One collective as a rank made it. */
typedef struct {
    moe_op_t op;
    moe_stage_t stage;
    moe_group_t group;
    int64_t call;
    int64_t row_bytes;
    int root;         /* world rank */
    int64_t send[16]; /* by world rank */
    int64_t recv[16];
} made_t;

/* What the sink checks as it goes. */
typedef struct {
    int rank;
    bool written[TENSORS_MAX];
    int64_t last_id;
    int64_t bytes;
    int64_t peak;
    int n_calls[16];
    made_t made[16][CALLS_MAX];
} watch_t;

static void note_call(watch_t *w, const moe_trace_record_t *r)
{
    made_t *made = &w->made[r->rank][w->n_calls[r->rank]];

    ck_assert_int_lt(++w->n_calls[r->rank], CALLS_MAX);
    ck_assert_int_eq(r->call, w->n_calls[r->rank]);
    ck_assert_int_eq(r->transfer.ranks[r->transfer.me], r->rank);
    *made = (made_t){.op = r->op,
                     .stage = r->stage,
                     .group = r->group,
                     .call = r->call,
                     .row_bytes = r->transfer.row_bytes,
                     .root = r->transfer.root < 0
                                 ? -1
                                 : r->transfer.ranks[r->transfer.root]};
    for (int i = 0; i < r->transfer.n; i++) {
        made->send[r->transfer.ranks[i]] = r->transfer.send_rows[i];
        made->recv[r->transfer.ranks[i]] = r->transfer.recv_rows[i];
    }
}

static moe_status_t watch_record(void *self, const moe_trace_record_t *r)
{
    watch_t *w = self;

    if (r->rank != w->rank) {
        memset(w->written, 0, sizeof(w->written));
        w->rank = r->rank;
        w->last_id = 0;
    }
    ck_assert_int_eq(r->id, ++w->last_id);
    for (int i = 0; i < r->n_read; i++) {
        ck_assert_int_lt(r->read[i], TENSORS_MAX);
        ck_assert_msg(w->written[r->read[i]],
                      "%s reads tensor %d, which nothing wrote",
                      moe_op_name(r->op), r->read[i]);
    }
    for (int i = 0; i < r->n_written; i++) {
        ck_assert_int_lt(r->written[i], TENSORS_MAX);
        w->written[r->written[i]] = true;
    }
    if (moe_trace_moves(r) != MOE_OP_agree) {
        note_call(w, r);
    }
    return MOE_OK;
}

static void watch_memory(void *self, int rank, int64_t bytes)
{
    watch_t *w = self;

    (void)rank;
    ck_assert_int_ge(bytes, 0);
    w->bytes = bytes;
    w->peak = bytes > w->peak ? bytes : w->peak;
}

/* What d expects from s is what s sends to d. */
static void compare_calls(const watch_t *w, int n)
{
    for (int s = 0; s < n; s++) {
        ck_assert_int_eq(w->n_calls[s], w->n_calls[0]);
        for (int c = 0; c < w->n_calls[0]; c++) {
            const made_t *a = &w->made[s][c];

            ck_assert_int_eq(a->op, w->made[0][c].op);
            ck_assert_int_eq(a->stage, w->made[0][c].stage);
            ck_assert_int_eq(a->group, w->made[0][c].group);
            ck_assert_int_eq(a->row_bytes, w->made[0][c].row_bytes);
            for (int d = 0; d < n; d++) {
                bool sends = a->op != MOE_OP_broadcast || s == a->root;

                ck_assert_int_eq(sends ? a->send[d] : 0, w->made[d][c].recv[s]);
            }
        }
    }
}

static void compare_payload(const moe_summary_t *summary,
                            const moe_method_use_t *use,
                            const moe_test_layer_t *t, int rank)
{
    const moe_layer_t layer = moe_method_layer(&t->layer, use);
    moe_formula_t formula = {&layer, use->options, rank, &t->routing};
    int64_t expected[MOE_STAGE_COUNT] = {0};

    use->method->payload(&formula, expected);
    for (int s = 0; s < MOE_STAGE_COUNT; s++) {
        ck_assert_msg(summary->rank[rank].stage[s].payload == expected[s],
                      "%s, stage %s, rank %d: payload %lld, formula %lld",
                      use->method->name, moe_stage_name((moe_stage_t)s), rank,
                      (long long)summary->rank[rank].stage[s].payload,
                      (long long)expected[s]);
    }
}

/* Run a method and look at everything that must hold; false if it refuses. */
static bool check_run(const moe_test_layer_t *t, const moe_method_use_t *use)
{
    int n = moe_layout_world(&t->layer.layout);
    watch_t *w = calloc(1, sizeof(*w));
    int64_t peaks[16] = {0};
    moe_summary_t summary;
    moe_trace_sink_t sums;
    moe_trace_sink_t watching = {
        .self = w, .record = watch_record, .memory = watch_memory};
    moe_tee_t tee = {.n = 2, .sink = {&sums, &watching}};
    moe_trace_sink_t both = moe_tee_sink(&tee);

    if (!moe_test_runs(&t->layer, use)) {
        free(w);
        return false;
    }
    ck_assert_ptr_nonnull(w);
    w->rank = -1;
    ck_assert_int_eq(moe_summary_init(n, true, &summary), MOE_OK);
    sums = moe_summary_sink(&summary);
    ck_assert_msg(moe_meta_run(&t->layer, use, &t->routing, NULL, ~0U, &both,
                               peaks) == MOE_OK,
                  "%s: %s", use->method->name, moe_error_text());
    compare_calls(w, n);
    for (int r = 0; r < n; r++) {
        compare_payload(&summary, use, t, r);
        ck_assert_int_eq(peaks[r], summary.rank[r].peak_bytes);
    }
    ck_assert_msg(w->bytes == 0, "%s leaves %lld bytes", use->method->name,
                  (long long)w->bytes);
    /* without tokens a gate tells its counts and its loss, and where tp > 1
     * there may be rows of padding */
    if (moe_layer_total_tokens(&t->layer) > 0 || use->method->gate != NULL) {
        ck_assert_int_gt(w->peak, 0);
    } else if (t->layer.layout.tp == 1) {
        ck_assert_int_eq(w->peak, 0);
    }
    moe_summary_fini(&summary);
    free(w);
    return true;
}

/* Calls check_run() for every value of every option, one at a time. A value
 * may be refused beside the others' defaults, where another one runs. True if
 * any runs. */
static bool check_options(const moe_test_layer_t *t, const moe_method_t *method)
{
    moe_method_use_t use = moe_test_use(method, &t->layer, NULL, NULL);
    bool ran = check_run(t, &use);

    ck_assert_msg(ran || moe_layout_world(&t->layer.layout) > 1,
                  "%s refuses one rank", method->name);
    for (const moe_option_t *o = method->options; o->key != NULL; o++) {
        char words[256];
        int n_ran = 0;

        if (o->choices == NULL) {
            continue;
        }
        ck_assert_uint_lt(strlen(o->choices), sizeof(words));
        strcpy(words, o->choices);
        for (char *rest = words, *word = strtok_r(rest, " ", &rest);
             word != NULL; word = strtok_r(NULL, " ", &rest)) {
            use = moe_test_use(method, &t->layer, o->key, word);
            n_ran += check_run(t, &use);
        }
        ck_assert_msg((n_ran > 0) == ran, "%s: %s", method->name, o->key);
    }
    return ran;
}

START_TEST(every_method_keeps_its_promises_at_every_size)
{
    int n = rank_counts[_i / MOE_TOKENS_COUNT];
    moe_test_tokens_t tokens = (moe_test_tokens_t)(_i % MOE_TOKENS_COUNT);
    moe_model_t small = moe_test_small();
    moe_test_layer_t t;

    for (int phase = 0; phase < 2; phase++) {
        for (int m = 0; m < moe_method_count(); m++) {
            const moe_method_t *method = moe_method_get(m);

            moe_test_layer_init(&t, &small, n, tokens, 11);
            t.layer.phase = (moe_phase_t)phase;
            (void)check_options(&t, method);
            moe_test_layer_fini(&t);
        }
    }
}
END_TEST

/* Tokens of a dp rank that its tp ranks hold together: fewer than these, as
 * many, more. */
static const struct {
    int dp;
    int tp;
    int64_t each;
} shared[] = {{1, 4, 11}, {2, 2, 11}, {2, 3, 6}, {3, 2, 1}, {2, 4, 3}};

START_TEST(methods_that_split_tokens_over_tp_keep_their_promises)
{
    moe_model_t small = moe_test_small();
    const int tokens = _i % MOE_TOKENS_COUNT;
    const int l = _i / MOE_TOKENS_COUNT;
    const int world = shared[l].dp * shared[l].tp;
    int n_ran = 0;
    moe_test_layer_t t;

    moe_test_layer_init(&t, &small, shared[l].dp, (moe_test_tokens_t)tokens,
                        shared[l].each);
    t.layer.layout = (moe_layout_t){shared[l].dp, shared[l].tp, world, 8};
    for (int m = 0; m < moe_method_count(); m++) {
        n_ran += check_options(&t, moe_method_get(m));
    }
    ck_assert_int_ge(n_ran, 3); /* mc2, alltoallv, dummy */
    moe_test_layer_fini(&t);
}
END_TEST

/* Dispatch bytes of DeepSeek-R1, and wire of the whole layer. */
typedef struct {
    const char *method;
    const char *key;
    const char *value;
    moe_phase_t phase;
    int64_t bytes_per_token;
    int64_t sent_prepare;
    int64_t sent_finalize;
} published_t;

static const published_t published[] = {
    {"pad_allreduce", "padding", "auto", MOE_PHASE_prefill, 14336, 205520896,
     205520896},
    {"pad_allreduce", "padding", "auto", MOE_PHASE_decode, 14336, 102760448,
     205520896},
    {"allgatherv", "dispatch", "nvfp4", MOE_PHASE_prefill, 4096, 29360128,
     102760448},
    {"allgatherv", "dispatch", "fp8", MOE_PHASE_prefill, 7456, 53444608,
     102760448},
    {"allgatherv", "dispatch", "bf16", MOE_PHASE_prefill, 14400, 103219200,
     102760448},
};

START_TEST(bytes_of_the_deepseek_example_are_as_published)
{
    const published_t *p = &published[_i];
    const moe_method_t *method = moe_method_find(p->method);
    moe_model_t deepseek = moe_test_deepseek();
    moe_test_layer_t t;
    moe_method_use_t use;
    moe_summary_t summary;
    moe_trace_sink_t sink;

    ck_assert_ptr_nonnull(method);
    moe_test_layer_init(&t, &deepseek, 8, MOE_TOKENS_equal, 1024);
    t.layer.phase = p->phase;
    use = moe_test_use(method, &t.layer, p->key, p->value);
    ck_assert_int_eq(moe_summary_init(8, false, &summary), MOE_OK);
    sink = moe_summary_sink(&summary);
    ck_assert_int_eq(
        moe_meta_run(&t.layer, &use, &t.routing, NULL, ~0U, &sink, NULL),
        MOE_OK);
    ck_assert_int_eq(moe_summary_dispatch_bytes_per_token(&summary),
                     p->bytes_per_token);
    for (int r = 0; r < 8; r++) {
        const moe_bytes_t *stage = summary.rank[r].stage;

        ck_assert_int_eq(stage[MOE_STAGE_prepare].wire_sent, p->sent_prepare);
        ck_assert_int_eq(stage[MOE_STAGE_finalize].wire_sent, p->sent_finalize);
    }
    moe_summary_fini(&summary);
    moe_test_layer_fini(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("methods_meta");
    TCase *tcase = tcase_create("methods_meta");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, every_method_keeps_its_promises_at_every_size, 0,
                        N_CASES);
    tcase_add_loop_test(tcase, bytes_of_the_deepseek_example_are_as_published,
                        0, (int)(sizeof(published) / sizeof(published[0])));
    tcase_add_loop_test(
        tcase, methods_that_split_tokens_over_tp_keep_their_promises, 0,
        (int)(sizeof(shared) / sizeof(shared[0])) * MOE_TOKENS_COUNT);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
