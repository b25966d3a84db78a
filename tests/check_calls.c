/* SPDX-License-Identifier: Apache-2.0 */
/* Trace, wire and price follow what each method calls, and nothing else: two
 * of its operations change places, or a collective is done twice, while name,
 * card and formulas stay (tests/call_probe.h). The ledger does so too:
 * tests/check_calls_entered.c. */
#include "models/backend_meta.h"
#include "models/price.h"
#include "models/summary.h"
#include "sim/methods/registry.h"
#include "sim/price/trace_json.h"
#include "tests/call_lines.h"
#include "tests/layers.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

#define RANKS 4

/* A method's run on all ranks of meta. */
typedef struct {
    call_lines_t *lines[RANKS]; /* of its operations */
    int64_t payload[RANKS][CALL_PROBE_MAX];
    int64_t wire[RANKS][CALL_PROBE_MAX]; /* sent */
    moe_summary_t summary;
    moe_price_result_t price;
} traced_t;

/* A price of the records in another order than they come. */
typedef struct {
    moe_price_t *price;
    int at; /* operation that changes places with the next; -1: none */
    int rank;
    int next;
    moe_trace_record_t held;
} exchange_t;

static moe_status_t note_record(void *self, const moe_trace_record_t *r)
{
    traced_t *t = self;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    moe_trace_json_t json = {stream, NULL};
    int i = t->lines[r->rank]->n;

    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(moe_trace_json_record(&json, r), MOE_OK);
    ck_assert_int_eq(fclose(stream), 0);
    if (r->op != MOE_OP_agree) {
        call_lines_add(t->lines[r->rank], text);
        t->payload[r->rank][i] = r->payload;
        t->wire[r->rank][i] =
            moe_wire(r->op, moe_wire_algorithm(r->op), &r->transfer).sent;
    }
    free(text);
    return MOE_OK;
}

/* The numbers of a record stay with its place. */
static moe_status_t exchange_record(void *self, const moe_trace_record_t *r)
{
    exchange_t *x = self;
    moe_trace_record_t first = *r;
    int i;

    if (r->rank != x->rank) {
        x->rank = r->rank;
        x->next = 0;
    }
    i = r->op == MOE_OP_agree ? -2 : x->next++;
    if (x->at >= 0 && i == x->at) {
        x->held = *r;
        return MOE_OK;
    }
    if (x->at < 0 || i != x->at + 1) {
        return moe_price_record(x->price, r);
    }
    first.id = x->held.id;
    x->held.id = r->id;
    if (first.call != 0 && x->held.call != 0) {
        first.call = x->held.call;
        x->held.call = r->call;
    }
    ck_assert_int_eq(moe_price_record(x->price, &first), MOE_OK);
    return moe_price_record(x->price, &x->held);
}

static moe_price_result_t price_exchanged(const moe_test_layer_t *s,
                                          const moe_method_use_t *use,
                                          const moe_machine_t *machine, int at)
{
    moe_price_result_t result = {0};
    exchange_t x = {.at = at, .rank = -1};
    moe_trace_sink_t sink = {.self = &x, .record = exchange_record};

    ck_assert_int_eq(moe_price_create(machine, RANKS, &x.price), MOE_OK);
    ck_assert_int_eq(
        moe_meta_run(&s->layer, use, &s->routing, NULL, ~0U, &sink, NULL),
        MOE_OK);
    ck_assert_int_eq(moe_price_finish(x.price, &result), MOE_OK);
    moe_price_free(x.price);
    return result;
}

static traced_t *trace(const moe_test_layer_t *s, const moe_method_use_t *use,
                       const moe_machine_t *machine)
{
    traced_t *t = calloc(1, sizeof(*t));
    moe_price_t *price;
    moe_trace_sink_t notes = {.self = t, .record = note_record};
    moe_trace_sink_t sums;
    moe_trace_sink_t times;
    moe_tee_t tee = {.n = 3, .sink = {&notes, &sums, &times}};
    moe_trace_sink_t all = moe_tee_sink(&tee);

    ck_assert_ptr_nonnull(t);
    for (int r = 0; r < RANKS; r++) {
        t->lines[r] = call_lines_new();
    }
    ck_assert_int_eq(moe_summary_init(RANKS, false, &t->summary), MOE_OK);
    ck_assert_int_eq(moe_price_create(machine, RANKS, &price), MOE_OK);
    sums = moe_summary_sink(&t->summary);
    times = (moe_trace_sink_t){.self = price, .record = moe_price_record};
    ck_assert_msg(moe_meta_run(&s->layer, use, &s->routing, NULL, ~0U, &all,
                               NULL) == MOE_OK,
                  "%s: %s", use->label, moe_error_text());
    ck_assert_msg(moe_price_finish(price, &t->price) == MOE_OK, "%s: %s",
                  use->label, moe_error_text());
    moe_price_free(price);
    return t;
}

static void traced_free(traced_t *t)
{
    for (int r = 0; r < RANKS; r++) {
        call_lines_free(t->lines[r]);
    }
    moe_summary_fini(&t->summary);
    moe_price_result_fini(&t->price);
    free(t);
}

static void compare_traces(const char *what, const traced_t *before,
                           const traced_t *after, call_probe_change_t change,
                           int at)
{
    const bool twice = change == CALL_PROBE_REPEAT;

    for (int r = 0; r < RANKS; r++) {
        const moe_bytes_t b = moe_summary_bytes(&before->summary, r, ~0U);
        const moe_bytes_t a = moe_summary_bytes(&after->summary, r, ~0U);

        call_lines_compare(what, before->lines[r]->line, before->lines[r]->n,
                           after->lines[r]->line, after->lines[r]->n, change,
                           at);
        ck_assert_int_eq(a.payload,
                         b.payload + (twice ? before->payload[r][at] : 0));
        ck_assert_int_eq(a.wire_sent,
                         b.wire_sent + (twice ? before->wire[r][at] : 0));
    }
}

/* The price of other calls is that of the trace with two records exchanged,
 * operation by operation. */
static void compare_prices(const moe_price_result_t *a,
                           const moe_price_result_t *b)
{
    ck_assert_double_eq(a->total.us, b->total.us);
    ck_assert_uint_eq(a->n_events, b->n_events);
    for (size_t i = 0; i < a->n_events; i++) {
        ck_assert_int_eq(a->event[i].record, b->event[i].record);
        ck_assert_int_eq(a->event[i].op, b->event[i].op);
        ck_assert_int_eq(a->event[i].role, b->event[i].role);
        ck_assert_int_eq(a->event[i].bytes, b->event[i].bytes);
        ck_assert_double_eq(a->event[i].start_us, b->event[i].start_us);
    }
}

static void change_trace(const moe_test_layer_t *s, const moe_method_use_t *use,
                         const traced_t *before, call_probe_change_t change,
                         int at)
{
    const moe_machine_t machine = moe_test_machine();
    moe_price_result_t expected;
    traced_t *after;

    call_probe_change(change, at);
    after = trace(s, use, &machine);
    call_probe_change(CALL_PROBE_NONE, -1);
    compare_traces(use->label, before, after, change, at);
    if (change == CALL_PROBE_REPEAT) {
        ck_assert_double_gt(after->price.total.us, before->price.total.us);
    } else {
        expected = price_exchanged(s, use, &machine, at);
        compare_prices(&after->price, &expected);
        moe_price_result_fini(&expected);
    }
    traced_free(after);
}

/* Every change of a method: how many operations changed places. */
static int change_all(const moe_test_layer_t *s, const moe_method_use_t *use)
{
    const moe_machine_t machine = moe_test_machine();
    call_probe_t seen;
    traced_t *before;
    int n_swapped = 0;
    int n_repeated = 0;

    call_probe_watch(&seen);
    before = trace(s, use, &machine);
    for (int i = 0; i < seen.n; i++) {
        if (seen.swaps[i]) {
            change_trace(s, use, before, CALL_PROBE_SWAP, i);
            n_swapped++;
        }
        if (seen.moves[i]) {
            change_trace(s, use, before, CALL_PROBE_REPEAT, i);
            n_repeated++;
        }
    }
    traced_free(before);
    ck_assert(n_repeated > 0 || !moe_contract_computes(&use->method->contract));
    return n_swapped;
}

START_TEST(trace_wire_and_price_follow_the_calls_of_every_method)
{
    const moe_method_t *method = moe_method_get(_i);
    const moe_model_t small = moe_test_small();
    moe_test_layer_t layer;
    moe_method_use_t use;

    moe_test_layer_init(&layer, &small, RANKS, MOE_TOKENS_equal, 11);
    use = moe_test_use(method, &layer.layer, NULL, NULL);
    ck_assert(moe_test_runs(&layer.layer, &use));
    /* dummy is a chain: nothing in it can change places */
    ck_assert(change_all(&layer, &use) > 0 ||
              !moe_contract_computes(&method->contract));
    moe_test_layer_fini(&layer);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("calls");
    TCase *tcase = tcase_create("calls");

    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase,
                        trace_wire_and_price_follow_the_calls_of_every_method,
                        0, moe_method_count());
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
