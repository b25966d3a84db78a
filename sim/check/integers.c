/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of integers, and what is told of a tensor that is another. */
#include "sim/check/check.h"
#include "sim/check/names.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_INTEGERS = 1 << 26 /* of rows that say who they are */
};

moe_status_t moe_check_unfit(const char *path, const moe_safetensor_t *t,
                             const char *expected)
{
    char shape[128] = "";
    size_t used = 0;

    for (int d = 0; d < t->ndim; d++) {
        used += (size_t)snprintf(shape + used, sizeof(shape) - used, "%s%lld",
                                 d > 0 ? " x " : "", (long long)t->dim[d]);
        used = used < sizeof(shape) ? used : sizeof(shape) - 1;
    }
    return moe_fail(MOE_ERR_INPUT,
                    "%s: byte %lld: tensor '%.80s' is %s of %s, expected %s",
                    path, (long long)t->begin, t->name,
                    moe_dtype_name(t->dtype), shape, expected);
}

moe_status_t moe_check_integers(const moe_safetensors_t *file, const char *path,
                                const char *name, int64_t **list_p,
                                int64_t *n_p)
{
    const moe_safetensor_t *t = moe_safetensors_find(file, name);
    int64_t *list;
    moe_status_t status;

    *list_p = NULL;
    *n_p = 0;
    if (t == NULL) {
        return MOE_OK;
    }
    if (t->dtype != MOE_DTYPE_i32 && t->dtype != MOE_DTYPE_i64) {
        return moe_check_unfit(path, t, "integers, I32 or I64");
    }
    *n_p = t->size_bytes / (moe_dtype_bits(t->dtype) / 8);
    if (*n_p > MOST_INTEGERS) {
        return moe_check_unfit(path, t,
                               "no more integers than a rank has rows");
    }
    list = malloc((size_t)*n_p * sizeof(*list) + 1);
    if (list == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for %s", name);
    }
    status = moe_safetensors_read(file, t, 0, t->size_bytes, list);
    for (int64_t i = *n_p; t->dtype == MOE_DTYPE_i32 && i > 0; i--) {
        int32_t narrow;

        memcpy(&narrow, (const char *)list + 4 * (i - 1), sizeof(narrow));
        list[i - 1] = narrow;
    }
    if (status != MOE_OK) {
        free(list);
        return status;
    }
    *list_p = list;
    return MOE_OK;
}
