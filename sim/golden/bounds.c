/* SPDX-License-Identifier: Apache-2.0 */
/* NAME.abs beside a tensor NAME of a golden folder. */
#include "sim/golden/golden.h"

#include <stdio.h>
#include <stdlib.h>

void moe_golden_declare_bound(moe_golden_file_t *f, const char *name, int ndim,
                              const int64_t *dim)
{
    char full[64];

    (void)snprintf(full, sizeof(full), "%s.abs", name);
    moe_golden_declare(f, full, MOE_DTYPE_fp32, ndim, dim);
}

/* Room for n numbers; NULL if the file has failed. */
static float *room_for(moe_golden_file_t *f, int64_t n)
{
    float *room = NULL;

    if (f->status == MOE_OK) {
        room = calloc((size_t)n + 1, sizeof(*room));
        if (room == NULL) {
            f->status = moe_fail(MOE_ERR_NOMEM, "no memory for %lld bounds",
                                 (long long)n);
        }
    }
    return room;
}

void moe_golden_put_bound(moe_golden_file_t *f, moe_ref_layer_t *layer,
                          moe_role_t role)
{
    int64_t rows;
    int64_t cols;
    float *bound;

    (void)moe_ref_layer_shape(layer, role, &rows, &cols);
    bound = room_for(f, rows * cols);
    if (bound == NULL) {
        return;
    }
    f->status = moe_ref_layer_abs(layer, role, bound);
    moe_golden_put(f, bound, rows * cols * (int64_t)sizeof(*bound));
    free(bound);
}

void moe_golden_put_magnitudes(moe_golden_file_t *f, const moe_rows_t *rows)
{
    const int64_t n = rows->rows * rows->cols;
    float *bound = room_for(f, n);

    if (bound != NULL) {
        moe_ref_rows_abs(rows, bound);
        moe_golden_put(f, bound, n * (int64_t)sizeof(*bound));
        free(bound);
    }
}
