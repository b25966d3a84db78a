/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Which tokens of a run the oracle computes.
 */
#ifndef SIM_RUN_SAMPLE_H
#define SIM_RUN_SAMPLE_H

#include "base/status.h"
#include "moe/layer.h"
#include "moe/routing.h"

/** Multiply-adds up to which the oracle takes every token: a few seconds of
 * one core. */
#define MOE_SAMPLE_ALL_MACS INT64_C(2000000000)

/** Tokens of a sample: at least, and at most unless more ranks than half of
 * it hold tokens. */
#define MOE_SAMPLE_MIN 64
#define MOE_SAMPLE_MAX 96

/** The sample; tokens in ascending order. */
typedef struct {
    int64_t n;
    int64_t *token; /* [n] global numbers */
    bool all;       /* every token of the layer */
    bool cut;       /* the fullest expert has more than were taken */
} moe_sample_t;

/**
 * All tokens of a small layer; else each rank's first and last, those of the
 * fullest and of the emptiest expert that has any, and others evenly spread
 * up to MOE_SAMPLE_MIN.
 *
 * @param[in]  routing   Of all tokens.
 * @param[out] sample_p  Ended with moe_sample_fini().
 */
moe_status_t moe_sample_tokens(const moe_layer_t *layer,
                               const moe_routing_t *routing,
                               moe_sample_t *sample_p);
void moe_sample_fini(moe_sample_t *sample);

#endif
