/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A folder whose first method has a gate with capacity: what that leaves, and
 * what it gives beside ids and weights.
 */
#ifndef SIM_CHECK_GATE_H
#define SIM_CHECK_GATE_H

#include "sim/check/check.h"

/** Make the choices of all tokens, if the folder has a gate's: check->gate,
 * ended with moe_check_gate_free(), which accepts NULL.
 * @return MOE_OK; MOE_ERR_INPUT if the scenario has no such gate. */
moe_status_t moe_check_gate_make(moe_check_t *check);
void moe_check_gate_free(struct moe_check_gate *gate);

/** True if ids and weights are not the router's, but what a gate leaves. */
bool moe_check_gate_drops(const moe_check_t *check);

/** Let a rank's choices be those by its own logits, [own][E] fp32, if they are
 * finite and the router goes by logits; until the next rank's. */
moe_status_t moe_check_gate_by(moe_check_t *check,
                               const moe_golden_rank_t *rank,
                               const moe_rows_t *logits);

/** Note how many of a rank's dropped choices may be other experts', of a judge
 * that has run; or, of NULL, that nothing is known. Nothing without a gate. */
moe_status_t moe_check_gate_doubt(moe_check_t *check, const moe_judge_t *judge);

/** Ids and weights of tokens, [n][k], borrowed. */
void moe_check_gate_rows(const moe_check_t *check, moe_range_t tokens,
                         moe_rows_t *ids_p, moe_rows_t *weights_p);

/** Judge location, expert_counts and aux_loss, where GOT has them and its ids,
 * if any, are the gate's. */
moe_status_t moe_check_gate_given(moe_check_t *check,
                                  const moe_golden_rank_t *rank,
                                  const moe_safetensors_t *got,
                                  const char *path);

#endif
