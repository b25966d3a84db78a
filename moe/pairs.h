/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows that go one a (token, expert) pair to the rank of the expert, and come
 * back to be weighed and summed at the source: family F3, and the kernels of
 * F4 whose slots hold such rows. Part of moe/method.h.
 *
 * Rows are sorted by expert, so by rank. They arrive by source, then expert,
 * and are sorted again by expert.
 */
#ifndef MOE_PAIRS_H
#define MOE_PAIRS_H

#include "moe/movement.h"
#include "moe/operations_collective.h"
#include "moe/tp_part.h"

typedef struct {
    const int64_t *own;    /* [E] pairs of own tokens */
    const int64_t *send;   /* [R] rows to each rank */
    const int64_t *recv;   /* [R] and from each */
    const int64_t *chunks; /* [R][E_local] from each for each expert */
    /* What a plan sets then, of the kernels that it models: */
    bool by_origin;  /* records say whose rows they are, and rows go home by
                      * that; else as the counts say */
    int64_t message; /* bytes of the record that a row travels as; 0: as it
                      * is */
    const char *dispatch, *combine; /* names of fused kernels; NULL: none */
    moe_tensor_t *by_rank;          /* index of own pairs */
    moe_tensor_t *origins;          /* [n][3] of the experts' rows */
} moe_pairs_t;

/** What a plan begins with whose rows go so. */
typedef struct {
    moe_tp_plan_t own; /* first: stages look there */
    moe_pairs_t pairs;
} moe_pair_plan_t;

/** Of cards: where such methods round, sum and weigh; and the stages of those
 * that cut a dp rank's tokens over its tp ranks. */
#define MOE_PAIRS_CONTRACT                                                     \
    {                                                                          \
        MOE_ROUND_EXPERTS | MOE_ROUND(dispatch) | MOE_ROUND(returned) |        \
            MOE_ROUND(output),                                                 \
            MOE_ORDER_fp32_slot, MOE_ORDER_rank, MOE_WEIGH_source              \
    }
#define MOE_PAIRS_STAGES                                                       \
    {                                                                          \
        moe_tp_part_prepare_stage, moe_pairs_permute_stage,                    \
            moe_gathered_experts_stage, moe_pairs_unpermute_stage,             \
            moe_tp_part_finalize_stage                                         \
    }

/**
 * How many rows go where.
 *
 * @param[in] own   [E] pairs of own tokens; kept.
 * @param[in] told  Rank s sends told[s * each + e] rows to local expert e.
 */
void moe_pairs_plan(moe_ctx_t *c, const int64_t *own, const int64_t *told,
                    int64_t each, moe_pairs_t *p);

/** The same of counts that devices tell each other as flags, ceil(E / R) to
 * each, of tokens in equal parts of the tp ranks (moe/tp_part.h). */
void moe_pairs_plan_flags(moe_ctx_t *c, moe_pairs_t *p);

/** The same, with padding in the parts that is masked: it is not sent. */
void moe_pairs_plan_masked(moe_ctx_t *c, moe_pair_plan_t *p);

/** The same, but each rank writes its counts for all experts to all ranks, up
 * to moe_pairs_table() numbers. */
void moe_pairs_plan_table(moe_ctx_t *c, moe_pair_plan_t *p);
int64_t moe_pairs_table(const moe_layer_t *layer);

/** The same of counts for every expert that ranks gather, or tell each other,
 * and of parts that differ: a dp rank's tokens are padded to tp rows at least,
 * and padding is routed and sent too. */
void moe_pairs_plan_counts(moe_ctx_t *c, bool told, moe_pair_plan_t *p);

/** Flags that a rank writes for another: ceil(E / R). */
int64_t moe_pairs_numbers(const moe_layer_t *layer);

/** x to the experts, in the format that they read, sorted by expert (index);
 * ids end. */
void moe_pairs_permute_stage(moe_ctx_t *c);

/** The experts' rows y home, in the combine format; y becomes the tokens'
 * weighted sums. Weights end. */
void moe_pairs_unpermute_stage(moe_ctx_t *c);

/**
 * Payload of a rank by stage, in bytes written, in groups of more than one and
 * counts told as flags: prepare 4 R ceil(E / R), permute t k message, unpermute
 * n rowc, with t the rank's tokens and n the pairs of all tokens for its
 * experts; finalize the parts of the tp ranks.
 */
void moe_pairs_payload(const moe_formula_t *f, int64_t message,
                       moe_format_t combine, int64_t *out);

/** The same of a part of which so many rows are sent, with rows of padding of
 * all ranks that go to experts too. */
void moe_pairs_payload_of(const moe_formula_t *f, const moe_tp_part_t *part,
                          int64_t rows, int64_t padding, int64_t message,
                          moe_format_t combine, int64_t *out);

/** The same of moe_pairs_plan_counts(): prepare 8 E, told 8 R ceil(E / R);
 * padding counts. */
void moe_pairs_payload_counts(const moe_formula_t *f, bool told,
                              int64_t message, moe_format_t combine,
                              int64_t *out);

#endif
