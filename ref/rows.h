/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows in memory, in one of the formats of moe/format.def.
 */
#ifndef REF_ROWS_H
#define REF_ROWS_H

#include "moe/tensor.h"

#include <stdint.h>

/** [rows][cols]; borrowed memory. Rows are contiguous (row stride = cols). */
typedef struct {
    moe_storage_t storage;
    int64_t rows;
    int64_t cols;
    void *codes;               /* elements, or packed codes */
    void *scales;              /* [rows][blocks] in the layout; or NULL */
    moe_scale_layout_t layout; /* of scales */
} moe_rows_t;

/** An unrounded number: the real value lies within err of hi + lo; err 0
 * says that hi + lo is the value. 24 bytes: an element of format `exact`. */
typedef struct {
    double hi;
    double lo;
    double err;
} moe_sum_t;

/** Unrounded elements of a row of format `exact`, from col on. */
moe_sum_t *moe_rows_sums(const moe_rows_t *rows, int64_t row, int64_t col);

/** Decode global scale of a storage (moe_storage_decode). */
float moe_rows_global(const moe_storage_t *storage);

/** Exact value of one element, of an unrounded one rounded to odd: code x scale
 * x decode global scale has at most 31 significant bits, so float64 holds it.
 * LogFMT-10's value is an fp32. */
double moe_rows_value(const moe_rows_t *rows, int64_t row, int64_t col);

/** The same of n elements of a row from col on. */
void moe_rows_values(const moe_rows_t *rows, int64_t row, int64_t col,
                     int64_t n, double *out);

/** True if no element is infinite or NaN. */
bool moe_rows_are_finite(const moe_rows_t *rows);

/** Round n exact values to elements of a row of a float format, once. */
void moe_rows_round(const moe_rows_t *rows, int64_t row, int64_t col, int64_t n,
                    const double *value);

/** out row i = weights[i] x row i of in, each product rounded once, or to fp32
 * first; both are of a float format, of 16 bits in. */
void moe_rows_weigh(const moe_rows_t *in, const float *weights, bool fp32,
                    const moe_rows_t *out);

/** Bytes of the codes of one row, and where those of a row begin. */
int64_t moe_rows_code_bytes(const moe_rows_t *rows);
uint8_t *moe_rows_codes(const moe_rows_t *rows, int64_t row);

/** Bytes of the linear scales of one row; 0 for a format that has none. */
int64_t moe_rows_scale_bytes(const moe_rows_t *rows);

#endif
