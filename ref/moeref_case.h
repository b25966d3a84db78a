/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * libmoeref: a rank's layer, and a judge of tensors. Part of <moeref.h>, which
 * is what to include.
 */
#ifndef MOEREF_CASE_H
#define MOEREF_CASE_H

#include "moeref_base.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- A rank's layer -----------------------------------------------------
 *
 * One rank's share of an MoE layer with generated data: a range of tokens,
 * all of which it sees, and a range of local experts. Its tensors are those
 * of the chain - hidden, logits, topk_ids, topk_weights, dispatch, expert_in,
 * gemm1_out, act_out, gemm2_in, gemm2_out, combine, output -, each the exact
 * result of those before it, rounded once; of an expert's stages the rows are
 * pairs of a token and a local expert of its, by expert, then token. */

/** A case; used by one thread at a time. */
typedef struct moeref_case moeref_case_t;

/** A matrix; dtypes are names of moesim's elements: bf16, fp32, e2m1 (two a
 * byte), e4m3, i32, i64, ... Owned by who made it. */
typedef struct {
    const char *dtype;
    const char *scale_dtype; /* NULL without scales */
    void *data;              /* [rows][cols] */
    void *scales;            /* [rows][blocks], linear */
    int64_t rows;
    int64_t cols;
    int64_t blocks;
    float global_scale; /* of the profile; 0 without */
    float decode_scale; /* element = code x scale x this, exactly; 0: experts
                         * have their own, tensor w13.decode */
} moeref_tensor_t;

/** Why the last call of this thread failed, "" if it did not. */
MOEREF_API const char *moeref_error(void);

/**
 * A case from settings, "key=value" separated by blanks: hidden,
 * intermediate, experts, topk, token_end and expert_end must be given; the
 * others are those of a scenario and of a model file (score, seed, dispatch,
 * profile, ...), and data and inject, see ref/case_setting.def.
 * @return Ended with moeref_case_free(); NULL, and moeref_error().
 */
MOEREF_API moeref_case_t *moeref_case_new(const char *settings);
MOEREF_API void moeref_case_free(moeref_case_t *c);

/**
 * A tensor of a case, made when first wanted: one of the chain; NAME.abs,
 * fp32 bounds of the sum of the magnitudes behind each element of NAME; w13
 * and w2, rows of all local experts one after the other; w13.decode and
 * w2.decode, fp32 [local experts], decode_scale of NVFP4 and fp8_tensor; with
 * expert_bias w13.bias and w2.bias, fp32, a row an expert; router
 * [experts][hidden] and bias; token (i64), slot, expert (i32) of the pairs.
 * @param[out] tensor  Valid until the case ends.
 */
MOEREF_API moeref_status_t moeref_case_tensor(moeref_case_t *c,
                                              const char *name,
                                              moeref_tensor_t *tensor);

/**
 * Judge somebody's tensors of the chain, each from the one before it that is
 * given, or else from the exact ones.
 * @param[in]  names, got  [n]; a tensor of numbers may be of any float type.
 * @param[out] text        A line for each tensor, wrong ones first; in the
 *                         first what the mistake looks like.
 *
 * In a case with inject=NAME, what is given is replaced, from the place of
 * that mistake on, by what the reference computes with it.
 * @return MOEREF_OK, MOEREF_ERR_WRONG, or why it could not be judged:
 *         MOEREF_ERR_UNSUPPORTED also if the mistake changes nothing here.
 */
MOEREF_API moeref_status_t moeref_case_check(const moeref_case_t *c,
                                             const char *const *names,
                                             const moeref_tensor_t *got, int n,
                                             char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
