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

const char *moe_method_family(const moe_method_t *method)
{
    static const char *const names[] = {[MOE_FAMILY_F0] = "F0",
                                        [MOE_FAMILY_F1] = "F1",
                                        [MOE_FAMILY_F2] = "F2",
                                        [MOE_FAMILY_F3] = "F3",
                                        [MOE_FAMILY_F4] = "F4"};
    const size_t family = (size_t)method->family;

    return family < sizeof(names) / sizeof(names[0]) ? names[family] : "none";
}

bool moe_method_can_drop(const moe_method_t *method)
{
    return method->gate != NULL || method->bin != NULL;
}
