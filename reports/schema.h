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
    MOE_WHEN_always,
    MOE_WHEN_run,
    MOE_WHEN_done,
    MOE_WHEN_judged,
    MOE_WHEN_maybe,
    MOE_WHEN_COUNT
} moe_report_when_t;

typedef struct {
    const char *path;
    const char *type;
    moe_report_when_t when;
    const char *unit;
    const char *text;
} moe_report_field_t;

/** Number of fields, and each, in the order of the list. */
size_t moe_report_field_count(void);
const moe_report_field_t *moe_report_field(size_t i);

/** Word of schema.def. */
const char *moe_report_when_name(moe_report_when_t when);

/**
 * Hold a document to the list: no field missing, unknown or of another type.
 * @param[out] diag  Gets each problem, with the path as key.
 * @return True if there was none.
 */
bool moe_report_check(json_t *document, moe_diag_t *diag);

#endif
