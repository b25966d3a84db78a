/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Distance between two lists of float codes: equality, ulp, relative L2.
 */
#ifndef REF_COMPARE_H
#define REF_COMPARE_H

#include "moe/format.h"

#include <stdint.h>

/** Sums over all elements compared so far; starts zeroed. */
typedef struct {
    int64_t elements;
    int64_t mismatching; /* elements whose bits differ */
    int64_t max_ulp;     /* steps between codes; INT64_MAX beside a NaN */
    int64_t finite_ulp;  /* the same of finite pairs alone */
    int64_t nans;        /* in got, where ref has none, or the other way */
    int64_t infinities;  /* pairs that differ, one of them infinite, no NaN */
    double sum_diff2;    /* sum of (got - ref)^2, finite pairs */
    double sum_ref2;     /* sum of ref^2, finite pairs */
} moe_compare_t;

/**
 * Compare n codes of a float format (bf16, fp16, fp32).
 * @param[in] ref, got  [n] elements in the format's own width.
 */
void moe_compare_add(moe_compare_t *compare, moe_format_t format, int64_t n,
                     const void *ref, const void *got);

/** Join the sums of another part. */
void moe_compare_join(moe_compare_t *compare, const moe_compare_t *other);

/** Norm of the difference over the norm of ref; 0 if both are 0, infinity
 * if only ref is. */
double moe_compare_l2(const moe_compare_t *compare);

#endif
