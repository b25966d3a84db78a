/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/model.h"

static const char *const scores[MOE_SCORE_COUNT] = {
#define MOE_SCORE(id, text) [MOE_SCORE_##id] = #id,
#include "moe/score.def"
#undef MOE_SCORE
};

static const char *const limits[MOE_GROUP_LIMIT_COUNT] = {
#define MOE_GROUP_LIMIT(id, text) [MOE_GROUP_LIMIT_##id] = #id,
#include "moe/group_limit.def"
#undef MOE_GROUP_LIMIT
};

static const char *const activations[MOE_ACTIVATION_COUNT] = {
#define MOE_ACTIVATION(id, text) [MOE_ACTIVATION_##id] = #id,
#include "moe/activation.def"
#undef MOE_ACTIVATION
};

static const char *const gate_ups[MOE_GATE_UP_COUNT] = {
#define MOE_GATE_UP(id, text) [MOE_GATE_UP_##id] = #id,
#include "moe/gate_up.def"
#undef MOE_GATE_UP
};

const char *moe_score_name(moe_score_t score)
{
    return (unsigned)score < MOE_SCORE_COUNT ? scores[score] : "?";
}

const char *moe_group_limit_name(moe_group_limit_t limit)
{
    return (unsigned)limit < MOE_GROUP_LIMIT_COUNT ? limits[limit] : "?";
}

const char *moe_activation_name(moe_activation_t activation)
{
    return (unsigned)activation < MOE_ACTIVATION_COUNT ? activations[activation]
                                                       : "?";
}

const char *moe_gate_up_name(moe_gate_up_t gate_up)
{
    return (unsigned)gate_up < MOE_GATE_UP_COUNT ? gate_ups[gate_up] : "?";
}
