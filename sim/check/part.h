/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What sim/check/rank.c and sim/check/routed.c share.
 */
#ifndef SIM_CHECK_PART_H
#define SIM_CHECK_PART_H

#include "sim/check/check.h"
#include "sim/inputs/layer_feed.h"

/** A part of a rank's tensors at work. */
typedef struct {
    moe_check_t *check;
    const moe_golden_rank_t *rank;
    const moe_safetensors_t *file; /* GOT's */
    const char *path;
    const moe_safetensors_t *ref; /* REF's; NULL: of other tokens */
    const char *ref_path;
    moe_judge_t judge;
    moe_layer_feed_t feed;
    moe_check_tensor_t tensor[MOE_ROLE_COUNT];
    moe_check_tensor_t trusted[MOE_ROLE_COUNT]; /* REF's; experts' rows */
    moe_rows_t gated[2]; /* ids and weights that a gate leaves; own memory */
    moe_check_match_t match;
    int64_t match_rows; /* of GOT, that the match is for */
    bool faulty;        /* rows could not be matched */
} moe_check_part_t;

/** Start a part: a judge of these tokens and experts, with ids and weights that
 * are not judged. Ended with moe_check_part_fini(), which accepts a zeroed
 * object with check, rank, file and path set. */
moe_status_t moe_check_part_start(moe_check_part_t *part, moe_range_t tokens,
                                  moe_range_t experts, const bool *wanted);
void moe_check_part_fini(moe_check_part_t *part);

bool moe_check_has(const moe_safetensors_t *file, moe_role_t role);

/** Make ids where nobody gave any: by GOT's logits, as the judge does. */
moe_status_t moe_check_part_ids(moe_check_part_t *part);

/** Find GOT's rows of the part's pairs, which are so many; part->faulty if they
 * are not to be found. Once for tensors of a number of rows. */
moe_status_t moe_check_part_match(moe_check_part_t *part, int64_t rows,
                                  int64_t per_expert);

/** Read a place's tensor of tokens. */
moe_status_t moe_check_read_place(moe_check_part_t *part,
                                  const moe_safetensors_t *file,
                                  const char *path, moe_role_t role,
                                  moe_check_tensor_t *tensor);

/** Trust the experts' rows of the part's tokens, where all ranks of GOT that
 * share them have `gemm2_out`: its output is judged from these, and they at
 * their own ranks; not where one rank alone is. */
moe_status_t moe_check_gather(moe_check_part_t *part);

/** Ids and weights that GOT has not, or are not wanted: those of REF, or what
 * its gate leaves. */
moe_status_t moe_check_trust(moe_check_part_t *part, const bool *wanted);

/** Ids and weights that no logits made: inputs of the kernel. */
bool moe_check_is_told(const moe_check_part_t *part, moe_role_t role);

/** What comes after GOT's is judged from them, right or not. */
moe_status_t moe_check_give_told(moe_check_part_t *part, moe_role_t role);

/** GOT's against REF's. */
moe_status_t moe_check_compare_told(moe_check_part_t *part);

/** When the judge has run: ids that are not the gate's may be near ties. */
moe_status_t moe_check_near_gate(moe_check_part_t *part);

#endif
