/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/gemm.h"

#include "ref/version.h"

#include <stdlib.h>
#include <string.h>

enum {
    SOME = 8 /* columns of all rows: whole cache lines are read */
};

/* Best first. */
static const moe_gemm_kernel_t *const kernels[] = {
    &moe_gemm_avx512,
    &moe_gemm_avx2,
};

enum {
    KERNELS = sizeof(kernels) / sizeof(kernels[0])
};

/* Integer kernels are named for what they need of AVX-512. */
static bool is_asked(const moe_gemm_kernel_t *kernel, const char *name)
{
    return name == NULL || strcmp(name, kernel->name) == 0 ||
           (kernel == &moe_gemm_avx512 &&
            (strcmp(name, "vnni") == 0 || strcmp(name, "amx") == 0));
}

const moe_gemm_kernel_t *moe_gemm_kernel(void)
{
    const char *name = getenv("MOESIM_KERNEL");

    if (moe_blas_threads() > 1) {
        return NULL;
    }
    for (int i = 0; i < KERNELS; i++) {
        if (kernels[i]->available() && is_asked(kernels[i], name)) {
            return kernels[i];
        }
    }
    return NULL;
}

/* Registers are spread evenly over as few panels as hold them. */
moe_gemm_panels_t moe_gemm_panels(const moe_gemm_kernel_t *kernel, int64_t n)
{
    const int64_t registers = (n + kernel->lanes - 1) / kernel->lanes;
    const int64_t panels = (registers + kernel->most - 1) / kernel->most;
    moe_gemm_panels_t p = {.panels = panels};

    if (panels > 0) {
        p.registers = (int)((registers + panels - 1) / panels);
        p.rows = (int64_t)p.registers * kernel->lanes;
    }
    return p;
}

int64_t moe_gemm_padded(const moe_gemm_kernel_t *kernel, int64_t n)
{
    const int64_t panel = (int64_t)kernel->most * kernel->lanes;

    return n < panel ? (n + kernel->lanes - 1) / kernel->lanes * kernel->lanes
                     : n + (n / panel + 2) * kernel->lanes;
}

void moe_gemm_pack(const double *value, int64_t some, int64_t rows, int64_t col,
                   int64_t n, double *panel)
{
    for (int64_t k = 0; k < n; k += SOME) {
        const int64_t end = k + SOME < n ? k + SOME : n;

        for (int64_t i = 0; i < some; i++) {
            for (int64_t c = k; c < end; c++) {
                panel[(col + c) * rows + i] = value[i * n + c];
            }
        }
        for (int64_t c = k; c < end; c++) {
            memset(panel + (col + c) * rows + some, 0,
                   (size_t)(rows - some) * sizeof(*panel));
        }
    }
}
