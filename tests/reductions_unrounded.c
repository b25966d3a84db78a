/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/reductions.h"

#include <stdlib.h>
#include <string.h>

/* TOKENS tokens of four slots; slot s of token t uses expert (t + 2 s) mod 12
 * with a weight; the row that an expert returns holds values. Experts lie in
 * contiguous blocks over the ranks. Some tokens have terms that cancel, so
 * that an expansion of two numbers cannot decide their rounding. */

#define TOKENS 9
#define SLOTS  4

static int32_t expert_of(int64_t token, int slot)
{
    return (int32_t)((token + 2 * slot) % 12);
}

/* Terms: odd tokens 2^120, a tie of bf16, a trifle, -2^120; others plain. */
static double term_of(int64_t token, int slot, int64_t col)
{
    double tie = (col % 2 == 0 ? 1.0 : 3.0) + 0x1p-8 * (col % 2 == 0 ? 1 : 2);

    if (token % 2 == 0) {
        return (double)(token * 4 + slot) * 0.0625 + (double)col;
    }
    switch ((slot + (int)token / 2) % 4) {
    case 0:
        return 0x1p120;
    case 1:
        return tie;
    case 2:
        return (col % 4 < 2 ? 1.0 : -1.0) * 0x1p-100;
    default:
        return -0x1p120;
    }
}

typedef struct {
    moe_tensor_t *ids;
    moe_tensor_t *weights;
    moe_tensor_t *index;
    moe_tensor_t *rows;
    moe_tensor_t *sum;
} sums_t;

static moe_tensor_t *new_index(test_run_t *run, moe_tensor_t *ids)
{
    moe_range_t local = moe_layout_experts(&run->layer.layout, 12, test_rank);
    moe_tensor_t *t = calloc(1, sizeof(*t));
    moe_call_t call = {.op = MOE_OP_group_rows, .n_in = 1, .n_out = 1};
    moe_trace_record_t record = {0};

    ck_assert_ptr_nonnull(t);
    t->role = MOE_ROLE_index;
    t->storage.format = MOE_FORMAT_i32;
    t->dtype = MOE_DTYPE_i32;
    t->first_expert = local.begin;
    t->n_experts = local.end - local.begin;
    t->rows_per_expert = calloc(13, sizeof(int64_t));
    for (int64_t i = 0; i < TOKENS * SLOTS; i++) {
        int64_t e = expert_of(i / SLOTS, (int)(i % SLOTS)) - local.begin;

        if (e >= 0 && e < t->n_experts) {
            t->rows_per_expert[e]++;
            t->valid_rows++;
        }
    }
    t->dim[0] = t->valid_rows;
    t->dim[1] = 1;
    t->source[0] = ids;
    ck_assert_int_eq(run->backend->alloc(run->backend, t), MOE_OK);
    call.in[0] = ids;
    call.out[0] = t;
    ck_assert_int_eq(run->backend->run(run->backend, &call, &record), MOE_OK);
    return t;
}

/* The slot of a grouped row: experts of a token differ. */
static void fill_grouped(const sums_t *s)
{
    int64_t at = 0;

    for (int64_t e = 0; e < s->index->n_experts; e++) {
        for (int64_t t = 0; t < TOKENS; t++) {
            for (int k = 0; k < SLOTS; k++) {
                if (expert_of(t, k) != s->index->first_expert + e) {
                    continue;
                }
                for (int64_t c = 0; c < COLS; c++) {
                    ((float *)s->rows->data)[at * COLS + c] =
                        (float)(term_of(t, k, c) * 0.5);
                }
                at++;
            }
        }
    }
    ck_assert_int_eq(at, s->index->valid_rows);
}

static void new_sums(test_run_t *run, sums_t *s)
{
    s->ids = test_tensor(run, MOE_FORMAT_i32, TOKENS, SLOTS);
    s->weights = test_tensor(run, MOE_FORMAT_fp32, TOKENS, SLOTS);
    for (int64_t i = 0; i < TOKENS * SLOTS; i++) {
        ((int32_t *)s->ids->data)[i] = expert_of(i / SLOTS, (int)(i % SLOTS));
        ((float *)s->weights->data)[i] = 2.0f;
    }
    s->index = new_index(run, s->ids);
    s->rows = test_tensor(run, MOE_FORMAT_fp32, s->index->valid_rows, COLS);
    fill_grouped(s);
    s->sum = calloc(1, sizeof(*s->sum));
    ck_assert_ptr_nonnull(s->sum);
    s->sum->storage.format = MOE_FORMAT_bf16;
    s->sum->dtype = MOE_DTYPE_bf16;
    s->sum->carried_exact = true;
    s->sum->dim[0] = s->sum->valid_rows = TOKENS;
    s->sum->dim[1] = COLS;
    s->sum->source[0] = s->rows;
    s->sum->source[1] = s->index;
    s->sum->source[2] = s->weights;
    ck_assert_int_eq(run->backend->alloc(run->backend, s->sum), MOE_OK);
    ck_assert_int_eq(run->backend->storage_bytes(s->sum), 0);
}

static void free_sums(test_run_t *run, sums_t *s)
{
    test_tensor_free(run, s->sum);
    test_tensor_free(run, s->rows);
    free(s->index->rows_per_expert);
    test_tensor_free(run, s->index);
    test_tensor_free(run, s->weights);
    test_tensor_free(run, s->ids);
}

/* By hand: the cancelling tokens are their tie, pushed by the trifle. */
static uint16_t want_sum(int64_t token, int64_t col)
{
    double sum = 0.0;

    if (token % 2 == 1) {
        double tie =
            (col % 2 == 0 ? 1.0 : 3.0) + 0x1p-8 * (col % 2 == 0 ? 1 : 2);

        return round_bf16(tie + (col % 4 < 2 ? 1.0 : -1.0) * 0x1p-20);
    }
    for (int k = 0; k < SLOTS; k++) {
        sum += term_of(token, k, col);
    }
    return round_bf16(sum);
}

static void check_sums(const moe_tensor_t *t, int64_t row)
{
    for (int64_t i = 0; i < t->dim[0] * COLS; i++) {
        ck_assert_uint_eq(((const uint16_t *)t->data)[i],
                          want_sum(row + i / COLS, i % COLS));
    }
}

/* Elements whose terms had to be asked for, of all ranks. */
static int64_t redone_by_all(const test_run_t *run)
{
    int64_t own = moe_ref_backend_stats(run->backend)->redone_exact;
    moe_blob_t *all = NULL;
    int64_t sum = 0;

    ck_assert_int_eq(moe_world_share(test_world, &own, 8, &all), MOE_OK);
    for (int i = 0; i < test_ranks; i++) {
        memcpy(&own, all[i].data, sizeof(own));
        sum += own;
    }
    moe_blobs_free(all);
    return sum;
}

START_TEST(unrounded_sums_do_not_depend_on_the_ranks)
{
    test_run_t run;
    sums_t s;
    int64_t each[64];
    int64_t own[64];
    int64_t total[64];
    moe_range_t part;
    moe_tensor_t *out;
    moe_call_t call;

    test_run_init(&run, MOE_NUMERICS_exact, true, NULL);
    new_sums(&run, &s);
    part = moe_layout_part(TOKENS, test_ranks, test_rank);
    for (int i = 0; i < test_ranks; i++) {
        moe_range_t p = moe_layout_part(TOKENS, test_ranks, i);

        each[i] = p.end - p.begin;
        own[i] = part.end - part.begin;
        total[i] = TOKENS;
    }
    out = test_tensor(&run, MOE_FORMAT_bf16, part.end - part.begin, COLS);
    call = test_call(&run, MOE_OP_reducescatterv, s.sum, out, each, own);
    ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    check_sums(out, part.begin);
    test_tensor_free(&run, out);

    out = test_tensor(&run, MOE_FORMAT_bf16, TOKENS, COLS);
    call = test_call(&run, MOE_OP_allreduce, s.sum, out, total, total);
    ck_assert_int_eq(test_do(&run, &call), MOE_OK);
    check_sums(out, 0);
    ck_assert(redone_by_all(&run) > 0);
    test_tensor_free(&run, out);
    free_sums(&run, &s);
    test_run_fini(&run);
}
END_TEST

/* A reduction that leaves its sums unrounded, then their rounding here. */
static void reduce_terms(test_run_t *run, const sums_t *s, moe_op_t op,
                         moe_range_t part, const int64_t *send,
                         const int64_t *recv)
{
    moe_tensor_t *kept = calloc(1, sizeof(*kept));
    moe_tensor_t *out =
        test_tensor(run, MOE_FORMAT_bf16, part.end - part.begin, COLS);
    moe_trace_record_t record = {0};
    moe_call_t convert = {.op = MOE_OP_convert, .n_in = 1, .n_out = 1};
    moe_call_t call;

    ck_assert_ptr_nonnull(kept);
    kept->storage.format = MOE_FORMAT_bf16;
    kept->dtype = MOE_DTYPE_bf16;
    kept->carried_exact = kept->kept = true;
    kept->dim[0] = kept->valid_rows = part.end - part.begin;
    kept->dim[1] = COLS;
    ck_assert_int_eq(run->backend->alloc(run->backend, kept), MOE_OK);
    call = test_call(run, op, s->sum, kept, send, recv);
    ck_assert_int_eq(test_do(run, &call), MOE_OK);
    convert.in[0] = kept;
    convert.out[0] = out;
    ck_assert_int_eq(run->backend->run(run->backend, &convert, &record),
                     MOE_OK);
    check_sums(out, part.begin);
    test_tensor_free(run, out);
    test_tensor_free(run, kept);
}

START_TEST(sums_that_stay_unrounded_are_terms_of_others)
{
    test_run_t run;
    sums_t s;
    int64_t each[64];
    int64_t own[64];
    int64_t total[64];
    const moe_range_t all = {0, TOKENS};
    const moe_range_t part = moe_layout_part(TOKENS, test_ranks, test_rank);

    if (test_ranks == 1) {
        return; /* nothing is called */
    }
    test_run_init(&run, MOE_NUMERICS_exact, true, NULL);
    new_sums(&run, &s);
    for (int i = 0; i < test_ranks; i++) {
        moe_range_t p = moe_layout_part(TOKENS, test_ranks, i);

        each[i] = p.end - p.begin;
        own[i] = part.end - part.begin;
        total[i] = TOKENS;
    }
    reduce_terms(&run, &s, MOE_OP_reducescatterv, part, each, own);
    reduce_terms(&run, &s, MOE_OP_allreduce, all, total, total);
    free_sums(&run, &s);
    test_run_fini(&run);
}
END_TEST

START_TEST(an_unrounded_sum_of_one_rank_is_rounded_here)
{
    test_run_t run;
    moe_trace_record_t record = {0};
    moe_call_t call = {.op = MOE_OP_convert, .n_in = 1, .n_out = 1};
    moe_tensor_t *out;
    sums_t s;

    if (test_ranks > 1) {
        return;
    }
    test_run_init(&run, MOE_NUMERICS_exact, true, NULL);
    new_sums(&run, &s);
    out = test_tensor(&run, MOE_FORMAT_bf16, TOKENS, COLS);
    call.in[0] = s.sum;
    call.out[0] = out;
    ck_assert_int_eq(run.backend->run(run.backend, &call, &record), MOE_OK);
    check_sums(out, 0);
    ck_assert(moe_ref_backend_stats(run.backend)->redone_exact > 0);
    test_tensor_free(&run, out);
    free_sums(&run, &s);
    test_run_fini(&run);
}
END_TEST

TCase *unrounded_sums(void)
{
    TCase *tc = tcase_create("unrounded sums");

    tcase_add_test(tc, unrounded_sums_do_not_depend_on_the_ranks);
    tcase_add_test(tc, sums_that_stay_unrounded_are_terms_of_others);
    tcase_add_test(tc, an_unrounded_sum_of_one_rank_is_rounded_here);
    return tc;
}
