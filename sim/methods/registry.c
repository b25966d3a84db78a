/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/methods/registry.h"

#include "moe/run_method.h"

#include <stdio.h>
#include <string.h>

enum {
    TOPK_MAX = 64 /* as in a scenario */
};

#define MOE_METHOD(name) extern const moe_method_t moe_method_##name;
#include "sim/methods/methods.def"
#undef MOE_METHOD

static const moe_method_t *const methods[] = {
#define MOE_METHOD(name) &moe_method_##name,
#include "sim/methods/methods.def"
#undef MOE_METHOD
};

int moe_method_count(void)
{
    return (int)(sizeof(methods) / sizeof(methods[0]));
}

const moe_method_t *moe_method_get(int i)
{
    return i >= 0 && i < moe_method_count() ? methods[i] : NULL;
}

const moe_method_t *moe_method_find(const char *name)
{
    for (int i = 0; i < moe_method_count(); i++) {
        if (strcmp(methods[i]->name, name) == 0) {
            return methods[i];
        }
    }
    return NULL;
}

const char *moe_method_family(const moe_method_t *method)
{
    static const char *const names[] = {[MOE_FAMILY_F0] = "F0",
                                        [MOE_FAMILY_F1] = "F1",
                                        [MOE_FAMILY_F2] = "F2",
                                        [MOE_FAMILY_F3] = "F3",
                                        [MOE_FAMILY_F4] = "F4"};

    return names[method->family];
}

static moe_contract_t contract_of(const moe_method_t *method, int topk)
{
    const moe_model_t model = {.topk = topk};
    int64_t options[MOE_OPTIONS_MAX];

    moe_option_defaults(method, MOE_FORMAT_bf16, options);
    return moe_method_contract(method, &model, options);
}

/* Each order that is not that of large k, with its k; then that. */
static void sum_text(const moe_method_t *method, char *text, size_t size)
{
    const moe_order_t rest = contract_of(method, TOPK_MAX).sum;
    size_t used = 0;
    int last;

    for (int k = 1; k < TOPK_MAX && used < size; k = last + 1) {
        const moe_order_t order = contract_of(method, k).sum;

        last = k;
        while (contract_of(method, last + 1).sum == order && last < TOPK_MAX) {
            last++;
        }
        if (order != rest) {
            used +=
                (size_t)snprintf(text + used, size - used, "%s (k %d to %d), ",
                                 moe_order_name(order), k, last);
        }
    }
    if (used < size) {
        (void)snprintf(text + used, size - used, "%s", moe_order_name(rest));
    }
}

moe_method_numbers_t moe_method_numbers(const moe_method_t *method)
{
    const moe_contract_t contract = contract_of(method, TOPK_MAX);
    moe_method_numbers_t n = {.reduce = moe_order_name(contract.reduce),
                              .weigh = moe_weigh_name(contract.weigh)};

    moe_rounding_text(contract.points, n.points, sizeof(n.points));
    sum_text(method, n.sum, sizeof(n.sum));
    return n;
}

bool moe_method_can_drop(const moe_method_t *method)
{
    return method->gate != NULL || method->bin != NULL;
}
