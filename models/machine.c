/* SPDX-License-Identifier: Apache-2.0 */
#include "models/machine.h"

static const struct {
    const char *name;
    const char *text;
} kinds[MOE_PROVENANCE_COUNT] = {
#define MOE_PROVENANCE(id, text) [MOE_PROVENANCE_##id] = {#id, text},
#include "models/provenance.def"
#undef MOE_PROVENANCE
};

const char *moe_provenance_name(moe_provenance_t kind)
{
    return (unsigned)kind < MOE_PROVENANCE_COUNT ? kinds[kind].name : "?";
}

const char *moe_provenance_text(moe_provenance_t kind)
{
    return (unsigned)kind < MOE_PROVENANCE_COUNT ? kinds[kind].text : "?";
}
