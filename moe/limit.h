/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a library is built for, declared as rows of a table. Part of
 * moe/method.h.
 */
#ifndef MOE_LIMIT_H
#define MOE_LIMIT_H

#include "moe/layer.h"

#include <stdint.h>

/** The numbers of a layer that libraries limit, and what they are called. */
typedef enum {
    MOE_LIMIT_hidden,
    MOE_LIMIT_ranks, /* of the ep group */
    MOE_LIMIT_topk,
    MOE_LIMIT_experts,
    MOE_LIMIT_each,  /* experts of a rank */
    MOE_LIMIT_rest,  /* experts that some ranks have more than others */
    MOE_LIMIT_tokens /* of a rank: equal parts of the longest dp rank's */
} moe_limit_on_t;

#define MOE_LIMIT_TEXT_hidden  "hidden"
#define MOE_LIMIT_TEXT_ranks   "ranks"
#define MOE_LIMIT_TEXT_topk    "experts a token"
#define MOE_LIMIT_TEXT_experts "experts"
#define MOE_LIMIT_TEXT_each    "experts a rank"
#define MOE_LIMIT_TEXT_tokens  "tokens a rank"

typedef struct {
    moe_limit_on_t on;
    int64_t least, most;
    const int64_t *of; /* those that are taken, ended by 0; NULL: all between */
    const char *why;   /* a sentence; NULL: end of the table */
} moe_limit_t;

/** Rows: from least to most; one of some; as many experts on every rank; behind
 * the last. */
#define MOE_LIMIT(on, least, most)                                             \
    {                                                                          \
        MOE_LIMIT_##on, least, most, NULL,                                     \
            "its library takes " MOE_LIMIT_TEXT_##on " " #least " to " #most   \
    }
#define MOE_LIMIT_OF(on, ...)                                                  \
    {                                                                          \
        MOE_LIMIT_##on, 0, 0, (const int64_t[]){__VA_ARGS__, 0},               \
            "its library takes " MOE_LIMIT_TEXT_##on " " #__VA_ARGS__          \
    }
#define MOE_LIMIT_EVEN                                                         \
    {                                                                          \
        MOE_LIMIT_rest, 0, 0, NULL,                                            \
            "its library needs as many experts on every rank"                  \
    }
#define MOE_LIMIT_END                                                          \
    {                                                                          \
        MOE_LIMIT_rest, 0, 0, NULL, NULL                                       \
    }

/** The sentence of the first limit that a layer is outside of, or NULL. */
const char *moe_limits_refuse(const moe_limit_t *limit,
                              const moe_layer_t *layer);

#endif
