/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The GPU path: plain C, no CUDA type.
 */
#ifndef GPU_GPU_H
#define GPU_GPU_H

#include "base/status.h"
#include "moe/backend.h"

#include <stdbool.h>

/** Was the GPU path built in? */
bool moe_gpu_built(void);

/**
 * The backend of this rank.
 *
 * @param[out] backend_p  Ended with moe_gpu_backend_free(). Untouched on
 *                        error.
 * @return MOE_OK; MOE_ERR_UNSUPPORTED if it was not built in; MOE_ERR_GPU.
 */
moe_status_t moe_gpu_backend_create(const moe_layer_t *layer, int rank,
                                    moe_backend_t **backend_p);
void moe_gpu_backend_free(moe_backend_t *backend);

#endif
