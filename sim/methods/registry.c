/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/methods/registry.h"

#include <string.h>

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
