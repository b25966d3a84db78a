/* SPDX-License-Identifier: Apache-2.0 */
/* What the price of every method must obey, whatever its numbers. */
#include "tests/support.h"

#include "models/backend_meta.h"
#include "models/price.h"
#include "models/summary.h"
#include "sim/methods/registry.h"
#include "tests/layers.h"

#include <math.h>
#include <string.h>

static const int rank_counts[] = {1, 2, 3, 8, 16};

enum {
    N_RANK_COUNTS = sizeof(rank_counts) / sizeof(rank_counts[0]),
    N_CASES = N_RANK_COUNTS * MOE_TOKENS_COUNT
};

/* Price of a method; *summary_p, if wanted, is the caller's. */
static moe_price_result_t price_of(const moe_machine_t *machine,
                                   const moe_test_layer_t *t,
                                   const moe_method_use_t *use,
                                   moe_summary_t *summary_p)
{
    int n = t->layer.layout.dp;
    moe_price_result_t result = {0};
    moe_summary_t summary;
    moe_price_t *price;
    moe_trace_sink_t sums;
    moe_trace_sink_t times;
    moe_tee_t tee = {.n = 2, .sink = {&sums, &times}};
    moe_trace_sink_t both = moe_tee_sink(&tee);

    ck_assert_int_eq(moe_summary_init(n, false, &summary), MOE_OK);
    ck_assert_int_eq(moe_price_create(machine, n, &price), MOE_OK);
    sums = moe_summary_sink(&summary);
    times = (moe_trace_sink_t){.self = price, .record = moe_price_record};
    ck_assert_int_eq(
        moe_meta_run(&t->layer, use, &t->routing, NULL, ~0U, &both, NULL),
        MOE_OK);
    ck_assert_msg(moe_price_finish(price, &result) == MOE_OK, "%s",
                  moe_error_text());
    moe_price_free(price);
    if (summary_p != NULL) {
        *summary_p = summary;
    } else {
        moe_summary_fini(&summary);
    }
    return result;
}

static void check_time(const moe_time_t *t)
{
    ck_assert(isfinite(t->us) && t->us >= 0.0 && t->low_us >= 0.0);
    ck_assert(t->low_us <= t->us && t->us <= t->high_us);
}

static double sum_of_parts(const moe_parts_t *p)
{
    return p->launch + p->latency + p->bandwidth + p->memory + p->compute;
}

static void check_sums(const moe_price_result_t *r)
{
    double stages = 0.0;

    check_time(&r->total);
    for (int s = 0; s < MOE_STAGE_COUNT; s++) {
        check_time(&r->stage[s]);
        stages += r->stage[s].us;
    }
    for (int i = 0; i < r->n_ranks; i++) {
        check_time(&r->rank[i]);
        ck_assert_double_le(r->rank[i].us, r->total.us);
    }
    ck_assert_double_eq_tol(stages, r->total.us, 1e-6);
    ck_assert_double_eq_tol(sum_of_parts(&r->parts), r->total.us, 1e-6);
}

/* A stream does one thing at a time; a rank's streams bound its end. */
static void check_events(const moe_price_result_t *r)
{
    double busy[2] = {0.0, 0.0};
    double until[2] = {0.0, 0.0};

    for (size_t i = 0; i < r->n_events; i++) {
        const moe_event_t *e = &r->event[i];

        if (i == 0 || e->rank != r->event[i - 1].rank) {
            memset(busy, 0, sizeof(busy));
            memset(until, 0, sizeof(until));
        } else {
            ck_assert_double_ge(e->start_us, r->event[i - 1].start_us);
        }
        ck_assert_double_ge(e->start_us, until[e->stream] - 1e-9);
        ck_assert_double_le(e->low_us, e->end_us - e->start_us + 1e-9);
        ck_assert_double_ge(e->high_us, e->end_us - e->start_us - 1e-9);
        until[e->stream] = e->end_us;
        busy[e->stream] += e->end_us - e->start_us;
        ck_assert_double_le(busy[e->stream], r->rank[e->rank].us + 1e-6);
        ck_assert_double_le(e->end_us, r->total.us + 1e-6);
    }
}

/* No rank is done before its bytes are through its port. */
static void check_bandwidth(const moe_machine_t *machine,
                            const moe_price_result_t *r,
                            const moe_summary_t *summary)
{
    int tier = r->n_ranks > machine->tier[0].size;

    for (int i = 0; i < r->n_ranks; i++) {
        moe_bytes_t b = moe_summary_bytes(summary, i, ~0U);
        int64_t most =
            b.wire_sent > b.wire_received ? b.wire_sent : b.wire_received;

        ck_assert_double_ge(r->rank[i].us * (1 + 1e-9),
                            1e6 * (double)most /
                                machine->tier[tier].bw_bytes_per_s.value);
    }
}

/* Counts that ranks exchange cost time without any token too. */
static bool sends_anything(const moe_summary_t *summary, int n)
{
    int64_t sent = 0;

    for (int i = 0; i < n; i++) {
        sent += moe_summary_bytes(summary, i, ~0U).wire_sent;
    }
    return sent > 0;
}

START_TEST(prices_sum_and_stay_above_their_bounds)
{
    int n = rank_counts[_i / MOE_TOKENS_COUNT];
    moe_model_t small = moe_test_small();
    moe_machine_t machine = moe_test_machine();
    moe_test_layer_t t;
    int priced = 0;

    moe_test_layer_init(&t, &small, n,
                        (moe_test_tokens_t)(_i % MOE_TOKENS_COUNT), 40);
    for (int m = 0; m < moe_method_count(); m++) {
        moe_method_use_t use =
            moe_test_use(moe_method_get(m), &t.layer, NULL, NULL);
        moe_summary_t summary;
        moe_price_result_t r;

        if (!moe_test_runs(&t.layer, &use)) {
            continue; /* ranks of unequally many experts */
        }
        r = price_of(&machine, &t, &use, &summary);
        priced++;
        ck_assert_int_eq(r.n_ranks, n);
        check_sums(&r);
        check_events(&r);
        check_bandwidth(&machine, &r, &summary);
        ck_assert_int_eq(r.total.us > 0.0,
                         moe_layer_total_tokens(&t.layer) > 0 ||
                             use.method->gate != NULL || /* counts nothing */
                             sends_anything(&summary, n));
        moe_price_result_fini(&r);
        moe_summary_fini(&summary);
    }
    ck_assert_int_gt(2 * priced, moe_method_count());
    moe_test_layer_fini(&t);
}
END_TEST

static double price_at(const moe_method_t *method, int64_t tokens)
{
    moe_model_t small = moe_test_small();
    moe_machine_t machine = moe_test_machine();
    moe_test_layer_t t;
    moe_method_use_t use;
    moe_price_result_t r;
    double us;

    moe_test_layer_init(&t, &small, 4, MOE_TOKENS_equal, tokens);
    use = moe_test_use(method, &t.layer, NULL, NULL);
    r = price_of(&machine, &t, &use, NULL);
    us = r.total.us;
    moe_price_result_fini(&r);
    moe_test_layer_fini(&t);
    return us;
}

START_TEST(more_tokens_never_cost_less)
{
    for (int m = 0; m < moe_method_count(); m++) {
        double last = 0.0;

        for (int64_t tokens = 0; tokens <= 4096; tokens = 2 * tokens + 1) {
            double us = price_at(moe_method_get(m), tokens);

            ck_assert_double_ge(us, last);
            last = us;
        }
    }
}
END_TEST

/* The total moves by at least what the result says that a constant moves of
 * it: the longest path can only be overtaken by a longer one. */
START_TEST(a_worse_constant_costs_at_least_its_share)
{
    moe_model_t small = moe_test_small();
    moe_machine_t machine = moe_test_machine();
    moe_machine_t slow_port = machine;
    moe_machine_t slow_start = machine;
    moe_test_layer_t t;

    slow_port.tier[0].bw_bytes_per_s.value /= 3.0;
    slow_start.launch_s.value *= 3.0;
    moe_test_layer_init(&t, &small, 4, MOE_TOKENS_ragged, 300);
    for (int m = 0; m < moe_method_count(); m++) {
        moe_method_use_t use =
            moe_test_use(moe_method_get(m), &t.layer, NULL, NULL);
        moe_price_result_t r = price_of(&machine, &t, &use, NULL);
        moe_price_result_t port = price_of(&slow_port, &t, &use, NULL);
        moe_price_result_t start = price_of(&slow_start, &t, &use, NULL);

        ck_assert_uint_gt(r.n_constants, 0);
        for (size_t i = 0; i < r.n_constants; i++) {
            const moe_price_constant_t *c = &r.constant[i];

            if (strcmp(c->name, "tiers.inner.bw_bytes_per_s") == 0) {
                ck_assert_double_ge(port.total.us + 1e-6,
                                    r.total.us + 2.0 * c->us);
            }
            if (strcmp(c->name, "launch_s") == 0) {
                ck_assert_double_ge(start.total.us + 1e-6,
                                    r.total.us + 2.0 * c->us);
            }
        }
        moe_price_result_fini(&r);
        moe_price_result_fini(&port);
        moe_price_result_fini(&start);
    }
    moe_test_layer_fini(&t);
}
END_TEST

/* The suite's time limit holds this to seconds; a third of the methods, all in
 * make check-full. */
START_TEST(a_thousand_ranks_are_priced_in_reasonable_time)
{
    moe_model_t deepseek = moe_test_deepseek();
    moe_machine_t machine = moe_test_machine();
    moe_test_layer_t t;
    int priced = 0;

    moe_test_layer_init(&t, &deepseek, 1024, MOE_TOKENS_equal, 4);
    for (int m = 0; m < moe_method_count(); m++) {
        moe_method_use_t use =
            moe_test_use(moe_method_get(m), &t.layer, NULL, NULL);
        moe_price_result_t r;

        if ((m % 3 != 0 && !moe_test_full()) ||
            !moe_test_runs(&t.layer, &use)) {
            continue; /* an expert has no thousand parts */
        }
        r = price_of(&machine, &t, &use, NULL);
        check_sums(&r);
        moe_price_result_fini(&r);
        priced++;
    }
    ck_assert_int_gt(priced, 1);
    moe_test_layer_fini(&t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("price_methods");
    TCase *tcase = tcase_create("price_methods");

    tcase_set_timeout(tcase, 240);
    tcase_add_loop_test(tcase, prices_sum_and_stay_above_their_bounds, 0,
                        N_CASES);
    tcase_add_test(tcase, more_tokens_never_cost_less);
    tcase_add_test(tcase, a_worse_constant_costs_at_least_its_share);
    tcase_add_test(tcase, a_thousand_ranks_are_priced_in_reasonable_time);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
