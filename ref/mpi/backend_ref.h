/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The backend that does the work exactly, on the CPU; a rank is an MPI
 * process.
 *
 * Data-moving operations are MPI's own collectives on the group's
 * communicator, in rows of a committed datatype. Floating-point reductions
 * are folded here: `faithful` in the declared order, `exact` unrounded, so that
 * the result does not depend on the number of ranks.
 */
#ifndef REF_MPI_BACKEND_REF_H
#define REF_MPI_BACKEND_REF_H

#include "moe/backend.h"
#include "moe/run_method.h"
#include "ref/mpi/agreement.h"
#include "ref/mpi/injection.h"
#include "ref/mpi/ledger.h"
#include "ref/mpi/world.h"
#include "ref/permute.h"
#include "ref/rows.h"
#include "ref/stats.h"

/** What a rank brings. All is kept. */
typedef struct {
    moe_world_t *world;
    moe_agreement_t *agreement;
    moe_ledger_t *ledger;
    const moe_layer_t *layer;
    const moe_routing_t *routing; /* own tokens, or all of them */
    bool impose_routing;    /* a sampled or traced router, or one that chooses
                             * wrongly: ids and weights are set from routing
                             * (all tokens), not compared */
    bool no_scores;         /* nobody's logits chose: gates have none */
    const uint16_t *hidden; /* [T_i][H] bf16 bits of the own tokens */
    const uint16_t *router; /* [E][H] bf16 bits */
    const float *bias;      /* [E]; NULL without */
    moe_status_t (*on_gate)(void *self, const moe_call_t *call);
    void *on_gate_self; /* told what each gate gave; on_gate may be NULL */
    moe_injection_t *injections; /* [n_injections] */
    size_t n_injections;
    int64_t n_calls; /* collectives of this rank in the whole run, as `meta`
                      * counts them; for skip-collective@R:last; 0 unknown */
    /** Told of each operation that was done, its tensors still there; NULL:
     * nobody asks. */
    moe_status_t (*observe)(void *self, const moe_call_t *call);
    void *observe_self;
    int n_methods; /* of the run, for progress in the run state; 0: the
                    * backend reports none */
} moe_ref_inputs_t;

/**
 * A backend of one layer. The layout of world must be the layer's.
 * @param[in] inputs  Copied; what it points to is kept.
 */
moe_status_t moe_ref_backend_create(const moe_ref_inputs_t *inputs,
                                    moe_backend_t **backend_p);
void moe_ref_backend_free(moe_backend_t *backend);

/** Other hidden states of the own tokens: of a method that lays the layer in
 * its own way. Kept. */
void moe_ref_backend_hidden(moe_backend_t *backend, const uint16_t *hidden);

/** A method begins, with the groups of its layout. To be called by all ranks
 * before moe_run_method(). */
moe_status_t moe_ref_backend_begin(moe_backend_t *backend,
                                   const moe_method_use_t *use);

/** What had to be redone so far on this rank. */
const moe_ref_stats_t *moe_ref_backend_stats(const moe_backend_t *backend);

/** Rows of a tensor of this backend, with its scales. */
moe_rows_t moe_ref_rows(const moe_tensor_t *tensor);

/** Index of a tensor; NULL if no stage has made it. */
const moe_ref_index_t *moe_ref_index_of(const moe_tensor_t *tensor);

/** A table with storage_bytes and workspace_bytes alone: the memory that a
 * rank will take, for the meta backend. Needs no MPI. */
const moe_backend_t *moe_ref_backend_like(void);

#endif
