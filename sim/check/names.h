/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What GOT has beside what is judged: names that nobody knows, files that are
 * not there, tensors of another type or shape.
 */
#ifndef SIM_CHECK_NAMES_H
#define SIM_CHECK_NAMES_H

#include "sim/check/check.h"

/** Warn of tensors of GOT that are neither REF's nor of a golden file, each
 * with the nearest name. rank NULL: bare files, REF's names alone. */
moe_status_t moe_check_names(moe_check_t *check, const moe_golden_rank_t *rank,
                             const moe_safetensors_t *ref,
                             const moe_safetensors_t *got);

/** MOE_ERR_INPUT: a file has no tensor of a layer; what it has. */
moe_status_t moe_check_refuse(moe_check_t *check, const moe_golden_rank_t *rank,
                              const char *path);

/** Warn of tensors of a file without manifest that GOT has not. */
moe_status_t moe_check_absent(moe_check_t *check, const moe_safetensors_t *ref,
                              const moe_safetensors_t *got);

/** Fail: what a tensor of a file is, at which byte, and what was expected.
 * @return MOE_ERR_INPUT */
moe_status_t moe_check_unfit(const char *path, const moe_safetensor_t *t,
                             const char *expected);

/** Add a fault of a rank without a file in a folder, called GOT or GOT2. */
moe_status_t moe_check_add_missing(moe_check_t *check,
                                   const moe_golden_rank_t *rank,
                                   const char *called);

/** True of one type; and of U16, which are bits of a 16-bit float. */
bool moe_check_same_type(const moe_safetensor_t *a, const moe_safetensor_t *b);

/** Add a fault of a tensor whose type or shape another file's is not. */
moe_status_t moe_check_add_shape(moe_check_t *check,
                                 const moe_golden_rank_t *rank,
                                 const moe_safetensor_t *is, const char *called,
                                 const moe_safetensor_t *other);

#endif
