/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The file of `price --trace`: the traces of all methods, one after the other.
 */
#ifndef SIM_PRICE_TRACE_FILE_H
#define SIM_PRICE_TRACE_FILE_H

#include "sim/options/options.h"
#include "sim/scenario/scenario.h"

typedef struct moe_trace_file moe_trace_file_t;

/**
 * Open what the command's --trace names, and write its first line; it appears
 * under its name when it is committed. From here on SIGINT, SIGTERM and SIGHUP
 * remove what is unfinished before they end the process.
 * @param[out] file_p  NULL without --trace. Ended with
 *                     moe_trace_file_commit() or moe_trace_file_abort().
 * @return MOE_OK; MOE_ERR_INPUT for `-`; MOE_ERR_IO; MOE_ERR_NOMEM.
 */
moe_status_t moe_trace_file_open(const moe_command_t *command,
                                 moe_trace_file_t **file_p);

/** Append the records of a method, of all ranks and stages, under a routing
 * that it was priced with. */
moe_status_t moe_trace_file_add(moe_trace_file_t *file,
                                const moe_scenario_t *scenario,
                                const moe_method_use_t *use,
                                const moe_routing_t *routing);

/** End the file; NULL is MOE_OK. The object is gone either way; on error so
 * is what was written. */
moe_status_t moe_trace_file_commit(moe_trace_file_t *file);

/** Give up. Accepts NULL. */
void moe_trace_file_abort(moe_trace_file_t *file);

#endif
