/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Writers of the report document (doc/report.md).
 *
 * The document is borrowed and not changed. A writer that fails to write says
 * MOE_ERR_IO through the stream's error flag: callers check ferror() or close.
 */
#ifndef REPORTS_REPORT_H
#define REPORTS_REPORT_H

#include "base/status.h"
#include "reports/schema.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/** The whole document, indented, keys in the order they were set, numbers
 * with as many digits as it takes to read the same value back. */
moe_status_t moe_report_json(json_t *document, FILE *stream);

/** One table and a headline, for people; escapes for colour if asked. */
moe_status_t moe_report_terminal(json_t *document, bool color, FILE *stream);

/** report.md: the same, and what the table has no room for. */
moe_status_t moe_report_markdown(json_t *document, FILE *stream);

#endif
