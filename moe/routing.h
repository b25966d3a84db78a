/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The routing source: experts and weights of tokens, made before any method
 * runs; and samplers that draw one from a named distribution.
 */
#ifndef MOE_ROUTING_H
#define MOE_ROUTING_H

#include "base/status.h"
#include "moe/layout.h"
#include "moe/model.h"

#include <stdint.h>

/** Routing of the tokens [first, first + n) of the global order. */
typedef struct {
    int64_t first;
    int64_t n;
    int topk;
    int32_t *ids;                  /* [n][k], larger choice first */
    float *weights;                /* [n][k] */
    int32_t pad_ids[MOE_TOPK_MAX]; /* where a row of zeros is routed */
    float pad_weights[MOE_TOPK_MAX];
} moe_routing_t;

/** Storage for n tokens; ended with moe_routing_fini(). */
moe_status_t moe_routing_init(moe_routing_t *routing, int64_t first, int64_t n,
                              int topk);

/** Free; accepts a zeroed object. */
void moe_routing_fini(moe_routing_t *routing);

/**
 * Add to counts[E] the rows that tokens [begin, end) send to each expert,
 * one a (token, slot) pair. The tokens must lie in the source.
 */
void moe_routing_count(const moe_routing_t *routing, int64_t begin, int64_t end,
                       int64_t *counts);

/** Rows that the fullest of E experts has of the tokens; -1: no memory. */
int64_t moe_routing_most(const moe_routing_t *routing, moe_range_t tokens,
                         int64_t experts);

/** Place of a (token, slot) pair among those of tokens, sorted by expert, then
 * token. */
int64_t moe_routing_sorted(const moe_routing_t *routing, moe_range_t tokens,
                           int64_t token, int slot);

/** How many (token, slot) pairs of tokens go to experts of a range; and how
 * many tokens have at least one there. */
int64_t moe_routing_pairs(const moe_routing_t *routing, moe_range_t tokens,
                          moe_range_t experts);
int64_t moe_routing_touching(const moe_routing_t *routing, moe_range_t tokens,
                             moe_range_t experts);

/**
 * The same for all ranks of an ep group in one pass: out[j * stride] is how
 * many of the tokens have at least one of rank j's experts, and the numbers
 * after it how many pairs go to each of them; stride is their number at most,
 * or more, of which the rest is untouched.
 */
void moe_routing_spread(const moe_routing_t *routing, moe_range_t tokens,
                        const moe_layout_t *layout, int64_t experts,
                        int64_t stride, int64_t *out);

/* moe/sampler.def -- the list of distributions. */
typedef enum {
#define MOE_SAMPLER(id, text) MOE_SAMPLER_##id,
#include "moe/sampler.def"
#undef MOE_SAMPLER
    MOE_SAMPLER_COUNT
} moe_sampler_kind_t;

typedef struct {
    moe_sampler_kind_t kind;
    double s;     /* exponent of zipf; unused otherwise */
    int64_t step; /* of W0..W7: what moves, moves with it */
} moe_sampler_t;

const char *moe_sampler_name(moe_sampler_kind_t kind);
const char *moe_sampler_text(moe_sampler_kind_t kind);

/**
 * Draw the routing of tokens [first, first + n).
 *
 * Counter-based (seed, token): the same token gets the same experts on every
 * rank and in any cut of the tokens. k distinct experts a token; with
 * n_group > 1 from at most topk_group groups. Weights are
 * routed_scaling / k. Pad rows take the first k experts.
 *
 * @return MOE_OK, MOE_ERR_NOMEM, or MOE_ERR_RANGE if k experts cannot be
 *         chosen.
 */
moe_status_t moe_routing_sample(const moe_model_t *model,
                                const moe_sampler_t *sampler, uint64_t seed,
                                int64_t first, int64_t n,
                                moe_routing_t *routing_p);

#endif
