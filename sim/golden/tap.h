/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the ranks of a run compute, place by place, for a golden folder.
 *
 * A tap is told of each operation of the backend and keeps the rows that it
 * made. They are then held, bit by bit, against what ref/layer.h computes of
 * the rank's share in one process; sums over experts that a run rounds in its
 * own order are taken from the run.
 */
#ifndef SIM_GOLDEN_TAP_H
#define SIM_GOLDEN_TAP_H

#include "moe/run_method.h"
#include "ref/layer.h"

typedef struct {
    const moe_method_use_t *use;
    int rank;
    const moe_placed_t *placed;    /* of the layer; kept */
    moe_range_t own;               /* global tokens of the rank */
    int64_t all;                   /* tokens of its ep group */
    moe_rows_t at[MOE_ROLE_COUNT]; /* own memory */
    bool has[MOE_ROLE_COUNT];
    int64_t first_expert; /* of rows of experts */
    int64_t n_experts;
    int64_t *offset; /* [n_experts + 1] */
    int64_t *row;    /* [n] of the run, of each pair of the reference */
    bool in_parts;   /* ranks have parts of I: of gemm1_out to gemm2_out the
                      * run has no whole rows */
    unsigned held;   /* bit r: place r was equal */
} moe_golden_tap_t;

/** Ready for a method. Ended with moe_golden_tap_fini(), which accepts a
 * zeroed object. */
void moe_golden_tap_init(const moe_layer_t *layer, const moe_method_use_t *use,
                         int rank, moe_golden_tap_t *tap);
void moe_golden_tap_fini(moe_golden_tap_t *tap);

/** An operation was done; self is a tap. */
moe_status_t moe_golden_tap_observe(void *self, const moe_call_t *call);

/** Hold what a gate gave to rows that are the same, if the run has it. */
moe_status_t moe_golden_tap_hold_rows(moe_golden_tap_t *tap, moe_role_t role,
                                      const moe_rows_t *want);

/** The method's output. */
moe_status_t moe_golden_tap_output(moe_golden_tap_t *tap,
                                   const moe_tensor_t *output);

/** True where the run rounds as no other: its tensor is the answer, if it is
 * of this storage. */
bool moe_golden_tap_rules(const moe_golden_tap_t *tap, moe_role_t role,
                          const moe_storage_t *storage);

/** True if the method sums as ref/layer.h does: exactly, rounded once. */
bool moe_golden_tap_is_plain(const moe_golden_tap_t *tap);

/**
 * Hold a place of a layer, whose first row is row `first` of the run's, to
 * what the run computed; nothing if the run has no such tensor.
 * @return MOE_OK; MOE_ERR_CHECK with the row; MOE_ERR_NOMEM.
 */
moe_status_t moe_golden_tap_hold(moe_golden_tap_t *tap,
                                 const moe_ref_layer_t *layer, moe_role_t role,
                                 int64_t first);

#endif
