/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of words that files and reports use: a name and a text each.
 */
#include "sim/list/list.h"

#include "models/machine.h"
#include "models/wire.h"
#include "moe/contract.h"
#include "moe/routing.h"
#include "moe/vocabulary.h"
#include "ref/fault.h"
#include "ref/judge.h"

static moe_status_t add_word(json_t *items, const char *name, const char *text)
{
    return moe_list_add(items,
                        json_pack("{s:s, s:s}", "name", name, "text", text));
}

/* moe_list_<id>(): name() and text() of every value from first on. */
#define WORDS(id, type, first, count, name, text)                              \
    moe_status_t moe_list_##id(json_t *items, moe_diag_t *diag)                \
    {                                                                          \
        moe_status_t status = MOE_OK;                                          \
                                                                               \
        (void)diag;                                                            \
        for (int i = (int)(first); i < (int)(count) && status == MOE_OK;       \
             i++) {                                                            \
            status = add_word(items, name((type)i), text((type)i));            \
        }                                                                      \
        return status;                                                         \
    }

WORDS(stages, moe_stage_t, 0, MOE_STAGE_COUNT, moe_stage_name, moe_stage_text)
WORDS(places, moe_role_t, MOE_ROLE_none + 1, MOE_ROLE_COUNT, moe_role_name,
      moe_role_text)
WORDS(groups, moe_group_t, 0, MOE_GROUP_COUNT, moe_group_name, moe_group_text)
WORDS(roundings, moe_rounding_t, 0, MOE_ROUNDING_COUNT, moe_rounding_name,
      moe_rounding_note)
WORDS(weighings, moe_weigh_t, 0, MOE_WEIGH_COUNT, moe_weigh_name,
      moe_weigh_text)
WORDS(samplers, moe_sampler_kind_t, 0, MOE_SAMPLER_COUNT, moe_sampler_name,
      moe_sampler_text)
WORDS(accumulators, moe_accumulator_t, 0, MOE_ACCUMULATOR_COUNT,
      moe_accumulator_name, moe_accumulator_text)
WORDS(diagnoses, moe_fault_kind_t, MOE_FAULT_none + 1, MOE_FAULT_COUNT,
      moe_fault_name, moe_fault_text)
WORDS(algorithms, moe_algorithm_t, 0, MOE_ALGORITHM_COUNT, moe_algorithm_name,
      moe_algorithm_text)
WORDS(provenances, moe_provenance_t, 0, MOE_PROVENANCE_COUNT,
      moe_provenance_name, moe_provenance_text)

moe_status_t moe_list_orders(json_t *items, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;

    (void)diag;
    for (int i = 0; i < MOE_ORDER_COUNT && status == MOE_OK; i++) {
        const moe_order_t order = (moe_order_t)i;

        status = moe_list_add(items, json_pack("{s:s, s:s, s:s}", "name",
                                               moe_order_name(order), "source",
                                               moe_order_source(order), "text",
                                               moe_order_text(order)));
    }
    return status;
}
