/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A scenario: what one YAML file, changed by options, means.
 */
#ifndef SIM_SCENARIO_SCENARIO_H
#define SIM_SCENARIO_SCENARIO_H

#include "base/diag.h"
#include "base/status.h"
#include "models/machine.h"
#include "moe/run_method.h"
#include "sim/data/data.h"
#include "sim/scenario/select.h"

#include <jansson.h>
#include <stdio.h>

typedef enum {
    MOE_ROUTER_data,   /* by the logits of the data */
    MOE_ROUTER_sample, /* a named distribution */
    MOE_ROUTER_trace   /* ids (and weights) of a safetensors file */
} moe_router_kind_t;

typedef struct {
    char *what;
    double value;
    char *unit;
    char *source;
    char *method; /* label that it is compared with; "": none */
    char *to;     /* label that the value is relative to; "": none */
    char *at;     /* values of the sweep's point; "": the base point */
    int quantity; /* a word of the table of keys */
} moe_published_t;

/** Points of a sweep over one key. */
typedef struct {
    char *path; /* key.path */
    int line;   /* of its values in the file; 0: an option */
    int column;
    size_t n;
    char **value; /* [n] YAML text */
} moe_sweep_t;

/** A method that `methods: all` meant and that refuses this layer. */
typedef struct {
    char label[MOE_NAME_MAX];
    const char *why; /* one sentence; static */
} moe_left_out_t;

typedef struct {
    char *file;   /* as messages show it; NULL: options alone */
    char *name;   /* never NULL */
    char *source; /* never NULL, may be empty */
    moe_model_t model;
    moe_model_t slots; /* of a layer whose experts are placed: E counts what
                        * ranks hold */
    moe_machine_t machine;
    bool has_machine;
    moe_layer_t layer; /* points into this object */
    bool dp_implied;   /* layout.dp follows from other keys */
    bool ep_implied;
    int64_t *tokens;     /* [dp] */
    double *expert_load; /* [E] of layout.placement; NULL: none given */
    moe_router_kind_t router;
    moe_sampler_t sampler;
    char *router_trace; /* path, absolute */
    char *hidden_file;  /* path, absolute; NULL: generated */
    char *gate_file;    /* path of gate weights; NULL: generated */
    char *router_where; /* place in the scenario and path of each, */
    char *hidden_where; /* as messages show them */
    char *gate_where;
    size_t n_methods;
    moe_method_use_t *method; /* [n_methods] */
    size_t n_left_out;
    moe_left_out_t *left_out; /* [n_left_out] */
    moe_select_t select;
    uint64_t seed;
    size_t n_sweeps;
    moe_sweep_t *sweep;
    size_t n_published;
    moe_published_t *published;
    char digest[65]; /* SHA-256 of the resolved text */
} moe_scenario_t;

/** A change from the command line: key.path and YAML text. A change of
 * `sweep` is one of its base point too, unless that key is given. */
typedef struct {
    const char *path;
    const char *value;
} moe_change_t;

/**
 * Load a scenario.
 *
 * @param[in]  path     File; NULL: a scenario made of changes alone.
 * @param[in]  changes  [n] in order; applied before anything is checked.
 * @param[in]  ranks    World size to re-lay it to; 0: as it is.
 * @param[out] scenario_p  Owned by the caller, ended with
 *                      moe_scenario_free(). Untouched on error.
 * @return MOE_OK; MOE_ERR_INPUT, diag has all problems; MOE_ERR_IO;
 *         MOE_ERR_NOMEM.
 */
moe_status_t moe_scenario_load(const char *path, const moe_change_t *changes,
                               size_t n, int ranks, moe_diag_t *diag,
                               moe_scenario_t **scenario_p);
void moe_scenario_free(moe_scenario_t *scenario);

/** Write the resolved scenario as YAML, model and machine inline, defaults
 * with a comment that says so. Loading it gives the same digest. */
moe_status_t moe_scenario_print(const moe_scenario_t *scenario, FILE *stream);

/** MOE_ERR_UNSUPPORTED if the first method rounds its routing weights, which
 * what is of the layer does not. */
moe_status_t moe_scenario_wants_weights(const moe_scenario_t *scenario,
                                        const char *what);

/** MOE_ERR_UNSUPPORTED if a method weighs what the activation gives: of what
 * knows the layer as its model has it. */
moe_status_t moe_scenario_wants_whole_rows(const moe_scenario_t *scenario,
                                           const char *what);

#endif
