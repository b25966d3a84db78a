/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Redundant experts: which physical slots hold which logical expert.
 *
 * The algorithm is that of EPLB (deepseek-ai/EPLB:eplb.py, d52c72d): groups
 * of experts are packed to nodes, experts replicated inside their node, and
 * replicas packed to GPUs. Ties go to the lower number.
 */
#ifndef MOE_PLACEMENT_H
#define MOE_PLACEMENT_H

#include "base/status.h"

#include <stdint.h>

/** Sizes of a placement. */
typedef struct {
    int64_t logical;  /* E experts */
    int64_t physical; /* slots, a multiple of gpus, at least E */
    int64_t groups;   /* of experts; 1 without */
    int64_t nodes;
    int64_t gpus; /* a multiple of nodes */
} moe_placement_shape_t;

/* moe/replica.def -- how a token's choice of an expert becomes a slot. */
typedef enum {
#define MOE_REPLICA(id, text) MOE_REPLICA_##id,
#include "moe/replica.def"
#undef MOE_REPLICA
    MOE_REPLICA_COUNT
} moe_replica_t;

/** Ended with moe_placement_fini(). */
typedef struct {
    moe_placement_shape_t shape;
    int32_t *logical_of;  /* [physical] expert that a slot holds */
    int64_t *replicas;    /* [logical] slots of an expert */
    int64_t most;         /* replicas of the expert that has most */
    int64_t *physical_of; /* [logical][most] its slots, then -1 */
} moe_placement_t;

/**
 * Place experts by their load. Hierarchical if groups is a multiple of nodes,
 * else as if there were one group and one node.
 *
 * @param[in] load  [logical], not negative, finite.
 * @return MOE_OK; MOE_ERR_RANGE for sizes that do not fit each other;
 *         MOE_ERR_NOMEM.
 */
moe_status_t moe_placement_make(const moe_placement_shape_t *shape,
                                const double *load,
                                moe_placement_t *placement_p);
void moe_placement_fini(moe_placement_t *placement);

/**
 * The placement that a list says: slot p holds expert logical_of[p].
 * @param[in] logical_of  [physical], each expert at least once.
 * @return As moe_placement_make().
 */
moe_status_t moe_placement_from(const moe_placement_shape_t *shape,
                                const int32_t *logical_of,
                                moe_placement_t *placement_p);

/** Slot of an expert for a token of a source rank; token -1, a row of zeros:
 * the first. */
int32_t moe_placement_slot(const moe_placement_t *placement,
                           moe_replica_t policy, int64_t token, int source,
                           int32_t expert);

/**
 * Logical ids to physical ones, in place; -1 stays.
 *
 * @param[in]     first, source  Global number of the first token; its rank.
 * @param[in,out] ids  [n][k].
 */
void moe_placement_map(const moe_placement_t *placement, moe_replica_t policy,
                       int64_t first, int source, int64_t n, int topk,
                       int32_t *ids);

/**
 * An expert map as vLLM and SGLang have it: local number of each expert on
 * this rank, -1 elsewhere. Ids to local numbers, in place: -1 and ids beyond
 * the map stay -1, never an index.
 *
 * @param[in]     map  [experts].
 * @return MOE_OK; MOE_ERR_RANGE if the map names a local expert twice, or one
 *         that is none.
 */
moe_status_t moe_expert_map_apply(const int32_t *map, int64_t experts,
                                  int64_t n_local, int64_t n, int32_t *ids);

#endif
