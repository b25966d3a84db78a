/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Weighted sums over a token's experts, unrounded or as a system rounds.
 */
#ifndef REF_COMBINE_H
#define REF_COMBINE_H

#include "base/status.h"
#include "moe/contract.h"
#include "moe/model.h"
#include "ref/permute.h"
#include "ref/rows.h"
#include "ref/stats.h"

/** What a weighted sum is made from: grouped rows, index, weights [n][k]. */
typedef struct {
    moe_rows_t rows;
    const moe_ref_index_t *index;
    const float *weights; /* NULL: all are 1 */
} moe_ref_terms_t;

/* Exact float64 terms of one element: of an unrounded value four each. */
#define MOE_REF_TERMS_MAX (4 * MOE_TOPK_MAX)

/** sum += an exact value: a product of two fp32 numbers, or such a number.
 * err grows by what is lost, and stays 0 where nothing is. */
void moe_sum_add_value(moe_sum_t *sum, double value);

/** sum += other. */
void moe_sum_add(moe_sum_t *sum, const moe_sum_t *other);

/**
 * Round to a float format, nearest even. NaN if a term is NaN or infinities
 * of both signs are among them; zero is +0, whatever the terms' signs.
 * @param[out] bits_p  The code, if decided; it depends on the exact sum
 *                     alone, not on the order of the terms.
 * @return false if the interval holds a rounding boundary.
 */
bool moe_sum_round(const moe_sum_t *sum, moe_format_t format, uint32_t *bits_p);

/** Unrounded sums of rows [row, row + n), all columns: out [n][H]. */
void moe_ref_sum_rows(const moe_ref_terms_t *terms, int64_t row, int64_t n,
                      moe_sum_t *out);

/**
 * Exact terms of one element, each a float64: out[MOE_REF_TERMS_MAX].
 * @return how many there are.
 */
int moe_ref_sum_terms(const moe_ref_terms_t *terms, int64_t row, int64_t col,
                      double *out);

/** Correctly rounded sum of n float64 terms, by MPFR. */
uint32_t moe_ref_round_terms(const double *terms, int64_t n,
                             moe_format_t format);

/**
 * `faithful`: sums in an order of slots; rows without a term are zero. An
 * unrounded value enters as fp32. In ref/combine_order.c.
 * @return MOE_ERR_UNSUPPORTED if out is no float format, or order none of
 *         slots.
 */
moe_status_t moe_ref_weighted_sum(const moe_ref_terms_t *terms,
                                  moe_order_t order, const moe_rows_t *out);

/**
 * `faithful`: out = the fold of the rows of count members, in an order of
 * ranks.
 * @param[in] parts  [count] in rank order.
 * @param[in] home   Member whose chunk of a ring these rows are.
 * @param[in] work   moe_ref_fold_bytes(count) bytes.
 * @param[in] out    In no part's memory.
 */
void moe_ref_fold(const moe_rows_t *parts, int count, moe_order_t order,
                  int home, double *work, const moe_rows_t *out);
size_t moe_ref_fold_bytes(int count);

#endif
