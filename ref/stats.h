/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the exact arithmetic had to do twice, for the report.
 */
#ifndef REF_STATS_H
#define REF_STATS_H

#include <stdint.h>

typedef struct {
    int64_t elements;     /* results rounded */
    int64_t redone_sum2;  /* decided by two-sum arithmetic */
    int64_t redone_exact; /* decided by MPFR or wide integers */
} moe_ref_stats_t;

#endif
