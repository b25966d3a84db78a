/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows of a matmul's operand as float64 numbers whose products are exact.
 *
 * An element is value x scale x factor: value is the code, times its scale if
 * that is short (E4M3, E8M0, bf16); scale that of its block, if that is fp32;
 * factor the row's fp32 scale or the decode global scale, 1 without.
 */
#ifndef REF_OPERAND_H
#define REF_OPERAND_H

#include "ref/rows.h"

#include <stdbool.h>

typedef struct {
    double *value;  /* [rows][K] at most 24 digits each */
    double *norm;   /* [rows] Euclidean norm of the values, from above */
    double *unit;   /* [rows] every value is a multiple of it */
    double *factor; /* [rows] an fp32 number */
    double *scale;  /* [rows][K / block] fp32 numbers; without blocks 1 */
    int64_t k;
    int64_t block; /* K without blocks */
} moe_operand_t;

/** Formats that can be taken apart so. */
bool moe_operand_has(moe_format_t format);

/** True if fp32 scales belong to blocks of columns. */
bool moe_operand_is_blocked(moe_format_t format);

/** Bytes of rows rows; block as in moe_operand_t. */
int64_t moe_operand_bytes(int64_t rows, int64_t k, int64_t block);

/** Room for rows rows in memory of that size, aligned to 64 bytes. */
moe_operand_t moe_operand_place(void *memory, int64_t rows, int64_t k,
                                int64_t block);

/** Decode rows [first, first + n). block is a divisor of the format's. */
void moe_operand_decode(const moe_rows_t *rows, int64_t first, int64_t n,
                        const moe_operand_t *operand);

#endif
