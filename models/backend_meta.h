/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The backend that moves no data: all ranks in one process, shapes only.
 */
#ifndef MODELS_BACKEND_META_H
#define MODELS_BACKEND_META_H

#include "moe/run_method.h"

/**
 * A meta backend for one method.
 *
 * @param[in] like     Backend whose storage_bytes and workspace_bytes are
 *                     predicted; NULL: the modelled bytes, no workspace.
 * @param[in] routing  Of all tokens; kept.
 */
moe_status_t moe_meta_create(const moe_backend_t *like,
                             const moe_routing_t *routing,
                             moe_backend_t **backend_p);
void moe_meta_free(moe_backend_t *backend);

/**
 * Run a method on every rank, one after the other, into a sink.
 * @param[out] peak_bytes  [W] largest memory of each rank; NULL if unwanted.
 */
moe_status_t moe_meta_run(const moe_layer_t *layer, const moe_method_use_t *use,
                          const moe_routing_t *routing,
                          const moe_backend_t *like, moe_stage_set_t stages,
                          const moe_trace_sink_t *sink, int64_t *peak_bytes);

#endif
