/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Tables of report.md with a line for each method: what the one table of the
 * terminal has no room for. Layout only, as in reports/results.h.
 */
#ifndef REPORTS_MARKDOWN_METHODS_H
#define REPORTS_MARKDOWN_METHODS_H

#include "base/status.h"

#include <jansson.h>
#include <stdio.h>

/** Imbalance and parts of the time, bytes by rank, equality with the oracle,
 * cost of the run; of methods[] that were not refused. A table without a line
 * is left out. */
moe_status_t moe_markdown_methods(const json_t *document, FILE *stream);

#endif
