/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A tiny layer, put together of the stages of ref/ as a backend does, with
 * one fault if wanted.
 */
#ifndef TESTS_TINY_LAYER_H
#define TESTS_TINY_LAYER_H

#include "moe/layer.h"
#include "ref/oracle.h"

#include <stdint.h>

enum {
    TINY_TOKENS = 24,
    TINY_HIDDEN = 128,
    TINY_INTERMEDIATE = 64,
    TINY_EXPERTS = 8
};

typedef enum {
#define FAULT(id, text) FAULT_##id,
#include "tests/faults.def"
#undef FAULT
    FAULT_COUNT
} fault_t;

/** Inputs of the layer. */
typedef struct {
    moe_model_t model;
    moe_layer_t layer;
    moe_chain_t chain;
    uint16_t hidden[TINY_TOKENS * TINY_HIDDEN];
    uint16_t router[TINY_EXPERTS * TINY_HIDDEN];
    float bias[TINY_EXPERTS];
} tiny_t;

typedef struct {
    int32_t ids[TINY_TOKENS * MOE_TOPK_MAX];
    float weights[TINY_TOKENS * MOE_TOPK_MAX];
    uint32_t output[TINY_TOKENS * TINY_HIDDEN]; /* codes */
} tiny_result_t;

/** A layer with sigmoid, bias, 4 groups of which 2 are kept, top-3, bf16
 * outputs, dispatch in the given format. */
void tiny_init(tiny_t *tiny, moe_format_t dispatch);

/** Run all tokens through the stages; false if one failed. */
bool tiny_run(const tiny_t *tiny, fault_t fault, tiny_result_t *result);

/** The same by the oracle. */
moe_status_t tiny_oracle(const tiny_t *tiny, tiny_result_t *result);

#endif
