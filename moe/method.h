/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What a communication method is, and all that a method file may call.
 *
 * A method is a plan and five stages. The plan is host arithmetic on small
 * integers; what it learns from other ranks comes through moe_agree(). The
 * stages only enqueue operations: no stage reads a number back, none
 * branches on data. An error makes every later operation of the context do
 * nothing, so that methods need no error paths.
 *
 * Letters: R ranks of the group, T_i tokens of dp rank i, T their sum, H
 * hidden, E experts, k experts a token.
 */
#ifndef MOE_METHOD_H
#define MOE_METHOD_H

#include "base/status.h"
#include "moe/backend.h"
#include "moe/gathered.h"
#include "moe/hop.h"
#include "moe/layer.h"
#include "moe/limit.h"
#include "moe/movement.h"
#include "moe/needs.h"
#include "moe/operations.h"
#include "moe/operations_collective.h"
#include "moe/operations_gating.h"
#include "moe/option_rows.h"
#include "moe/padded.h"
#include "moe/pairs.h"
#include "moe/plan.h"
#include "moe/routing.h"
#include "moe/slots.h"
#include "moe/tensor.h"
#include "moe/tp_part.h"
#include "moe/two_level.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MOE_OPTIONS_MAX 16

typedef enum {
    MOE_FAMILY_F0, /* tokens stay: tensor-parallel experts and one all-reduce,
                    * or nothing at all */
    MOE_FAMILY_F1, /* gather all, reduce-scatter */
    MOE_FAMILY_F2, /* equal all-to-all of capacity slots */
    MOE_FAMILY_F3, /* all-to-all-v, a row per (token, expert) */
    MOE_FAMILY_F4  /* all-to-all-v, a row per (token, rank), or per (token,
                    * expert) into slots of fixed size */
} moe_family_t;

typedef enum {
    MOE_OPTION_choice, /* one of the words in choices, value its place */
    MOE_OPTION_order,  /* an order of the list in choices, value its id */
    MOE_OPTION_format, /* a format of the list in choices, value its id */
    MOE_OPTION_bool,
    MOE_OPTION_int,
    MOE_OPTION_number /* a number, value its float64 bits */
} moe_option_kind_t;

typedef struct {
    const char *key;
    moe_option_kind_t kind;
    const char *choices;  /* words separated by blanks */
    const char *standard; /* the default, as a scenario would write it; NULL
                           * for "dispatch": the format of hidden */
    const char *text;
} moe_option_t;

/** Value of an option of kind number. */
double moe_option_number(int64_t value);

typedef struct {
    const char *name;
    /* the card */
    const char *system; /* system and version that it models */
    const char *source; /* repository, pull request, file */
    const char *how;    /* three lines */
    moe_family_t family;
    const char *collectives; /* operations it uses, in order */
    moe_contract_t contract; /* where it rounds, sums and weighs */
    const char *formula;     /* payload a rank, in the letters above */
    const char *test;        /* which test holds it to that */
    bool capturable;         /* no agreement that a host waits for */
    const char *needs;       /* what must hold, in words; check() tells what
                              * does not. NULL: nothing */

    const moe_option_t *options; /* ended by key NULL */
    size_t plan_size;            /* bytes of its plan, zeroed before plan */

    /** What a model and its options change in the contract, but for the options
     * combine_order and sum_order, which do so by themselves. NULL: nothing. */
    void (*amend)(const moe_model_t *model, const int64_t *options,
                  moe_contract_t *contract);

    /** The gate of a method that has one of its own: which pairs it drops, if
     * any. NULL: every pair that the router chooses is sent. */
    moe_gate_rule_t (*gate)(const moe_layer_t *layer, const int64_t *options);

    /** Rows of the bin of each local expert of a rank: of what comes the first
     * so many are computed, empty ones too, and the others left out; 0: as many
     * as the fullest local one has; -1: no bins. NULL: none. */
    int64_t (*bin)(const moe_layer_t *layer, const int64_t *options, int rank);

    /** Member of the reducing group whose chunk of a ring holds a token, or,
     * where rows are reduced before they are merged, the pair of a token and a
     * slot. NULL if no order is ring. */
    int (*home)(const moe_formula_t *f, int64_t token, int slot);

    /** Change the scenario's layout to what the method takes where nothing
     * else is asked for; world size stays. NULL: the scenario's. */
    void (*layout)(moe_layout_t *layout);

    /** Preconditions. NULL if the method can run, else one sentence. */
    const char *(*check)(const moe_layer_t *layer, const int64_t *options);

    void (*plan)(moe_ctx_t *c);
    void (*stage[MOE_STAGE_COUNT])(moe_ctx_t *c);

    /** Closed formula: payload of a rank in bytes, by stage. */
    void (*payload)(const moe_formula_t *f, int64_t out[MOE_STAGE_COUNT]);

    /** Rows of a rank that the system's own tests count each way where they
     * print a bandwidth, those that stay among them. NULL: they print none. */
    int64_t (*counted)(const moe_formula_t *f);
} moe_method_t;

#endif
