/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A trace as JSON lines, as doc/trace.md describes them.
 */
#ifndef SIM_PRICE_TRACE_JSON_H
#define SIM_PRICE_TRACE_JSON_H

#include "moe/trace.h"

#include <stdio.h>

/**
 * Write the first line, which names the format and its version.
 * @return MOE_OK; MOE_ERR_IO; MOE_ERR_NOMEM.
 */
moe_status_t moe_trace_json_begin(FILE *stream);

/** Where lines go, and whose they are. */
typedef struct {
    FILE *stream;
    const char *method; /* label; NULL: lines do not name it */
} moe_trace_json_t;

/** Write one record as one line. As a sink's record function: self is a
 * moe_trace_json_t. */
moe_status_t moe_trace_json_record(void *self,
                                   const moe_trace_record_t *record);

#endif
