/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger follows what each method calls, and nothing else: two of its
 * collectives change places, or one is done twice, while name, card and
 * formulas stay (tests/call_probe.h). The output stays too. */
#include "config.h"

#include "models/backend_meta.h"
#include "sim/methods/registry.h"
#include "tests/call_lines.h"
#include "tests/layers.h"
#include "tests/rank_setup.h"

#include <stdlib.h>
#include <string.h>

#define RANKS 4

/* One run of a method, as the ledger holds it. */
typedef struct {
    call_probe_change_t change;
    int at;        /* collective, from 0 */
    int64_t begin; /* entries of a rank */
    int64_t end;
} entered_t;

typedef struct {
    uint16_t *data;
    int64_t bytes;
    bool compare;
} output_t;

static moe_status_t keep_output(void *self, const moe_tensor_t *out)
{
    output_t *o = self;
    int64_t bytes = moe_tensor_row_bytes(out, out->dim[0]);

    if (o->compare) {
        ck_assert_int_eq(bytes, o->bytes);
        ck_assert_int_eq(memcmp(o->data, out->data, (size_t)bytes), 0);
        return MOE_OK;
    }
    o->bytes = bytes;
    o->data = malloc((size_t)bytes + 1);
    ck_assert_ptr_nonnull(o->data);
    memcpy(o->data, out->data, (size_t)bytes);
    return MOE_OK;
}

static int collective_of(const call_probe_t *seen, int at)
{
    int n = 0;

    for (int i = 0; i < at; i++) {
        n += seen->moves[i];
    }
    return n;
}

/* The method's run on ref as it is, and with every change of collectives. */
static int enter_all(const rank_setup_t *s, const moe_method_use_t *use,
                     const call_probe_t *seen, entered_t *runs)
{
    uint16_t *hidden = rank_setup_hidden(s, use);
    output_t output = {0};
    const rank_setup_told_t told = {keep_output, &output};
    int n = 0;

    for (int i = -1; i < 2 * seen->n; i++) {
        const int at = i / 2;
        const call_probe_change_t change = i < 0        ? CALL_PROBE_NONE
                                           : i % 2 == 0 ? CALL_PROBE_SWAP
                                                        : CALL_PROBE_REPEAT;

        if (i >= 0 &&
            (!seen->moves[at] ||
             (i % 2 == 0 && !(seen->swaps[at] && seen->moves[at + 1])))) {
            continue;
        }
        call_probe_change(change, i < 0 ? -1 : at);
        runs[n] = (entered_t){change, i < 0 ? 0 : collective_of(seen, at),
                              moe_ledger_count(s->ledger), 0};
        rank_setup_run(s, use, hidden, &told);
        runs[n++].end = moe_ledger_count(s->ledger);
        output.compare = true;
    }
    free(output.data);
    free(hidden);
    return n;
}

/* Lines by entry, then rank; what a plan exchanges comes before the rest. */
static void compare_ledger(const char *what, char **lines, int n_collectives,
                           const entered_t *runs, int n_runs)
{
    char *before[CALL_PROBE_MAX];
    char *after[CALL_PROBE_MAX];

    for (int k = 1; k < n_runs; k++) {
        const int n = (int)(runs[0].end - runs[0].begin);
        const int m = (int)(runs[k].end - runs[k].begin);

        ck_assert_int_lt(m, CALL_PROBE_MAX);
        for (int r = 0; r < RANKS; r++) {
            for (int i = 0; i < n; i++) {
                before[i] = lines[(runs[0].begin + i) * RANKS + r];
            }
            for (int i = 0; i < m; i++) {
                after[i] = lines[(runs[k].begin + i) * RANKS + r];
            }
            call_lines_compare(what, before, n, after, m, runs[k].change,
                               n - n_collectives + runs[k].at);
        }
    }
}

static void check_ledger(const rank_setup_t *s, const char *what,
                         int n_collectives, const entered_t *runs, int n_runs)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = test_rank == 0 ? open_memstream(&text, &size) : NULL;
    call_lines_t *lines = call_lines_new();

    ck_assert_int_eq(moe_ledger_write(s->ledger, test_world, stream), MOE_OK);
    if (stream != NULL) {
        ck_assert_int_eq(fclose(stream), 0);
        for (char *rest = text, *line = strtok_r(rest, "\n", &rest);
             line != NULL; line = strtok_r(NULL, "\n", &rest)) {
            call_lines_add(lines, line);
        }
        ck_assert_int_eq(lines->n, moe_ledger_count(s->ledger) * RANKS);
        compare_ledger(what, lines->line, n_collectives, runs, n_runs);
    }
    call_lines_free(lines);
    free(text);
}

static call_probe_t watch(const rank_setup_t *s, const moe_method_use_t *use)
{
    call_probe_t seen;
    moe_trace_sink_t nothing = {0};

    call_probe_watch(&seen);
    ck_assert_int_eq(moe_meta_run(&s->scenario->layer, use, &s->routing, NULL,
                                  ~0U, &nothing, NULL),
                     MOE_OK);
    return seen;
}

/* The tutorial's layer, small enough for tp_allreduce's parts. */
static const moe_change_t changes[] = {{"methods", "[allgatherv]"},
                                       {"model.hidden", "128"},
                                       {"model.intermediate", "256"},
                                       {"workload.tokens", "4"},
                                       {"numerics", "faithful"}};

START_TEST(the_ledger_follows_the_calls_of_every_method)
{
    rank_setup_t s;
    moe_method_use_t use;
    call_probe_t seen;
    entered_t runs[2 * CALL_PROBE_MAX];
    int n_runs;

    rank_setup_inputs(&s, changes, sizeof(changes) / sizeof(changes[0]));
    rank_setup_backend(&s);
    use = moe_test_use(moe_method_get(_i), &s.scenario->layer, NULL, NULL);
    seen = watch(&s, &use);
    n_runs = enter_all(&s, &use, &seen, runs);
    ck_assert(n_runs > 1 || !moe_contract_computes(&use.method->contract));
    check_ledger(&s, use.label, collective_of(&seen, seen.n), runs, n_runs);
    rank_setup_free(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("calls entered");
    TCase *tcase = tcase_create("calls");

    tcase_add_loop_test(tcase, the_ledger_follows_the_calls_of_every_method, 0,
                        moe_method_count());
    suite_add_tcase(suite, tcase);
    return moe_mpi_suite_main(suite);
}
