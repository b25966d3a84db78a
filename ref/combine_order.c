/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The orders of moe/order.def, to the bit.
 *
 * All that is added is an fp32 number, or one of a narrower format, held in
 * float64. float64 holds the sum of two fp32 numbers so well that rounding it
 * again is innocent: 53 >= 2 x 24 + 2 (Figueroa, ACM SIGNUM 30(3), 1995); so
 * is fp32 between for the sum of two bf16 or fp16 numbers, as kernels do it.
 */
#include "ref/combine.h"

#include "ref/formats.h"

#include <string.h>

enum {
    CHUNK = 128 /* columns at a time */
};

/* Values of a chunk, of each of n addends: [n][CHUNK]. */
typedef double (*addends_t)[CHUNK];

/* Where a fold rounds: fp32, or the format of the partial sum; by expert that
 * of the rows, in a buffer of which Megatron-LM adds them. */
static moe_format_t inner_format(moe_order_t order, moe_format_t format)
{
    if (order == MOE_ORDER_expert) {
        return format == MOE_FORMAT_fp16 ? format : MOE_FORMAT_bf16;
    }
    return order == MOE_ORDER_fp32_rank || order == MOE_ORDER_fp32_slot ||
                   order == MOE_ORDER_fp32_expert ||
                   order == MOE_ORDER_storage_terms || order == MOE_ORDER_tree
               ? MOE_FORMAT_fp32
               : format;
}

/* What terms are rounded to before they are added. */
static moe_format_t term_format(moe_order_t order, moe_format_t format)
{
    return order == MOE_ORDER_storage_terms ? format
                                            : inner_format(order, format);
}

/* RN(x) as a number: fp32 by the processor, others by their codes. */
static double rounded(moe_format_t format, double x)
{
    if (format == MOE_FORMAT_fp32) {
        return (double)(float)x;
    }
    return moe_float_value(format, moe_round_f64(format, x));
}

/* acc = RN(acc + x). */
static void add(double *acc, const double *x, int64_t n, moe_format_t format)
{
    for (int64_t i = 0; i < n; i++) {
        acc[i] = rounded(format, acc[i] + x[i]);
    }
}

/* x[0] = x[first] + ... in cyclic order, left to right. */
static void add_cyclic(addends_t x, int count, int first, int64_t n,
                       moe_format_t format)
{
    double acc[CHUNK];

    memcpy(acc, x[first], (size_t)n * sizeof(*acc));
    for (int i = 1; i < count; i++) {
        add(acc, x[(first + i) % count], n, format);
    }
    memcpy(x[0], acc, (size_t)n * sizeof(*acc));
}

/* The kernels of these orders begin with a zero: no -0 comes out. */
static bool begins_with_zero(moe_order_t order)
{
    return order == MOE_ORDER_fp32_rank || order == MOE_ORDER_fp32_slot ||
           order == MOE_ORDER_storage || order == MOE_ORDER_storage_terms ||
           moe_order_is_by_expert(order);
}

/* The numbers of slots that the kernels have a tree for. */
static bool has_tree(int count)
{
    static const int sizes[] = {2, 4, 6, 8, 10, 16, 22};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (sizes[i] == count) {
            return true;
        }
    }
    return false;
}

/* Neighbours first, then neighbours of neighbours; who has none waits. */
static void add_tree(addends_t x, int count, int64_t n, moe_format_t format)
{
    if (!has_tree(count)) {
        add_cyclic(x, count, 0, n, format);
        return;
    }
    for (int stride = 1; stride < count; stride *= 2) {
        for (int i = 0; i + stride < count; i += 2 * stride) {
            add(x[i], x[i + stride], n, format);
        }
    }
}

/* terms: room for count numbers. */
static void add_exactly(addends_t x, int count, int64_t n, moe_format_t format,
                        double *terms)
{
    for (int64_t i = 0; i < n; i++) {
        moe_sum_t sum = {0.0, 0.0, 0.0};
        uint32_t bits;

        for (int j = 0; j < count; j++) {
            terms[j] = x[j][i];
            moe_sum_add_value(&sum, terms[j]);
        }
        if (!moe_sum_round(&sum, format, &bits)) {
            bits = moe_ref_round_terms(terms, count, format);
        }
        x[0][i] = moe_float_value(format, bits);
    }
}

/* x[0] = the fold of all, not yet cast to the format. */
static void fold(addends_t x, int count, moe_order_t order, int home, int64_t n,
                 moe_format_t format)
{
    moe_format_t inner = inner_format(order, format);

    for (int64_t i = 0; begins_with_zero(order) && i < n; i++) {
        x[0][i] += 0.0;
    }
    switch (order) {
    case MOE_ORDER_ring:
        add_cyclic(x, count, (home + 1) % count, n, inner);
        break;
    case MOE_ORDER_tree:
    case MOE_ORDER_tree_storage:
        add_tree(x, count, n, inner);
        break;
    default:
        add_cyclic(x, count, 0, n, inner);
        break;
    }
}

/* --- over slots ------------------------------------------------------------
 */

/* x[s] = the term of slot s, RN32 and cast if the order keeps it so. */
static void slot_term(const moe_ref_terms_t *terms, int64_t row, int slot,
                      int64_t col, int64_t n, moe_format_t kept, double *x)
{
    int64_t at = row * terms->index->topk + slot;
    double weight = terms->weights == NULL ? 1.0 : (double)terms->weights[at];

    moe_rows_values(&terms->rows, terms->index->place[at], col, n, x);
    for (int64_t i = 0; i < n; i++) {
        /* what came unrounded enters as the fp32 accumulator that it is */
        x[i] = rounded(kept, (double)(float)(weight * (double)(float)x[i]));
    }
}

/* Slots in the order in which they are added: rows are grouped by expert, so
 * that their places are in order of experts. */
static void order_slots(const int64_t *place, int topk, moe_order_t order,
                        int *slot)
{
    for (int s = 0; s < topk; s++) {
        int at = s;

        for (; moe_order_is_by_expert(order) && at > 0 &&
               place[slot[at - 1]] > place[s];
             at--) {
            slot[at] = slot[at - 1];
        }
        slot[at] = s;
    }
}

/* Sums in order of the slots that are here leave out the others; a tree has
 * zeros in their places. */
static void sum_slots(const moe_ref_terms_t *terms, moe_order_t order,
                      int64_t row, int64_t col, int64_t n,
                      const moe_rows_t *out)
{
    const int topk = terms->index->topk;
    bool tree = order == MOE_ORDER_tree || order == MOE_ORDER_tree_storage;
    moe_format_t format = out->storage.format;
    moe_format_t kept = term_format(order, format);
    double x[MOE_TOPK_MAX][CHUNK] = {{0.0}};
    int slot[MOE_TOPK_MAX];
    int count = 0;

    order_slots(terms->index->place + row * topk, topk, order, slot);
    for (int i = 0; i < topk; i++) {
        if (terms->index->place[row * topk + slot[i]] >= 0) {
            slot_term(terms, row, slot[i], col, n, kept, x[tree ? i : count++]);
        }
    }
    count = tree ? topk : count;
    if (count > 0) {
        fold(x, count, order, 0, n, format);
    }
    moe_rows_round(out, row, col, n, x[0]);
}

/* The definition: exact products, one rounding. */
static void sum_row_exactly(const moe_ref_terms_t *terms, int64_t row,
                            const moe_rows_t *out)
{
    double term[MOE_REF_TERMS_MAX];

    for (int64_t c = 0; c < out->cols; c++) {
        moe_sum_t sum = {0.0, 0.0, 0.0};
        int n = moe_ref_sum_terms(terms, row, c, term);
        double value;
        uint32_t bits;

        for (int i = 0; i < n; i++) {
            moe_sum_add_value(&sum, term[i]);
        }
        if (!moe_sum_round(&sum, out->storage.format, &bits)) {
            bits = moe_ref_round_terms(term, n, out->storage.format);
        }
        value = moe_float_value(out->storage.format, bits);
        moe_rows_round(out, row, c, 1, &value);
    }
}

moe_status_t moe_ref_weighted_sum(const moe_ref_terms_t *terms,
                                  moe_order_t order, const moe_rows_t *out)
{
    if (!moe_format_is_float(out->storage.format) ||
        !moe_order_is_of_slots(order)) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "weighted sum of %s to %s by %s",
                        moe_format_name(terms->rows.storage.format),
                        moe_format_name(out->storage.format),
                        moe_order_name(order));
    }
    for (int64_t i = 0; i < out->rows; i++) {
        if (order == MOE_ORDER_exact) {
            sum_row_exactly(terms, i, out);
            continue;
        }
        for (int64_t c = 0; c < out->cols; c += CHUNK) {
            int64_t n = out->cols - c < CHUNK ? out->cols - c : CHUNK;

            sum_slots(terms, order, i, c, n, out);
        }
    }
    return MOE_OK;
}

/* --- over ranks ------------------------------------------------------------
 */

void moe_ref_fold(const moe_rows_t *parts, int count, moe_order_t order,
                  int home, double *work, const moe_rows_t *out)
{
    addends_t x = (addends_t)(void *)work;
    moe_format_t format = out->storage.format;

    for (int64_t i = 0; i < out->rows; i++) {
        for (int64_t c = 0; c < out->cols; c += CHUNK) {
            int64_t n = out->cols - c < CHUNK ? out->cols - c : CHUNK;

            for (int p = 0; p < count; p++) {
                moe_rows_values(&parts[p], i, c, n, x[p]);
            }
            if (order == MOE_ORDER_exact) {
                add_exactly(x, count, n, format, work + count * CHUNK);
            } else {
                fold(x, count, order, home, n, format);
            }
            moe_rows_round(out, i, c, n, x[0]);
        }
    }
}

size_t moe_ref_fold_bytes(int count)
{
    return (size_t)count * (CHUNK + 1) * sizeof(double);
}
