/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/mapping.h"

#include <string.h>

int64_t moe_mapping_local(moe_mapping_t mapping, moe_range_t local, int64_t id)
{
    const int64_t n = local.end - local.begin;
    const bool here = id >= local.begin && id < local.end;

    if (id < 0 || n == 0) {
        return -1;
    }
    switch (mapping) {
    case MOE_MAPPING_global:
        return id < n ? id : -1;
    case MOE_MAPPING_last:
        return here ? id - local.begin : n - 1;
    default:
        return here ? id - local.begin : -1;
    }
}

void moe_mapping_rows(moe_mapping_t mapping, moe_range_t local, int64_t experts,
                      const int64_t *counts, int64_t *rows)
{
    memset(rows, 0, (size_t)(local.end - local.begin) * sizeof(*rows));
    for (int64_t e = 0; e < experts; e++) {
        const int64_t at = moe_mapping_local(mapping, local, e);

        if (at >= 0) {
            rows[at] += counts[e];
        }
    }
}
