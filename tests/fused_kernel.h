/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A float32 emulation of a fused MoE kernel, for one token: products added in
 * an order drawn anew each time. It shares inputs and the quantiser with the
 * reference, and no sum.
 */
#ifndef TESTS_FUSED_KERNEL_H
#define TESTS_FUSED_KERNEL_H

#include "ref/layer.h"

#include <stdint.h>

/** One mistake in it. */
typedef enum {
    KERNEL_good,
    KERNEL_scale_code,     /* of one block of the token's row, one code up */
    KERNEL_weight_missing, /* the smallest one counts 0 */
    KERNEL_tile_skipped,   /* 64 columns of K of gemm1, of one expert */
    KERNEL_tile2_skipped,  /* and of gemm2 */
    KERNEL_neighbour_row,  /* another token's row enters gemm1 */
    KERNEL_COUNT
} kernel_fault_t;

/** Weights of a token's experts, decoded and transposed: [K][N] bf16, which
 * holds code x scale exactly, without the global scale. */
typedef struct {
    moe_ref_layer_t *layer; /* one token and its neighbour; all experts */
    int64_t n;              /* experts of the first token */
    uint16_t *w13[MOE_TOPK_MAX];
    uint16_t *w2[MOE_TOPK_MAX];
    uint64_t state; /* of the random numbers */
} kernel_t;

/** Decode the weights of the first token's experts. layer must hold
 * expert_in and topk_weights. */
void kernel_init(moe_ref_layer_t *layer, uint64_t seed, kernel_t *kernel);
void kernel_fini(kernel_t *kernel);

/** Tensors of the first token, as the kernel makes them; rows by slot. */
typedef struct {
    uint16_t *gemm1_out; /* [k][2 I] bf16 */
    uint16_t *act_out;   /* [k][I] */
    uint16_t *gemm2_out; /* [k][H] */
    uint16_t *output;    /* [H] */
} kernel_out_t;

void kernel_run(kernel_t *kernel, kernel_fault_t fault, kernel_out_t *out);

#endif
