/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Rows of experts, inside of the reference backend: lists of how many, gates
 * and ups, weights.
 */
#ifndef REF_MPI_EXPERTS_H
#define REF_MPI_EXPERTS_H

#include "ref/activation.h"
#include "ref/mpi/backend_inside.h"

/** The list of an index, where a call makes one; and offsets [n_experts + 1]
 * by it: MOE_ERR_CHECK where they are not the index's. */
void moe_ref_make_list(const moe_call_t *call);
moe_status_t moe_ref_read_list(const moe_tensor_t *index, int64_t *offset);

/** The activation of gate and up in two tensors, and grouped rows times the
 * weights of their pairs (ref_experts.c). */
moe_status_t moe_ref_activate_pair(moe_ref_gate_t gate, const moe_call_t *call,
                                   moe_ref_stats_t *stats);
moe_status_t moe_ref_weigh_grouped(const moe_call_t *call);

#endif
