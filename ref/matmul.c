/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/matmul.h"

#include "ref/formats.h"
#include "ref/matmul_nvfp4.h"
#include "ref/matmul_operand.h"

#include <stddef.h>

static int64_t nvfp4_workspace(moe_format_t weights, int64_t rows, int64_t k,
                               int64_t n)
{
    (void)weights;
    return moe_nvfp4_workspace(rows, k, n);
}

/* Operand classes; each chooses among its own kernels. */
static const struct {
    bool (*supports)(moe_format_t x, moe_format_t weights, moe_format_t out);
    int64_t (*workspace)(moe_format_t weights, int64_t rows, int64_t k,
                         int64_t n);
    moe_status_t (*multiply)(const moe_ref_weights_t *weights,
                             const moe_rows_t *x, const int64_t *offset,
                             int64_t n_experts, const moe_rows_t *out,
                             moe_ref_stats_t *stats);
} classes[] = {
    {moe_nvfp4_supports, nvfp4_workspace, moe_nvfp4_matmul},
    {moe_float_supports, moe_float_workspace, moe_float_matmul},
    {moe_block_supports, moe_block_workspace, moe_block_matmul},
};

enum {
    CLASSES = sizeof(classes) / sizeof(classes[0])
};

static int find_class(moe_format_t x, moe_format_t weights, moe_format_t out)
{
    for (int i = 0; i < CLASSES; i++) {
        if (classes[i].supports(x, weights, out)) {
            return i;
        }
    }
    return -1;
}

bool moe_ref_matmul_supports(moe_format_t x, moe_format_t weights,
                             moe_format_t out)
{
    return find_class(x, weights, out) >= 0;
}

moe_status_t moe_ref_grouped_matmul(const moe_ref_weights_t *weights,
                                    const moe_rows_t *x, const int64_t *offset,
                                    int64_t n_experts, const moe_rows_t *out,
                                    moe_ref_stats_t *stats)
{
    int class =
        find_class(x->storage.format, weights->format, out->storage.format);

    if (weights->given != NULL && weights->format == MOE_FORMAT_nvfp4 &&
        moe_operand_has(x->storage.format) &&
        !moe_operand_is_blocked(x->storage.format) &&
        moe_format_is_float(out->storage.format)) {
        /* their own class draws its weights */
        return moe_float_matmul(weights, x, offset, n_experts, out, stats);
    }
    if (class < 0) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "no matmul of %s by %s to %s",
                        moe_format_name(x->storage.format),
                        moe_format_name(weights->format),
                        moe_format_name(out->storage.format));
    }
    return classes[class].multiply(weights, x, offset, n_experts, out, stats);
}

int64_t moe_ref_matmul_workspace(moe_format_t x, moe_format_t weights,
                                 int64_t rows, int64_t k, int64_t n)
{
    int class = find_class(x, weights, MOE_FORMAT_bf16);

    return class < 0 ? 0 : classes[class].workspace(weights, rows, k, n);
}

const char *moe_ref_matmul_kernel_name(void)
{
    const moe_nvfp4_kernel_t *kernel = moe_nvfp4_kernel(INT64_MAX);

    return kernel != NULL ? kernel->name : NULL;
}
