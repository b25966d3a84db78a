/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Inside of a context: shared by the front-ends of moe/method.h only.
 */
#ifndef MOE_CTX_H
#define MOE_CTX_H

#include "moe/run_method.h"

typedef struct moe_array moe_array_t;

struct moe_ctx {
    const moe_run_t *run;
    moe_status_t status; /* of the first error; then nothing is done */
    moe_stage_t stage;
    bool skip; /* the stage makes tensors, does nothing */
    void *plan;
    moe_array_t *arrays;   /* freed with the context */
    moe_tensor_t *tensors; /* all that live */
    int n_tensors;         /* made so far */
    int64_t n_records;
    int64_t n_calls;
    int64_t n_agreements;
    int n_brackets;
    int bracket; /* number of the open one, else 0 */
    bool bracket_fused;
    const char *bracket_name;
    int64_t bytes; /* of the tensors that live */
    bool has_output;
    bool calls_alone;            /* groups of one rank call collectives too */
    int *ranks[MOE_GROUP_COUNT]; /* own members, made when first asked for */
};

/** Keep the first status. */
void moe_ctx_fail(moe_ctx_t *c, moe_status_t status);

/** World ranks of the rank's group; NULL after an error. */
const int *moe_ctx_ranks(moe_ctx_t *c, moe_group_t group);

/**
 * True if every group of a kind is of one rank: then nothing is called.
 *
 * Groups of one kind may differ in size (the last node, its rails), and rank
 * 0 is in a largest one: a rank alone in its group still calls where others
 * are not, so that the numbers of calls and the agreements stay the same on
 * all ranks.
 */
bool moe_ctx_is_alone(const moe_ctx_t *c, moe_group_t group);

/** Release every tensor and array. */
void moe_ctx_fini(moe_ctx_t *c);

/** Storage of a place of the chain. */
const moe_storage_t *moe_ctx_storage(const moe_ctx_t *c, moe_role_t role);

/** Storage of sums that are combined: the combine format, or bf16 where that
 * is quantised, for rows are quantised after they were summed. */
moe_storage_t moe_ctx_sum_storage(const moe_ctx_t *c);

/** True if sums are carried unrounded. */
bool moe_ctx_carries_sums(const moe_ctx_t *c);

/** True if a token's rows are weighed when they are summed. */
bool moe_ctx_weighs_sums(const moe_ctx_t *c);

/** What the method's option group_list_type says; without one none. */
moe_group_list_t moe_ctx_group_list(const moe_ctx_t *c);

/** moe_method_expert_block() of the method. */
int64_t moe_ctx_expert_block(const moe_ctx_t *c);

/** moe_to() with a storage that is not that of the place. */
moe_tensor_t *moe_ctx_to(moe_ctx_t *c, moe_tensor_t *rows, moe_role_t role,
                         const moe_storage_t *to);

/** What a tensor is to be; see moe_tensor_t. */
typedef struct {
    moe_role_t role;
    moe_storage_t storage;
    moe_dtype_t dtype; /* MOE_DTYPE_none: the format's code type */
    int64_t rows;
    int64_t cols;
    int64_t valid_rows; /* -1: rows */
    bool carried_exact;
    bool kept;
    bool is_scale;
    moe_scale_layout_t scale_layout;
    moe_tensor_t *parent;
    int64_t row_offset;
    moe_tensor_t *source[3];
    int64_t first_expert;
    int64_t n_experts;
    moe_index_kind_t index;
    int64_t capacity;
    int64_t block;
    int64_t bin;
    int64_t sorted;
    moe_group_list_t list;
    moe_mapping_t mapping;
    const int64_t *rows_per_expert;
} moe_tensor_spec_t;

/**
 * Make a tensor and give it data; a block format's scales too (linear),
 * unless it is a view or a scale itself. NULL after an error.
 */
moe_tensor_t *moe_tensor_make(moe_ctx_t *c, const moe_tensor_spec_t *spec);

/** One of plain numbers. */
moe_tensor_t *moe_ctx_numbers(moe_ctx_t *c, moe_role_t role,
                              moe_format_t format, int64_t rows, int64_t cols,
                              int64_t valid_rows);

/** One that an operation makes of another. */
moe_tensor_t *moe_ctx_make_of(moe_ctx_t *c, moe_op_t op, moe_tensor_t *in,
                              const moe_tensor_spec_t *spec);

/** End every tensor, whoever owns it. */
void moe_tensors_drop(moe_ctx_t *c);

/** One more owner. NULL is fine. */
moe_tensor_t *moe_tensor_keep(moe_tensor_t *t);

/** Do an operation: workspace, trace, backend. main is the tensor whose
 * shape the record shows. */
void moe_ctx_do(moe_ctx_t *c, moe_call_t *call, const moe_tensor_t *main);

#endif
