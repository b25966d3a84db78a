/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unrounded rows that are kept: what an all-to-all brought, or what was made
 * of such rows.
 *
 * An element is an expansion with an error bound, 24 bytes. Where the bound
 * is not 0 the element is open: its exact terms go with it, in a list beside
 * the rows, from rank to rank, so that whoever rounds at last decides without
 * asking. Such elements are rare: 106 bits hold nearly every sum.
 */
#include "config.h"

#include "ref/mpi/carried.h"

#include "base/checked.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

moe_ref_carried_t *moe_ref_carried_create(int64_t rows, int64_t cols)
{
    moe_ref_carried_t *c = calloc(1, sizeof(*c));
    size_t n;

    if (c != NULL && moe_mul_size(rows, cols, &n)) {
        c->sum = calloc(n + 1, sizeof(*c->sum));
    }
    if (c == NULL || c->sum == NULL) {
        free(c);
        return NULL;
    }
    c->cols = cols;
    c->most = 2;
    return c;
}

void moe_ref_carried_free(moe_ref_carried_t *c)
{
    if (c != NULL) {
        free(c->sum);
        free(c->open);
        free(c->term);
        free(c);
    }
}

moe_sum_t *moe_ref_carried_sums(const moe_ref_carried_t *c, int64_t row)
{
    return c->sum + row * c->cols;
}

int64_t moe_ref_carried_most(const moe_ref_carried_t *c)
{
    return c->most;
}

static void *grown(void *old, int64_t *room_p, int64_t need, size_t size)
{
    int64_t room = *room_p * 2 > need ? *room_p * 2 : need + 16;
    void *p = realloc(old, (size_t)room * size);

    *room_p = p != NULL ? room : *room_p;
    return p;
}

moe_status_t moe_ref_carried_add_open(moe_ref_carried_t *c, int64_t row,
                                      int64_t col, const double *term,
                                      int64_t n)
{
    if (c->n_open == c->open_room) {
        moe_ref_carried_open_t *open =
            grown(c->open, &c->open_room, c->n_open + 1, sizeof(*open));

        if (open == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for open elements");
        }
        c->open = open;
    }
    if (c->n_terms + n > c->term_room) {
        double *more =
            grown(c->term, &c->term_room, c->n_terms + n, sizeof(*more));

        if (more == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "no memory for open elements");
        }
        c->term = more;
    }
    c->open[c->n_open++] = (moe_ref_carried_open_t){row, col, c->n_terms, n};
    memcpy(c->term + c->n_terms, term, (size_t)n * sizeof(*term));
    c->n_terms += n;
    c->most = n > c->most ? n : c->most;
    return MOE_OK;
}

/* First open element not before (row, col). */
int64_t moe_ref_carried_find(const moe_ref_carried_t *c, int64_t row,
                             int64_t col)
{
    int64_t low = 0;
    int64_t high = c->n_open;

    while (low < high) {
        int64_t mid = (low + high) / 2;
        const moe_ref_carried_open_t *o = &c->open[mid];

        if (o->row < row || (o->row == row && o->col < col)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

int64_t moe_ref_carried_terms(const moe_ref_carried_t *c, int64_t row,
                              int64_t col, double *out)
{
    const moe_sum_t *sum = moe_ref_carried_sums(c, row) + col;
    const moe_ref_carried_open_t *o;

    if (!(sum->err > 0.0)) {
        out[0] = sum->hi;
        out[1] = sum->lo;
        return 2;
    }
    o = &c->open[moe_ref_carried_find(c, row, col)];
    memcpy(out, c->term + o->first, (size_t)o->n * sizeof(*out));
    return o->n;
}

/* --- made here -------------------------------------------------------------
 */

/* Sums of any unrounded tensor, and the terms of its open elements. */
moe_status_t moe_ref_carried_take(const moe_tensor_t *in, moe_ref_carried_t *c)
{
    double *terms = malloc((size_t)moe_ref_element_most(in) * sizeof(*terms));
    moe_status_t status = MOE_OK;

    if (terms == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a sum");
    }
    moe_ref_sums(in, 0, in->valid_rows, c->sum);
    for (int64_t i = 0; status == MOE_OK && i < in->valid_rows * c->cols; i++) {
        if (c->sum[i].err > 0.0) {
            int64_t n = moe_ref_element(in, i / c->cols, i % c->cols, terms);

            status =
                moe_ref_carried_add_open(c, i / c->cols, i % c->cols, terms, n);
        }
    }
    free(terms);
    return status;
}

moe_status_t moe_ref_carry(const moe_tensor_t *in, const moe_tensor_t *out)
{
    moe_ref_carried_t *c = out->data;
    moe_rows_t rows = moe_ref_rows(in);
    double value;

    if (in->carried_exact) {
        return moe_ref_carried_take(in, c);
    }
    for (int64_t i = 0; i < in->valid_rows * c->cols; i++) {
        moe_rows_values(&rows, i / c->cols, i % c->cols, 1, &value);
        c->sum[i] = (moe_sum_t){value, 0.0, 0.0};
    }
    return MOE_OK;
}

/* Weighted sums of unrounded rows. */
typedef struct {
    const moe_tensor_t *rows;
    const moe_ref_index_t *index;
    const float *weights; /* NULL: all are 1 */
    double *terms;
    moe_ref_carried_t *out;
} summing_t;

/* Weight times value as two exact terms. */
static int64_t add_product(double weight, double value, double *out)
{
    double product = weight * value;

    out[0] = product;
    out[1] = isfinite(product) ? fma(weight, value, -product) : 0.0;
    return 2;
}

/* Exact terms of an element of the sum. */
static int64_t sum_terms(const summing_t *s, int64_t row, int64_t col)
{
    int topk = s->index->topk;
    int64_t most = moe_ref_element_most(s->rows);
    double *from = s->terms + 2 * topk * most;
    int64_t n = 0;

    for (int slot = 0; slot < topk; slot++) {
        int64_t at = row * topk + slot;
        int64_t place = s->index->place[at];
        int64_t m = place < 0 ? 0 : moe_ref_element(s->rows, place, col, from);

        for (int64_t i = 0; i < m; i++) {
            n += add_product(s->weights == NULL ? 1.0 : (double)s->weights[at],
                             from[i], s->terms + n);
        }
    }
    return n;
}

/* Unweighted sum of kept rows; open if one of them is, or it lost bits. */
static moe_sum_t add_kept(const summing_t *s, int64_t row, int64_t col)
{
    const moe_ref_carried_t *rows = s->rows->data;
    moe_sum_t sum = {0.0, 0.0, 0.0};

    for (int slot = 0; slot < s->index->topk; slot++) {
        int64_t place = s->index->place[row * s->index->topk + slot];

        if (place >= 0) {
            moe_sum_add(&sum, moe_ref_carried_sums(rows, place) + col);
        }
    }
    return sum;
}

static moe_sum_t add_terms(const double *term, int64_t n)
{
    moe_sum_t sum = {0.0, 0.0, 0.0};

    for (int64_t i = 0; i < n; i++) {
        moe_sum_add_value(&sum, term[i]);
    }
    return sum;
}

static moe_status_t sum_element(const summing_t *s, int64_t row, int64_t col)
{
    bool kept = s->weights == NULL && moe_ref_is_kept(s->rows);
    int64_t n = kept ? 0 : sum_terms(s, row, col);
    moe_sum_t sum = kept ? add_kept(s, row, col) : add_terms(s->terms, n);

    moe_ref_carried_sums(s->out, row)[col] = sum;
    if (!(sum.err > 0.0)) {
        return MOE_OK;
    }
    n = kept ? sum_terms(s, row, col) : n;
    return moe_ref_carried_add_open(s->out, row, col, s->terms, n);
}

moe_status_t moe_ref_sum_carried(const moe_tensor_t *rows,
                                 const moe_ref_index_t *index,
                                 const float *weights, moe_tensor_t *out)
{
    int64_t most = moe_ref_element_most(rows);
    summing_t s = {
        .rows = rows, .index = index, .weights = weights, .out = out->data};
    moe_status_t status = MOE_OK;

    s.terms =
        malloc((size_t)((2 * s.index->topk + 1) * most) * sizeof(*s.terms));
    if (s.terms == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a sum");
    }
    for (int64_t i = 0; status == MOE_OK && i < out->valid_rows; i++) {
        for (int64_t c = 0; status == MOE_OK && c < s.out->cols; c++) {
            status = sum_element(&s, i, c);
        }
    }
    free(s.terms);
    return status;
}
