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
    float *abs[MOE_ROLE_COUNT];
};

/** The library's status for ours. */
moeref_status_t moe_moeref_status(moe_status_t status);

/** What the layer of a case is made of. */
moe_ref_case_t moe_moeref_about(const moeref_case_t *c);

/** Place of the n characters of a name in the chain; none if there is no
 * such. */
moe_role_t moe_moeref_role(const char *name, size_t n);

#endif
