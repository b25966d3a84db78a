/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The fields of a report document, and whether a document has them.
 */
#ifndef REPORTS_SCHEMA_H
#define REPORTS_SCHEMA_H

#include "base/diag.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define MOE_REPORT_SCHEMA "moesim-report-1"

typedef enum {
    MOE_FIELD_always,
    MOE_FIELD_run,
    MOE_FIELD_done,
    MOE_FIELD_judged,
    MOE_FIELD_maybe,
    MOE_FIELD_COUNT
} moe_field_when_t;

typedef struct {
    const char *path;
    const char *type;
    moe_field_when_t when;
    const char *unit;
    const char *text;
} moe_field_t;

/** Number of fields, and each, in the order of the list. */
size_t moe_field_count(void);
const moe_field_t *moe_field_get(size_t i);

/** Word of schema.def. */
const char *moe_field_when_name(moe_field_when_t when);

/**
 * Hold a document to the list: no field missing, unknown or of another type.
 * @param[out] diag  Gets each problem, with the path as key.
 * @return True if there was none.
 */
bool moe_report_check(const json_t *document, moe_diag_t *diag);

#endif
