/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a case of libmoeref is made of, read from text.
 */
#ifndef REF_CASE_SETTINGS_H
#define REF_CASE_SETTINGS_H

#include "ref/layer.h"

/** Filled by moe_case_read(). */
typedef struct {
    moe_model_t model;
    moe_chain_t chain;
    uint64_t seed;
    moe_data_t data;
    moe_range_t tokens;
    moe_range_t local; /* experts */
    moe_fault_kind_t inject;
} moe_case_settings_t;

/**
 * Read settings, "key=value" separated by blanks; keys and defaults are those
 * of ref/case_setting.def.
 *
 * @return MOE_OK; MOE_ERR_INPUT, the first that is wrong recorded with what
 *         was expected.
 */
moe_status_t moe_case_read(const char *text, moe_case_settings_t *settings_p);

/** What settings are to each other. @return As moe_case_read(), which asks. */
moe_status_t moe_case_check(const moe_case_settings_t *c);

#endif
