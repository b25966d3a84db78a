/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/combine.h"
#include "tests/judge.h"
#include "tests/support.h"

#include <stdlib.h>
#include <string.h>

static const moe_format_t floats[] = {MOE_FORMAT_bf16, MOE_FORMAT_fp16,
                                      MOE_FORMAT_fp32};

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

/* Weighted sums of rows: 3 tokens, 4 slots, experts 2..4 of 0..5 are here. */
enum {
    ROWS = 3,
    TOPK = 4,
    COLS = 150
};

static const int32_t ids[ROWS * TOPK] = {3, 0, 2, 4, 0, 1, 5, 0, 4, 2, 1, 5};

typedef struct {
    moe_ref_index_t index;
    float weights[ROWS * TOPK];
    uint32_t codes[ROWS * TOPK * COLS]; /* of the widest format */
    moe_ref_terms_t terms;
} sample_t;

static void put(void *codes, moe_format_t format, int64_t at, uint32_t code)
{
    if (format == MOE_FORMAT_fp32) {
        ((uint32_t *)codes)[at] = code;
    } else {
        ((uint16_t *)codes)[at] = (uint16_t)code;
    }
}

static void put_numbers(void *codes, moe_format_t format, int n,
                        uint64_t *state)
{
    for (int i = 0; i < n; i++) {
        put(codes, format, i,
            moe_round_f64(format, judge_number(state, 24, -5, 5)));
    }
}

static uint32_t get(const void *codes, moe_format_t format, int64_t at)
{
    return format == MOE_FORMAT_fp32 ? ((const uint32_t *)codes)[at]
                                     : ((const uint16_t *)codes)[at];
}

static void sample_init(sample_t *sample, moe_format_t format)
{
    uint64_t state = 4711;

    ck_assert_int_eq(moe_ref_index_init(ids, ROWS, TOPK, 2, 3, &sample->index),
                     MOE_OK);
    for (int i = 0; i < ROWS * TOPK; i++) {
        sample->weights[i] = (float)judge_number(&state, 24, -8, 0);
    }
    put_numbers(sample->codes, format, (int)sample->index.n * COLS, &state);
    sample->terms = (moe_ref_terms_t){.rows = {.storage = {.format = format},
                                               .rows = sample->index.n,
                                               .cols = COLS,
                                               .codes = sample->codes},
                                      .index = &sample->index,
                                      .weights = sample->weights};
}

/* Terms of an element, straight from the arrays. */
static int plain_terms(const sample_t *sample, int row, int col, double *w,
                       double *x)
{
    int n = 0;

    for (int s = 0; s < TOPK; s++) {
        int64_t place = sample->index.place[row * TOPK + s];
        moe_format_t format = sample->terms.rows.storage.format;

        ck_assert_int_eq(place >= 0,
                         ids[row * TOPK + s] >= 2 && ids[row * TOPK + s] <= 4);
        if (place >= 0) {
            w[n] = (double)sample->weights[row * TOPK + s];
            x[n++] = moe_float_value(
                format, get(sample->codes, format, place * COLS + col));
        }
    }
    return n;
}

START_TEST(sums_of_rows_are_those_of_their_terms)
{
    moe_format_t format = floats[_i];
    sample_t sample;
    moe_sum_t *sums = calloc(ROWS * COLS, sizeof(*sums));

    ck_assert_ptr_nonnull(sums);
    sample_init(&sample, format);
    moe_ref_sum_rows(&sample.terms, 1, ROWS - 1, sums + COLS);
    moe_ref_sum_rows(&sample.terms, 0, 1, sums);
    for (int i = 0; i < ROWS * COLS; i++) {
        double w[TOPK];
        double x[TOPK];
        double term[TOPK];
        int n = plain_terms(&sample, i / COLS, i % COLS, w, x);
        double want = judge_sum(w, x, n, MOE_FORMAT_fp32) + 0.0;
        uint32_t bits;

        ck_assert_int_eq(
            moe_ref_sum_terms(&sample.terms, i / COLS, i % COLS, term), n);
        bits = moe_ref_round_terms(term, n, MOE_FORMAT_fp32);
        ck_assert(same((double)moe_f32_of_bits(bits), want));
        ck_assert(moe_sum_round(&sums[i], MOE_FORMAT_fp32, &bits));
        ck_assert(same((double)moe_f32_of_bits(bits), want));
    }
    moe_ref_index_fini(&sample.index);
    free(sums);
}
END_TEST

/* The numbers of slots of the tests: those that kernels have a tree for, and
 * some that they have not. */
static const int slots[] = {1, 2, 3, 4, 5, 6, 7, 8, 10, 16, 22};

enum {
    SLOTS = sizeof(slots) / sizeof(slots[0]),
    MOST = 22
};

/* A term of the tests: the judge's RN32 of weight x value. */
static double term_of(double w, double x)
{
    return judge_sum(&w, &x, 1, MOE_FORMAT_fp32);
}

/* RN(a + b) by the judge. */
static double plus(double a, double b, moe_format_t format)
{
    const double both[2] = {a, b};

    return judge_sum(both, NULL, 2, format);
}

static double cast(double a, moe_format_t format)
{
    return judge_sum(&a, NULL, 1, format);
}

/* ((x0 + x1) + x2) + ... */
static double in_order(const double *x, int n, moe_format_t f)
{
    double sum = x[0];

    for (int i = 1; i < n; i++) {
        sum = plus(sum, x[i], f);
    }
    return sum;
}

/* Written out from seed_systems.md 6.2, not by a rule. */
static double by_tree(const double *x, int n, moe_format_t f)
{
#define P(a, b) plus(a, b, f)
    double quad[6];

    for (int i = 0; i + 4 <= n; i += 4) {
        quad[i / 4] = P(P(x[i], x[i + 1]), P(x[i + 2], x[i + 3]));
    }
    switch (n) {
    case 2:
        return P(x[0], x[1]);
    case 4:
        return quad[0];
    case 6:
        return P(quad[0], P(x[4], x[5]));
    case 8:
        return P(quad[0], quad[1]);
    case 10:
        return P(P(quad[0], quad[1]), P(x[8], x[9]));
    case 16:
        return P(P(quad[0], quad[1]), P(quad[2], quad[3]));
    case 22:
        return P(P(P(quad[0], quad[1]), P(quad[2], quad[3])),
                 P(quad[4], P(x[20], x[21])));
    default:
        return in_order(x, n, f);
    }
#undef P
}

/* What an order of slots says of n terms, all of them here. */
static double slots_say(moe_order_t order, const double *w, const double *x,
                        int n, moe_format_t format)
{
    double term[MOST];
    double half[MOST];
    const bool wide = order == MOE_ORDER_expert && format == MOE_FORMAT_fp32;
    const moe_format_t kept = wide ? MOE_FORMAT_bf16 : format;

    for (int i = 0; i < n; i++) {
        term[i] = term_of(w[i], x[i]);
        half[i] = cast(term[i], kept);
    }
    switch (order) {
    case MOE_ORDER_exact:
        return judge_sum(w, x, n, format);
    case MOE_ORDER_tree:
        return cast(by_tree(term, n, MOE_FORMAT_fp32), format);
    case MOE_ORDER_tree_storage:
        return by_tree(half, n, format);
    case MOE_ORDER_storage:
    case MOE_ORDER_expert:
        return in_order(half, n, kept);
    case MOE_ORDER_storage_terms:
        return cast(in_order(half, n, MOE_FORMAT_fp32), format);
    default:
        return cast(in_order(term, n, MOE_FORMAT_fp32), format);
    }
}

/* One row of COLS columns, topk slots; every other slot is elsewhere if
 * some is set. */
static void check_slots(moe_order_t order, moe_format_t format, int topk,
                        bool some)
{
    static uint32_t codes[MOST * COLS];
    static uint32_t out[COLS];
    int32_t who[MOST];
    float weights[MOST];
    moe_ref_index_t index;
    uint64_t state = 99 + (uint64_t)topk;
    moe_rows_t sums = {
        .storage = {.format = format}, .rows = 1, .cols = COLS, .codes = out};
    moe_ref_terms_t terms = {
        .rows = {.storage = {.format = format}, .cols = COLS, .codes = codes},
        .index = &index,
        .weights = weights};

    for (int s = 0; s < topk; s++) {
        who[s] = some && s % 2 == 1 ? -1 : topk - 1 - s;
        weights[s] = (float)judge_number(&state, 24, -8, 0);
    }
    put_numbers(codes, format, topk * COLS, &state);
    ck_assert_int_eq(moe_ref_index_init(who, 1, topk, 0, topk, &index), MOE_OK);
    terms.rows.rows = index.n;
    ck_assert_int_eq(moe_ref_weighted_sum(&terms, order, &sums), MOE_OK);
    for (int c = 0; c < COLS; c++) {
        bool tree = order == MOE_ORDER_tree || order == MOE_ORDER_tree_storage;
        double w[MOST];
        double x[MOST];
        int n = 0;

        for (int i = 0; i < topk; i++) {
            /* the experts of the slots descend */
            int64_t s = moe_order_is_by_expert(order) ? topk - 1 - i : i;
            int64_t place = index.place[s];

            if (place >= 0 || tree) { /* a tree has zeros for the others */
                w[n] = (double)weights[s];
                x[n++] = place < 0
                             ? 0.0
                             : moe_float_value(format, get(codes, format,
                                                           place * COLS + c));
            }
        }
        ck_assert_msg(same(moe_float_value(format, get(out, format, c)),
                           slots_say(order, w, x, n, format)),
                      "order %s, k = %d, column %d", moe_order_name(order),
                      topk, c);
    }
    moe_ref_index_fini(&index);
}

START_TEST(each_order_of_slots_is_what_its_definition_says)
{
    int k = slots[_i];
    int seen = 0;

    for (int o = 0; o < MOE_ORDER_COUNT; o++) {
        moe_order_t order = (moe_order_t)o;

        for (int f = 0; moe_order_is_of_slots(order) && f < 3; f++) {
            check_slots(order, floats[f], k, false);
            check_slots(order, floats[f], k, true);
            seen++;
        }
    }
    ck_assert_int_eq(seen, 8 * 3);
}
END_TEST

START_TEST(an_order_of_ranks_sums_no_slots)
{
    static uint32_t codes[COLS];
    moe_rows_t out = {.storage = {.format = MOE_FORMAT_bf16},
                      .rows = ROWS,
                      .cols = 1,
                      .codes = codes};
    sample_t sample;

    sample_init(&sample, MOE_FORMAT_bf16);
    ck_assert_int_eq(moe_ref_weighted_sum(&sample.terms, MOE_ORDER_ring, &out),
                     MOE_ERR_UNSUPPORTED);
    moe_error_clear();
    moe_ref_index_fini(&sample.index);
}
END_TEST

/* What an order of ranks says of n partial sums. */
static double ranks_say(moe_order_t order, const double *x, int n, int home,
                        moe_format_t format)
{
    double turned[MOST];

    switch (order) {
    case MOE_ORDER_exact:
        return judge_sum(x, NULL, n, format) + 0.0;
    case MOE_ORDER_fp32_rank:
        return cast(in_order(x, n, MOE_FORMAT_fp32), format);
    case MOE_ORDER_ring:
        for (int i = 0; i < n; i++) { /* home comes last */
            turned[i] = x[(home + 1 + i) % n];
        }
        return in_order(turned, n, format);
    default:
        return in_order(x, n, format); /* rank */
    }
}

static void check_ranks(moe_order_t order, moe_format_t format, int n)
{
    static uint32_t codes[MOST][COLS];
    static uint32_t out[COLS];
    moe_rows_t parts[MOST];
    moe_rows_t sums = {
        .storage = {.format = format}, .rows = 1, .cols = COLS, .codes = out};
    double *work = malloc(moe_ref_fold_bytes(n));
    uint64_t state = 7 + (uint64_t)n;

    ck_assert_ptr_nonnull(work);
    for (int i = 0; i < n; i++) {
        parts[i] = sums;
        parts[i].codes = codes[i];
        put_numbers(codes[i], format, COLS, &state);
    }
    for (int home = 0; home < n; home++) {
        moe_ref_fold(parts, n, order, home, work, &sums);
        for (int c = 0; c < COLS; c++) {
            double x[MOST];

            for (int i = 0; i < n; i++) {
                x[i] = moe_float_value(format, get(codes[i], format, c));
            }
            ck_assert_msg(same(moe_float_value(format, get(out, format, c)),
                               ranks_say(order, x, n, home, format)),
                          "order %s, %d ranks, home %d, column %d",
                          moe_order_name(order), n, home, c);
        }
    }
    free(work);
}

START_TEST(each_order_of_ranks_is_what_its_definition_says)
{
    int seen = 0;

    for (int o = 0; o < MOE_ORDER_COUNT; o++) {
        moe_order_t order = (moe_order_t)o;

        for (int f = 0; moe_order_is_of_ranks(order) && f < 3; f++) {
            for (int n = 1; n <= 8; n++) {
                check_ranks(order, floats[f], n);
            }
            seen++;
        }
    }
    ck_assert_int_eq(seen, 4 * 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("weighted_sum");
    TCase *rows = tcase_create("rows");

    tcase_add_loop_test(rows, sums_of_rows_are_those_of_their_terms, 0, 3);
    tcase_add_loop_test(rows, each_order_of_slots_is_what_its_definition_says,
                        0, SLOTS);
    tcase_add_test(rows, an_order_of_ranks_sums_no_slots);
    tcase_add_test(rows, each_order_of_ranks_is_what_its_definition_says);
    suite_add_tcase(suite, rows);
    return moe_suite_main(suite);
}
