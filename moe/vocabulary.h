/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The short lists that every folder speaks: stages, roles, groups,
 * operations, kinds of agreement.
 */
#ifndef MOE_VOCABULARY_H
#define MOE_VOCABULARY_H

#include <stdbool.h>
#include <stdint.h>

typedef enum {
#define MOE_STAGE(id, dispatch, combine, text) MOE_STAGE_##id,
#include "moe/stage.def"
#undef MOE_STAGE
    MOE_STAGE_COUNT
} moe_stage_t;

typedef enum {
#define MOE_ROLE(id, text) MOE_ROLE_##id,
#include "moe/role.def"
#undef MOE_ROLE
    MOE_ROLE_COUNT
} moe_role_t;

typedef enum {
#define MOE_GROUP(id, text) MOE_GROUP_##id,
#include "moe/group.def"
#undef MOE_GROUP
    MOE_GROUP_COUNT
} moe_group_t;

typedef enum {
    MOE_PLANE_LOCAL,
    MOE_PLANE_COLLECTIVE,
    MOE_PLANE_HOST
} moe_plane_t;

typedef enum {
#define MOE_OP(id, plane, text) MOE_OP_##id,
#include "moe/ops.def"
#undef MOE_OP
    MOE_OP_COUNT
} moe_op_t;

typedef enum {
#define MOE_AGREE(id, op, text) MOE_AGREE_##id,
#include "moe/agree.def"
#undef MOE_AGREE
    MOE_AGREE_COUNT
} moe_agree_kind_t;

/* Sets of stages as bits, 1 << MOE_STAGE_x. */
typedef uint32_t moe_stage_set_t;

/* Names and one-line texts; "?" if out of range. */
const char *moe_stage_name(moe_stage_t stage);
const char *moe_stage_text(moe_stage_t stage);
const char *moe_role_name(moe_role_t role);
const char *moe_role_text(moe_role_t role);
const char *moe_group_name(moe_group_t group);
const char *moe_group_text(moe_group_t group);
const char *moe_op_name(moe_op_t op);
const char *moe_op_text(moe_op_t op);
const char *moe_agree_name(moe_agree_kind_t kind);

/** Collective that carries the numbers; MOE_OP_agree: none, no traffic. */
moe_op_t moe_agree_op(moe_agree_kind_t kind);

/** Plane of an operation. */
moe_plane_t moe_op_plane(moe_op_t op);

/** True for stages of the dispatch (prepare, permute). */
bool moe_stage_is_dispatch(moe_stage_t stage);

/**
 * Set of stages that a name means: one of the five, dispatch (prepare and
 * permute), combine (unpermute and finalize), comm (both), all.
 * @return false, *set_p untouched, if there is no such name.
 */
bool moe_stage_set_find(const char *name, moe_stage_set_t *set_p);

#endif
