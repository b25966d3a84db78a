/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Layers, methods and a machine for tests that run shapes only.
 */
#ifndef TESTS_LAYERS_H
#define TESTS_LAYERS_H

#include "models/machine.h"
#include "moe/run_method.h"

/** A machine whose constants are powers of two: 8 ranks on a switch, 64 on
 * rails; 2^-17 s a launch, 2^-16 s a collective, 2^-20 s a step, 2^38 bytes/s
 * a port and 2^36 between nodes, 2^42 bytes/s of memory, half of it reached. */
moe_machine_t moe_test_machine(void);

/** DeepSeek-R1's layer, and a small one of 16 experts. */
moe_model_t moe_test_deepseek(void);
moe_model_t moe_test_small(void);

/** How tokens lie on ranks. */
typedef enum {
    MOE_TOKENS_equal,
    MOE_TOKENS_ragged,
    MOE_TOKENS_one_zero,
    MOE_TOKENS_only_one,
    MOE_TOKENS_none,
    MOE_TOKENS_COUNT
} moe_test_tokens_t;

typedef struct {
    moe_model_t model;
    int64_t tokens[1024];
    moe_layer_t layer; /* points into this object */
    moe_routing_t routing;
} moe_test_layer_t;

/** A layer with ep = dp = n_ranks and some tokens, its routing sampled;
 * fails the test on error. Ended with moe_test_layer_fini(). */
void moe_test_layer_init(moe_test_layer_t *t, const moe_model_t *model,
                         int n_ranks, moe_test_tokens_t tokens, int64_t each);
void moe_test_layer_fini(moe_test_layer_t *t);

/** A method with its default options, but without the limits of a library's
 * build (option limits), then key set to value (NULL: none). */
moe_method_use_t moe_test_use(const moe_method_t *method,
                              const moe_layer_t *layer, const char *key,
                              const char *value);

/** Whether the method runs in this layer, laid out as the use wants it. */
bool moe_test_runs(const moe_layer_t *layer, const moe_method_use_t *use);

#endif
