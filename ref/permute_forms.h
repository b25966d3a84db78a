/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Other forms of the same permutation (ref/permute.h): lists of group sizes,
 * blocks of one expert each, and capacity.
 */
#ifndef REF_PERMUTE_FORMS_H
#define REF_PERMUTE_FORMS_H

#include "moe/tensor.h"
#include "ref/permute.h"

/** Rows of the local experts: out[n_experts]; and back to offsets
 * [n_experts + 1]. @return MOE_ERR_RANGE if numbers are negative or fall. */
void moe_ref_group_list(const moe_ref_index_t *index, moe_group_list_t type,
                        int64_t *out);
moe_status_t moe_ref_group_offsets(const int64_t *list, moe_group_list_t type,
                                   int64_t n_experts, int64_t *offset);

/** vLLM's moe_align_block_size. */
typedef struct {
    int64_t n;           /* rows, padding among them: num_tokens_post_pad */
    int64_t *sorted_ids; /* [n] row x k + slot of each, rows x k: padding */
    int32_t *expert_ids; /* [n / block] local expert of each block */
} moe_ref_blocks_t;

/** Ended with moe_ref_blocks_fini(). Order in an expert: as the pairs lie.
 * @return MOE_OK; MOE_ERR_RANGE; MOE_ERR_NOMEM. */
moe_status_t moe_ref_blocks_init(const moe_ref_index_t *index, int64_t block,
                                 moe_ref_blocks_t *blocks_p);
void moe_ref_blocks_fini(moe_ref_blocks_t *blocks);

/**
 * An index of capacity form: expert e has the rows [e C, (e + 1) C), of which
 * those that no pair has are rows of zeros (row -1). Ended with
 * moe_ref_index_fini().
 *
 * @param[in] ids, location  [rows][k] expert and its row; -1 dropped.
 *            location NULL: the first C pairs of each expert in their order.
 * @return MOE_OK; MOE_ERR_RANGE for an id or row that is none, or a row that
 *         two pairs have; MOE_ERR_NOMEM.
 */
moe_status_t moe_ref_index_capacity(const int32_t *ids, const int64_t *location,
                                    int64_t rows, int topk, int64_t experts,
                                    int64_t capacity, moe_ref_index_t *index_p);

#endif
