/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A trace as JSON lines, as doc/trace.md describes them.
 */
#ifndef SIM_TRACE_JSON_H
#define SIM_TRACE_JSON_H

#include "moe/trace.h"

#include <stdio.h>

/**
 * Write the first line, which names the format and its version.
 * @return MOE_OK; MOE_ERR_IO; MOE_ERR_NOMEM.
 */
moe_status_t moe_trace_json_begin(FILE *stream);

/** Write one record as one line. As a sink's record function: self is the
 * FILE. */
moe_status_t moe_trace_json_record(void *self,
                                   const moe_trace_record_t *record);

#endif
