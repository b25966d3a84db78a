/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Reader of a golden folder's manifest (doc/golden.md). It comes from
 * strangers: every value is checked, and nothing outside the folder is named.
 */
#ifndef SIM_GOLDEN_READ_H
#define SIM_GOLDEN_READ_H

#include "base/diag.h"
#include "moe/layout.h"
#include "ref/judge.h"

#include <jansson.h>
#include <stddef.h>

#define MOE_GOLDEN_SCHEMA "moesim-golden-1"

/** What is said about a rank. */
typedef struct {
    int rank;
    char *file;         /* name in the folder */
    moe_range_t tokens; /* own */
    moe_range_t all_tokens;
    moe_range_t experts; /* slots, where experts are placed */
    int64_t pairs;
} moe_golden_rank_t;

typedef struct {
    char *path;     /* of the manifest */
    char *folder;   /* that it lies in */
    char *scenario; /* file name in the folder */
    char digest[65];
    uint64_t seed;
    moe_format_t dispatch;
    moe_storage_t sums; /* partial sums travel coded so; bf16: they do not */
    moe_accumulator_t accumulator;
    char *order;
    int32_t *holds; /* [n_holds] expert of each slot, where they are placed */
    size_t n_holds;
    moe_placed_t placed; /* all zeros until a check has placed them */
    bool executed;       /* by a run, as its first method lays the layer */
    bool gated;          /* choices are what the gate of that method leaves */
    size_t n_ranks;
    moe_golden_rank_t *rank; /* [n_ranks] */
} moe_golden_t;

/** True if a path is a folder with a manifest, or a file of that name. */
bool moe_golden_is(const char *path);

/**
 * Read a manifest.
 * @param[in]  path  The folder, or the manifest in it.
 * @param[out] golden_p  Ended with moe_golden_fini(), on error too.
 * @return MOE_OK; MOE_ERR_INPUT, diag has all problems with line and column;
 *         MOE_ERR_IO; MOE_ERR_NOMEM.
 */
moe_status_t moe_golden_read(const char *path, moe_diag_t *diag,
                             moe_golden_t *golden_p);
void moe_golden_fini(moe_golden_t *golden);

/** How partial sums travel, from the manifest's `combine`; false if it is none.
 */
bool moe_golden_read_sums(const json_t *as, moe_storage_t *sums_p);

#endif
