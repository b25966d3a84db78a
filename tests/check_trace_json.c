/* SPDX-License-Identifier: Apache-2.0 */
/* Traces as lines of JSON: read back, and compared with doc/trace.md. */
#include "tests/support.h"

#include "models/backend_meta.h"
#include "models/summary.h"
#include "sim/price/trace_json.h"
#include "sim/methods/registry.h"
#include "tests/layers.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

enum {
    RANKS = 3,
    LINE_MAX_BYTES = 65536
};

/* Trace of a method in a file that is at its beginning. */
static FILE *trace_of(const moe_method_t *method, moe_summary_t *summary)
{
    moe_model_t small = moe_test_small();
    FILE *file = tmpfile();
    moe_trace_sink_t sums = moe_summary_sink(summary);
    moe_trace_json_t to = {.stream = file, .method = method->name};
    moe_trace_sink_t lines = {.self = &to, .record = moe_trace_json_record};
    moe_tee_t tee = {.n = 2, .sink = {&sums, &lines}};
    moe_trace_sink_t both = moe_tee_sink(&tee);
    moe_method_use_t use;
    moe_test_layer_t t;

    ck_assert_ptr_nonnull(file);
    moe_test_layer_init(&t, &small, RANKS, MOE_TOKENS_ragged, 9);
    use = moe_test_use(method, &t.layer, NULL, NULL);
    ck_assert_int_eq(moe_trace_json_begin(file), MOE_OK);
    ck_assert_int_eq(
        moe_meta_run(&t.layer, &use, &t.routing, NULL, ~0U, &both, NULL),
        MOE_OK);
    moe_test_layer_fini(&t);
    rewind(file);
    return file;
}

static json_t *next_line(FILE *file)
{
    static char line[LINE_MAX_BYTES];

    return fgets(line, sizeof(line), file) == NULL
               ? NULL
               : json_loads(line, JSON_REJECT_DUPLICATES, NULL);
}

static int64_t number(const json_t *line, const char *key)
{
    return json_integer_value(json_object_get(line, key));
}

/* Payload of the collectives of a rank, and number of its lines. */
static void compare_rank(FILE *file, int rank, const moe_summary_t *summary)
{
    int64_t payload = 0;
    int64_t lines = 0;
    int64_t records = 0;
    json_t *line;

    rewind(file);
    json_decref(next_line(file));
    while ((line = next_line(file)) != NULL) {
        if (number(line, "rank") == rank) {
            payload +=
                json_object_get(line, "call") ? number(line, "payload") : 0;
            ck_assert_int_eq(number(line, "id"), ++lines);
        }
        json_decref(line);
    }
    for (int op = 0; op < MOE_OP_COUNT; op++) {
        records += summary->rank[rank].calls[op];
    }
    ck_assert_int_eq(lines, records);
    ck_assert_int_eq(payload, moe_summary_bytes(summary, rank, ~0U).payload);
}

/* Whether a method takes the layer of these traces. */
static bool runs(const moe_method_t *method)
{
    moe_model_t small = moe_test_small();
    moe_method_use_t use;
    moe_test_layer_t t;
    bool good;

    moe_test_layer_init(&t, &small, RANKS, MOE_TOKENS_ragged, 9);
    use = moe_test_use(method, &t.layer, NULL, NULL);
    good = moe_test_runs(&t.layer, &use);
    moe_test_layer_fini(&t);
    return good;
}

START_TEST(lines_hold_what_the_trace_holds)
{
    int n_traces = 0;

    for (int m = 0; m < moe_method_count(); m++) {
        moe_summary_t summary;
        json_t *head;
        FILE *file;

        if (!runs(moe_method_get(m))) {
            continue;
        }
        n_traces++;
        ck_assert_int_eq(moe_summary_init(RANKS, false, &summary), MOE_OK);
        file = trace_of(moe_method_get(m), &summary);
        head = next_line(file);
        ck_assert_str_eq(json_string_value(json_object_get(head, "format")),
                         "moesim-trace");
        ck_assert_int_eq(number(head, "version"), MOE_TRACE_VERSION);
        json_decref(head);
        for (int r = 0; r < RANKS; r++) {
            compare_rank(file, r, &summary);
        }
        ck_assert_int_eq(fclose(file), 0);
        moe_summary_fini(&summary);
    }
    ck_assert_int_gt(2 * n_traces, moe_method_count());
}
END_TEST

/* A record with every field there is. */
static void write_full(FILE *file, moe_op_t op)
{
    const int64_t rows[2] = {1, 2};
    const int ranks[2] = {0, 1};
    moe_trace_json_t to = {.stream = file, .method = "m"};
    moe_trace_record_t r = {.id = 1,
                            .op = op,
                            .bracket = 1,
                            .bracket_name = "list",
                            .call = 1,
                            .n_experts = 2,
                            .rows_per_expert = rows,
                            .transfer = {.n = 2,
                                         .me = 0,
                                         .ranks = ranks,
                                         .send_rows = rows,
                                         .recv_rows = rows,
                                         .row_bytes = 4,
                                         .root = 1},
                            .wall_s = 1.0};

    if (moe_op_plane(op) == MOE_PLANE_LOCAL) {
        r.transfer.n = 0;
    }
    ck_assert_int_eq(moe_trace_json_record(&to, &r), MOE_OK);
}

/* Keys of all kinds of records. */
static json_t *all_keys(void)
{
    static const moe_op_t ops[] = {MOE_OP_broadcast, MOE_OP_grouped_matmul,
                                   MOE_OP_agree};
    FILE *file = tmpfile();
    json_t *keys = json_object();
    json_t *line;

    ck_assert_ptr_nonnull(file);
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        write_full(file, ops[i]);
    }
    rewind(file);
    while ((line = next_line(file)) != NULL) {
        ck_assert_int_eq(json_object_update(keys, line), 0);
        json_decref(line);
    }
    ck_assert_int_eq(fclose(file), 0);
    return keys;
}

START_TEST(the_page_names_every_key_and_no_other)
{
    FILE *page = fopen(moe_test_source("doc/trace.md"), "r");
    json_t *keys = all_keys();
    char line[1024];

    ck_assert_ptr_nonnull(page);
    while (fgets(line, sizeof(line), page) != NULL) {
        char key[64];

        if (sscanf(line, "| `%63[a-z_]` |", key) == 1) {
            ck_assert_msg(json_object_del(keys, key) == 0,
                          "doc/trace.md has %s, a trace has not", key);
        }
    }
    ck_assert_msg(json_object_size(keys) == 0, "doc/trace.md lacks %s",
                  json_object_iter_key(json_object_iter(keys)));
    json_decref(keys);
    ck_assert_int_eq(fclose(page), 0);
}
END_TEST

START_TEST(a_full_disk_is_an_error)
{
    FILE *full = fopen("/dev/full", "w");

    if (full == NULL) {
        return;
    }
    ck_assert_int_eq(setvbuf(full, NULL, _IONBF, 0), 0);
    ck_assert_int_eq(moe_trace_json_begin(full), MOE_ERR_IO);
    (void)fclose(full);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace_json");
    TCase *tcase = tcase_create("trace_json");

    tcase_add_test(tcase, lines_hold_what_the_trace_holds);
    tcase_add_test(tcase, the_page_names_every_key_and_no_other);
    tcase_add_test(tcase, a_full_disk_is_an_error);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
