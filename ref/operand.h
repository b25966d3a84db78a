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

/** What takes values out of rows: any row, any columns. */
typedef struct {
    moe_rows_t rows;
    moe_rows_t bare; /* the same with global scale 1 */
    bool by_table;
    double table[256]; /* of codes of a byte that no short scale belongs to */
} moe_operand_reader_t;
void moe_operand_reader_init(moe_operand_reader_t *reader,
                             const moe_rows_t *rows);

/** out = values of n columns from col on, a multiple of the block. */
void moe_operand_read(const moe_operand_reader_t *reader, int64_t row,
                      int64_t col, int64_t n, double *out);

/** All of rows [first, first + n) but their values; room for a row of them. */
void moe_operand_facts(const moe_operand_reader_t *reader, int64_t first,
                       int64_t n, const moe_operand_t *operand, double *room);

/** Decode rows [first, first + n). block is a divisor of the format's. */
void moe_operand_decode(const moe_rows_t *rows, int64_t first, int64_t n,
                        const moe_operand_t *operand);

#endif
