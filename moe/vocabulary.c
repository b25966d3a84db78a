/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/vocabulary.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    bool dispatch;
    bool combine;
    const char *text;
} stages[MOE_STAGE_COUNT] = {
#define MOE_STAGE(id, dispatch, combine, text)                                 \
    [MOE_STAGE_##id] = {#id, dispatch, combine, text},
#include "moe/stage.def"
#undef MOE_STAGE
};

typedef struct {
    const char *name;
    const char *text;
} entry_t;

static const entry_t roles[MOE_ROLE_COUNT] = {
#define MOE_ROLE(id, text) [MOE_ROLE_##id] = {#id, text},
#include "moe/role.def"
#undef MOE_ROLE
};

static const entry_t groups[MOE_GROUP_COUNT] = {
#define MOE_GROUP(id, text) [MOE_GROUP_##id] = {#id, text},
#include "moe/group.def"
#undef MOE_GROUP
};

static const entry_t agrees[MOE_AGREE_COUNT] = {
#define MOE_AGREE(id, op, text) [MOE_AGREE_##id] = {#id, text},
#include "moe/agree.def"
#undef MOE_AGREE
};

static const moe_op_t agree_ops[MOE_AGREE_COUNT] = {
#define MOE_AGREE(id, op, text) [MOE_AGREE_##id] = MOE_OP_##op,
#include "moe/agree.def"
#undef MOE_AGREE
};

static const struct {
    const char *name;
    moe_plane_t plane;
    const char *text;
} ops[MOE_OP_COUNT] = {
#define MOE_OP(id, plane, text) [MOE_OP_##id] = {#id, MOE_PLANE_##plane, text},
#include "moe/ops.def"
#undef MOE_OP
};

const char *moe_stage_name(moe_stage_t stage)
{
    return (unsigned)stage < MOE_STAGE_COUNT ? stages[stage].name : "?";
}

const char *moe_stage_text(moe_stage_t stage)
{
    return (unsigned)stage < MOE_STAGE_COUNT ? stages[stage].text : "?";
}

const char *moe_role_name(moe_role_t role)
{
    return (unsigned)role < MOE_ROLE_COUNT ? roles[role].name : "?";
}

const char *moe_role_text(moe_role_t role)
{
    return (unsigned)role < MOE_ROLE_COUNT ? roles[role].text : "?";
}

const char *moe_group_name(moe_group_t group)
{
    return (unsigned)group < MOE_GROUP_COUNT ? groups[group].name : "?";
}

const char *moe_group_text(moe_group_t group)
{
    return (unsigned)group < MOE_GROUP_COUNT ? groups[group].text : "?";
}

const char *moe_op_name(moe_op_t op)
{
    return (unsigned)op < MOE_OP_COUNT ? ops[op].name : "?";
}

const char *moe_op_text(moe_op_t op)
{
    return (unsigned)op < MOE_OP_COUNT ? ops[op].text : "?";
}

const char *moe_agree_name(moe_agree_kind_t kind)
{
    return (unsigned)kind < MOE_AGREE_COUNT ? agrees[kind].name : "?";
}

moe_op_t moe_agree_op(moe_agree_kind_t kind)
{
    return (unsigned)kind < MOE_AGREE_COUNT ? agree_ops[kind] : MOE_OP_agree;
}

moe_plane_t moe_op_plane(moe_op_t op)
{
    return (unsigned)op < MOE_OP_COUNT ? ops[op].plane : MOE_PLANE_LOCAL;
}

bool moe_stage_is_dispatch(moe_stage_t stage)
{
    return (unsigned)stage < MOE_STAGE_COUNT && stages[stage].dispatch;
}

bool moe_stage_set_find(const char *name, moe_stage_set_t *set_p)
{
    bool all = strcmp(name, "all") == 0;
    bool comm = all || strcmp(name, "comm") == 0;
    bool dispatch = comm || strcmp(name, "dispatch") == 0;
    bool combine = comm || strcmp(name, "combine") == 0;
    moe_stage_set_t set = 0;

    for (int i = 0; i < MOE_STAGE_COUNT; i++) {
        if (all || (dispatch && stages[i].dispatch) ||
            (combine && stages[i].combine) ||
            strcmp(name, stages[i].name) == 0) {
            set |= 1u << i;
        }
    }
    if (set == 0) {
        return false;
    }
    *set_p = set;
    return true;
}
