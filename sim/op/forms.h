/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Forms of permute's results that settings ask for.
 */
#ifndef SIM_OP_FORMS_H
#define SIM_OP_FORMS_H

#include "moe/tensor.h"
#include "ref/permute.h"
#include "sim/op/op.h"

typedef struct {
    moe_group_list_t list; /* MOE_GROUP_LIST_none: not asked for */
    int64_t block;         /* rows; 0: not asked for */
    int64_t capacity;      /* rows of an expert; 0: not asked for */
} moe_tool_forms_t;

/** Settings group_list, block and capacity; problems are told. */
moe_tool_forms_t moe_tool_forms(moe_tool_job_t *job);

/** True if permute may go without x: a form of the ids is asked for, and no
 * --tensor names x. */
bool moe_tool_ids_alone(const moe_tool_job_t *job,
                        const moe_tool_forms_t *forms);

/** Results group_list [experts] and sorted_token_ids, expert_ids,
 * num_tokens_post_pad of an index, as far as they are asked for. */
void moe_tool_put_forms(moe_tool_job_t *job, const moe_tool_forms_t *forms,
                        const moe_ref_index_t *index);

/** Results rows [experts][capacity][K], zeros where no pair is, pair
 * [experts][capacity] and place [x->rows][topk]. ids [x->rows][topk]; those
 * outside [first, first + experts) are no rows. */
void moe_tool_put_capacity(moe_tool_job_t *job, const moe_rows_t *x,
                           const int32_t *ids, int topk, int64_t first,
                           int64_t experts, int64_t capacity);

#endif
