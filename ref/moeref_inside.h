/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the files of ref/moeref_*.c that export a rank's layer share.
 */
#ifndef REF_MOEREF_INSIDE_H
#define REF_MOEREF_INSIDE_H

#include "ref/case_settings.h"
#include "ref/moeref.h"

#include <stddef.h>

struct moeref_case {
    moe_case_settings_t settings;
    moe_ref_layer_t layer;
    moe_rows_t weights[2]; /* of all local experts, one after the other */
    float *decode[2];      /* their global scales */
    float *bias[2];        /* [local experts][N] */
    float *abs[MOE_ROLE_COUNT];
};

/** What somebody has of the places of a layer. */
typedef struct {
    moe_rows_t rows[MOE_ROLE_COUNT]; /* borrowed */
    bool has[MOE_ROLE_COUNT];
} moe_moeref_got_t;

/**
 * Make the mistake that the case asks for: what got has of the place that it
 * is made in, and of those after it, is replaced by what the reference
 * computes with the mistake.
 *
 * @param[out] wrong_p  Holds the tensors; ended with moe_ref_layer_fini().
 * @return MOE_OK; MOE_ERR_UNSUPPORTED if it would change nothing that got
 *         has.
 */
moe_status_t moe_moeref_inject(const moeref_case_t *c, moe_moeref_got_t *got,
                               moe_ref_layer_t *wrong_p);

/** The library's status for ours. */
moeref_status_t moe_moeref_status(moe_status_t status);

/** What the layer of a case is made of. */
moe_ref_case_t moe_moeref_about(const moeref_case_t *c);

/** Place of the n characters of a name in the chain; none if there is no
 * such. */
moe_role_t moe_moeref_role(const char *name, size_t n);

#endif
