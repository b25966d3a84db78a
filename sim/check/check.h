/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The parts of `moesim check`.
 */
#ifndef SIM_CHECK_CHECK_H
#define SIM_CHECK_CHECK_H

#include "base/safetensors.h"
#include "ref/judge.h"
#include "sim/options/command.h"
#include "sim/golden/read.h"

#include <jansson.h>

/** A check on its way. */
typedef struct {
    const moe_command_t *command;
    const char *ref;
    const char *got;
    moe_golden_t golden;
    moe_scenario_t *scenario;
    struct moe_check_gate *gate;     /* sim/check/gate.h; NULL: not made yet */
    struct moe_check_places *places; /* sim/check/gather.c; NULL: not yet */
    moe_accumulator_t accumulator;
    int64_t elements; /* of all that is judged, all ranks */
    json_t *document;
    json_t *findings; /* the document's, one a place and rank */
    bool good;
} moe_check_t;

/** A tensor that was read, as rows. */
typedef struct {
    moe_rows_t rows; /* own memory */
    bool mostly;     /* in fp32, and most numbers are of the chain's format */
} moe_check_tensor_t;

/** Which row of GOT is which pair of the layer. */
typedef struct {
    int64_t n;     /* pairs */
    int64_t *from; /* [n] row of GOT */
    bool moved;    /* rows do not lie as in the golden folder */
} moe_check_match_t;

/** GOT's file of a rank; NULL with MOE_OK if it has none. The caller frees
 * it. */
moe_status_t moe_check_got_path(const char *got, const moe_golden_rank_t *rank,
                                char **path_p);

/** Add a text to warnings[]. */
moe_status_t moe_check_warn(moe_check_t *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Add a finding (taken) to findings[]; NULL is an error. */
moe_status_t moe_check_add(moe_check_t *check, json_t *finding);

/** An empty finding of a tensor: {tensor, rank (if 0 or more), verdict,
 * kind}. */
json_t *moe_check_finding(const char *tensor, int rank, bool good,
                          const char *kind);

/* sim/check/again.c */

/** Set `again` of each finding. */
void moe_check_set_again(moe_check_t *check);

/* sim/check/tensor.c */

/**
 * Read the tensor of a name, with its scales, of cols columns.
 *
 * Shapes are held against cols (and rows, if not -1) before anything is
 * allocated. U8 stands for 8-bit types and pairs of 4-bit codes, a wider
 * float for a float; ids may be I64.
 *
 * @param[out] tensor_p  Ended with moe_check_tensor_free().
 * @return MOE_OK, with codes NULL if there is no such tensor; MOE_ERR_INPUT.
 */
moe_status_t moe_check_tensor_read(const moe_safetensors_t *file,
                                   const char *path, const char *name,
                                   const moe_storage_t *storage, int64_t rows,
                                   int64_t cols, moe_check_tensor_t *tensor_p);

/** The same with a name of the scales' own; those of FP8 weights [E][N][K] may
 * be of 128 x 128 elements, [E][N / 128][K / 128]. */
moe_status_t moe_check_tensor_read_as(const moe_safetensors_t *file,
                                      const char *path, const char *name,
                                      const char *scale, bool is_weights,
                                      const moe_storage_t *storage,
                                      int64_t rows, int64_t cols,
                                      moe_check_tensor_t *tensor_p);

/**
 * Rows of the tensor of a name, as its header has them: -1 if it is not there;
 * and of each local expert, padding too, 0 if they are packed.
 * @return MOE_OK; MOE_ERR_INPUT for what cannot be rows of cols columns.
 */
moe_status_t moe_check_tensor_look(const moe_safetensors_t *file,
                                   const char *path, const char *name,
                                   const moe_storage_t *storage, int64_t cols,
                                   int64_t *rows_p, int64_t *per_expert_p);

/** Read the rows of a match in its order, and nothing else: a tensor with
 * padding may be of any size. */
moe_status_t moe_check_tensor_gather(const moe_safetensors_t *file,
                                     const char *path, const char *name,
                                     const moe_storage_t *storage, int64_t cols,
                                     const moe_check_match_t *match,
                                     moe_check_tensor_t *tensor_p);

void moe_check_tensor_free(moe_check_tensor_t *tensor);

/** A list of integers, I32 or I64, as int64; NULL and n 0 if it is not
 * there. The caller frees it. */
moe_status_t moe_check_integers(const moe_safetensors_t *file, const char *path,
                                const char *name, int64_t **list_p,
                                int64_t *n_p);

/* sim/check/rows.c */

/** Add a fault of a place, or of rows: none, with where it is in words. */
moe_status_t moe_check_fault(moe_check_t *check, const moe_golden_rank_t *rank,
                             moe_role_t role, const char *kind,
                             const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/** The layer as the golden folder's ranks lie: a run's first method may lay it
 * in its own way. */
moe_layer_t moe_check_layer(const moe_check_t *check);

/**
 * Find GOT's row of each pair of a layer that holds its ids.
 *
 * By src_rank, src_token and slot or expert, where GOT has them; else as they
 * lie. Rows past valid_rows count for nothing.
 *
 * @param[out] match_p  Ended by freeing from. With a fault, from is NULL and
 *                      a finding has been added.
 */
moe_status_t moe_check_match(moe_check_t *check, const moe_golden_rank_t *rank,
                             const moe_ref_layer_t *layer,
                             const moe_safetensors_t *file, const char *path,
                             int64_t rows, int64_t per_expert,
                             moe_check_match_t *match_p);

/* sim/check/gather.c */

/** End what a check knows of where rows of experts lie; accepts NULL. */
void moe_check_places_free(struct moe_check_places *places);

/* sim/check/rank.c */

/** Judge one rank's file; adds findings. */
moe_status_t moe_check_rank(moe_check_t *check, const moe_golden_rank_t *rank,
                            const char *path);

/** Elements of a rank that a file holds. */
int64_t moe_check_count(const moe_safetensors_t *file);

/* sim/check/verdict.c */

/** What a judge says about a place of GOT, as a finding. */
json_t *moe_check_verdict(const moe_judge_t *judge, moe_role_t role, int rank,
                          const moe_safetensors_t *got);

/* sim/check/diagnosis.c */

/** Add to diagnosis[] what the mistake looks like, if one was found by a judge
 * of a rank that has run. */
moe_status_t moe_check_diagnose(moe_check_t *check, moe_judge_t *judge,
                                int rank);

/* sim/check/bare.c */

/** Two files without a manifest: codes exactly, floats by ulp. */
moe_status_t moe_check_bare(moe_check_t *check);

/* sim/check/race.c */

/** Two files of the same kernel: tensors that differ are a race, told with the
 * first place that differs; rows of pairs in any order, if they say who they
 * are, those past valid_rows not. rank NULL: of nobody knows whom. */
moe_status_t moe_check_race(moe_check_t *check, const moe_golden_rank_t *rank,
                            const char *first, const char *second);

#endif
