/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/gpu.h"

bool moe_gpu_built(void)
{
    return false;
}

moe_status_t moe_gpu_backend_create(const moe_layer_t *layer, int rank,
                                    moe_backend_t **backend_p)
{
    (void)layer;
    (void)rank;
    (void)backend_p;
    return moe_fail(MOE_ERR_UNSUPPORTED,
                    "backend gpu: this moesim was built without the GPU path; "
                    "use --backend ref");
}

void moe_gpu_backend_free(moe_backend_t *backend)
{
    (void)backend;
}
