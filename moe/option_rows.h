/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Options that several methods have, as rows of their tables: a word means the
 * same in each. Part of moe/method.h.
 */
#ifndef MOE_OPTION_ROWS_H
#define MOE_OPTION_ROWS_H

/** Rows on their way to the experts; by default in the format of hidden. */
#define MOE_OPTION_DISPATCH(formats)                                           \
    {                                                                          \
        "dispatch", MOE_OPTION_format, formats, NULL,                          \
            "format of rows on the way to the experts"                         \
    }

/** Rows on their way home that are summed over ranks as they are. */
#define MOE_OPTION_COMBINE                                                     \
    {                                                                          \
        "combine", MOE_OPTION_format, "bf16 fp16 fp32 exact", "bf16",          \
            "format of partial sums on the way home"                           \
    }

/** Rows on their way home that the source weighs and adds. */
#define MOE_OPTION_RETURN(formats)                                             \
    {                                                                          \
        "combine", MOE_OPTION_format, formats, "bf16",                         \
            "format of the experts' rows on the way home"                      \
    }

#define MOE_OPTION_COMBINE_ORDER(reduction)                                    \
    {                                                                          \
        "combine_order", MOE_OPTION_order, "rank ring fp32_rank exact",        \
            "rank", "faithful: the order of the " reduction                    \
    }

#define MOE_OPTION_GROUP_LIST                                                  \
    {                                                                          \
        "group_list_type", MOE_OPTION_choice, "0 1", "1",                      \
            "how the grouped matmul is told its rows: 0 cumulative sums, 1 "   \
            "counts"                                                           \
    }

/** Where routing weights are applied: at a place of the method's own, or, as by
 * Megatron-LM, between the activation and the second matmul. */
#define MOE_OPTION_WEIGH(own)                                                  \
    {                                                                          \
        "weigh", MOE_OPTION_choice, own " activation", own,                    \
            "where routing weights are applied; activation: what that gives "  \
            "is rounded, times the weight, which came with the row, rounded "  \
            "again (Megatron-LM, recent)"                                      \
    }

/** Rows that experts compute: as many as they have, whole blocks of 128, as
 * MegaBlocks' dropless MoE, or bins, as its MoE. */
#define MOE_OPTION_EXPERT_BLOCK                                                \
    {                                                                          \
        "expert_block", MOE_OPTION_choice, "none 128 bin", "none",             \
            "128: each expert's rows are padded to blocks of 128 for the "     \
            "grouped matmul (MegaBlocks dMoE); bin: to capacity_factor's "     \
            "rows, beyond which rows are left out (MegaBlocks MoE); nothing "  \
            "of that is sent"                                                  \
    }

/** Behind the last. */
#define MOE_OPTION_END                                                         \
    {                                                                          \
        NULL, MOE_OPTION_bool, NULL, NULL, NULL                                \
    }

#endif
