/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Writers of a check document (moesim-check-1): findings[], each of a tensor
 * of a rank, with verdict, counts and the worst place.
 */
#ifndef REPORTS_CHECK_H
#define REPORTS_CHECK_H

#include "base/status.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/** At most 30 lines, worst first. */
moe_status_t moe_check_terminal(json_t *document, bool color, FILE *stream);

/** JUnit XML: a test case a finding. Errors are the stream's. */
void moe_check_junit(json_t *document, FILE *stream);

/** A finding's numbers in words, for both. */
void moe_check_words(json_t *finding, char *out, size_t size);

/** Where its worst element is, "" if there is none. */
void moe_check_place(json_t *finding, char *out, size_t size);

#endif
