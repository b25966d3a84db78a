/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/limit.h"

#include "base/checked.h"

#include <stdbool.h>
#include <stddef.h>

static int64_t value_of(moe_limit_on_t on, const moe_layer_t *layer)
{
    const moe_model_t *m = layer->model;
    const moe_layout_t *l = &layer->layout;

    switch (on) {
    case MOE_LIMIT_hidden:
        return m->hidden;
    case MOE_LIMIT_ranks:
        return l->ep;
    case MOE_LIMIT_topk:
        return m->topk;
    case MOE_LIMIT_experts:
        return m->experts;
    case MOE_LIMIT_each:
        return moe_div_up(m->experts, l->ep);
    case MOE_LIMIT_rest:
        return m->experts % l->ep;
    default:
        return moe_div_up(moe_layer_longest(layer), l->tp);
    }
}

static bool takes(const moe_limit_t *limit, int64_t value)
{
    const int64_t *of = limit->of;

    if (of == NULL) {
        return value >= limit->least && value <= limit->most;
    }
    while (*of != 0 && *of != value) {
        of++;
    }
    return *of != 0;
}

const char *moe_limits_refuse(const moe_limit_t *limit,
                              const moe_layer_t *layer)
{
    while (limit->why != NULL && takes(limit, value_of(limit->on, layer))) {
        limit++;
    }
    return limit->why;
}
