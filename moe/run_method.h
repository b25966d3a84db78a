/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Runs a method on a backend: the other side of moe/method.h, for sim/.
 */
#ifndef MOE_RUN_METHOD_H
#define MOE_RUN_METHOD_H

#include "moe/method.h"
#include "moe/shared.h"
#include "moe/trace.h"

/** A method with the values of its options, as a scenario names it. */
typedef struct {
    const moe_method_t *method;
    char label[MOE_NAME_MAX]; /* unique in a scenario */
    int64_t options[MOE_OPTIONS_MAX];
    moe_chain_t chain;     /* with the method's dispatch, combine */
    moe_layout_t layout;   /* the method's own, if tokens is not NULL */
    const int64_t *tokens; /* [layout.dp] the same global tokens in its dp
                            * parts; kept; NULL: the layer's layout */
} moe_method_use_t;

typedef struct {
    const moe_layer_t *layer;    /* kept */
    const moe_method_use_t *use; /* kept */
    int rank;
    const moe_routing_t *routing; /* own tokens, or all of them; kept */
    moe_backend_t *backend;       /* kept */
    const moe_trace_sink_t *sink; /* kept; may be NULL */
    moe_shared_t *shared;         /* where ranks are played one after the
                                   * other; kept; NULL: nothing is shared */
    moe_stage_set_t stages;       /* to run; a stage left out still makes
                                   * its tensors, without operations */
    /** Called with the output before it is freed; may be NULL. */
    moe_status_t (*on_output)(void *self, const moe_tensor_t *output);
    void *on_output_self;
} moe_run_t;

/**
 * Plan and stages of a method on one rank.
 * @return MOE_OK; MOE_ERR_UNSUPPORTED if the method refuses; the backend's
 *         status. The message is recorded with moe_fail().
 */
moe_status_t moe_run_method(const moe_run_t *run);

/** Bytes of an option's value as text, or of what was expected. */
#define MOE_OPTION_TEXT 256

/**
 * Set an option from its text.
 * @param[out] expected  What was expected, if the value is none; NULL: nobody
 *                       asks.
 * @return True if it was set.
 */
bool moe_option_set(const moe_method_t *method, const char *key,
                    const char *value, int64_t *options,
                    char expected[MOE_OPTION_TEXT]);

/** Defaults of all options; hidden is the format of "dispatch" by default.*/
void moe_option_defaults(const moe_method_t *method, moe_format_t hidden,
                         int64_t *options);

/** The layer as a method lays it. */
moe_layer_t moe_method_layer(const moe_layer_t *layer,
                             const moe_method_use_t *use);

/** Contract of a method with these options, of a model. */
moe_contract_t moe_method_contract(const moe_method_t *method,
                                   const moe_model_t *model,
                                   const int64_t *options);

/** Rows of the bin of each of a rank's experts, which leave out more than so
 * many; 0: of the fullest one's rows; -1: they have none. */
int64_t moe_method_bin(const moe_layer_t *layer, const moe_method_use_t *use,
                       int rank);

/** Experts compute multiples of so many rows: 128, as its option expert_block
 * may say, or 1. */
int64_t moe_method_expert_block(const moe_method_use_t *use);

/** The gate of a method in a layer as the method lays it, and whether it has
 * one: true, *rule_p set. */
bool moe_method_gate(const moe_layer_t *layer, const moe_method_use_t *use,
                     moe_gate_rule_t *rule_p);

/** True if a method drops pairs that the router chose. */
bool moe_method_drops(const moe_layer_t *layer, const moe_method_use_t *use);

/** Place of an option of a name; false if the method has none. */
bool moe_option_find(const moe_method_t *method, const char *key, int *place_p);

/** Text of an option's value, as a scenario writes it.
 * @return out. */
const char *moe_option_text(const moe_option_t *option, int64_t value,
                            char out[MOE_OPTION_TEXT]);

#endif
