/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What sim/check/race.c and sim/check/race_rows.c share: two runs of a kernel,
 * and who their rows of pairs are.
 */
#ifndef SIM_CHECK_RACE_INSIDE_H
#define SIM_CHECK_RACE_INSIDE_H

#include "sim/check/check.h"

enum {
    MOE_RACE_NAMES = 5 /* lists that say who a row is */
};

extern const char *const moe_race_names[MOE_RACE_NAMES];

/** A row of pairs: who it is, where it lies. */
typedef struct {
    int64_t who[MOE_RACE_NAMES];
    int64_t at;
} moe_race_row_t;

/** A run's file. */
typedef struct {
    moe_safetensors_t *file;
    bool named[MOE_RACE_NAMES];
    moe_race_row_t *row; /* [n] valid rows of pairs, in order of who they are */
    int64_t n;
    int64_t rows; /* of pairs, padding too; 0: none */
} moe_race_run_t;

/** True of the lists that say who a row is. */
bool moe_race_is_name(const char *name);

/** True of tensors of pairs, their scales and bounds, and of their names. */
bool moe_race_is_of_pairs(const char *name);

/** Rows of a tensor of pairs: [rows][..], or [experts][rows of each][..]. */
int64_t moe_race_rows_of(const moe_safetensor_t *t, bool by_expert);

/** Open two runs, their rows in one order: of what both say of a row, or REF
 * says for one that does not. Ended with moe_race_close() either way. */
moe_status_t moe_race_open(const moe_check_t *check,
                           const moe_golden_rank_t *rank, const char *first,
                           const char *second, moe_race_run_t run[2]);
void moe_race_close(moe_race_run_t run[2]);

#endif
