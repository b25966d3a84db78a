/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The workloads W0..W7 of Megatron-LM's token-imbalance benchmark as routers.
 *
 * They depend on (workload, seed, step) and on a token's global number alone:
 * no layout, no rank count. A hot or idle "rank" is an eighth of the experts
 * side by side, which is a rank where eight share them.
 *
 * Source: NVIDIA/Megatron-LM#7488 for names and what each isolates; how much
 * hotter is hot is ours: the hot eighth draws half of all choices.
 */
#ifndef MOE_WORKLOAD_H
#define MOE_WORKLOAD_H

#include "moe/routing.h"

/** Stretch of tokens that prefer the same experts, in W4. */
#define MOE_WORKLOAD_STRETCH 64

/** Steps of which the last is a burst, in W7. */
#define MOE_WORKLOAD_PERIOD 8

/** True for W0..W7. */
bool moe_sampler_is_workload(moe_sampler_kind_t kind);

/** True if a step of a workload spreads tokens evenly: W0, and W7 between
 * bursts. */
bool moe_workload_is_balanced(const moe_sampler_t *sampler);

/** Experts of a token in a balanced step: k distinct ones within the model's
 * groups. offset turns the order, alike for all tokens. */
void moe_workload_balanced(const moe_model_t *model, int64_t offset,
                           int64_t token, int32_t *ids);

/** How likely each expert is, [E], before the shift; by_chance is a random
 * order of the experts. */
void moe_workload_weights(const moe_sampler_t *sampler, int64_t experts,
                          const int32_t *by_chance, uint64_t *weight);

/** Experts by which a token's choice is turned: the hot ones move. */
int64_t moe_workload_shift(const moe_sampler_t *sampler,
                           const moe_model_t *model, int64_t token);

#endif
