/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The parts of a scenario, each read by its own file. Inside sim/ only.
 *
 * A reader adds its problems to the list and goes on; only what cannot go on
 * (no memory) is a status. A part whose `_ok` is false had a problem: what
 * builds on it is not checked, so that one fault is told once.
 */
#ifndef SIM_SCENARIO_PARTS_H
#define SIM_SCENARIO_PARTS_H

#include "sim/scenario/reader.h"
#include "sim/scenario/scenario.h"

#define MOE_WORLD_MAX  65536
#define MOE_TOKENS_MAX 1073741824 /* of a dp rank */

typedef struct {
    moe_scenario_t *s;
    moe_at_t root;
    const char *beside; /* folder of the scenario; NULL without */
    bool model_ok;
    bool machine_ok;
    bool layout_ok; /* layout and tokens */
    bool precision_ok;
    bool relaid; /* --ranks changed the layout */
} moe_build_t;

/** One load: where it is from and what is changed. */
typedef struct {
    const char *path;
    const moe_change_t *changes;
    size_t n;
    const moe_change_t *point; /* one more, and no sweeps; NULL: none */
    int ranks;
} moe_load_t;

/**
 * The file that a word of the command line means: its own path, else the
 * scenario of this name.
 * @param[out] path_p  Owned by the caller.
 * @return MOE_OK; MOE_ERR_INPUT, diag says why; MOE_ERR_NOMEM.
 */
moe_status_t moe_scenario_find(const char *given, moe_diag_t *diag,
                               char **path_p);

/** Read a document into a zeroed scenario. */
moe_status_t moe_scenario_read_tree(const moe_load_t *load, moe_yaml_doc_t *doc,
                                    moe_diag_t *diag, moe_scenario_t *s);

/** What is given by the name of a file, or as a map. */
typedef struct {
    const char *what;   /* "a model" */
    const char *folder; /* where its files lie */
    bool (*read)(const moe_at_t *at, void *object);
    void *object;
    char *name; /* [MOE_NAME_MAX] of the object; set if its map has none */
} moe_named_t;

/** Read it; nothing and *ok_p false if it is not given. */
moe_status_t moe_at_named(const moe_at_t *at, const char *beside,
                          const moe_named_t *named, bool *ok_p);

/** Problems of the list of aliases of a model or machine. */
void moe_at_check_aliases(const moe_at_t *map);

/** model and machine: a name, or a map. */
moe_status_t moe_scenario_read_model(moe_build_t *b);
moe_status_t moe_scenario_read_machine(moe_build_t *b);

/** A machine's map; false if it had a problem. */
bool moe_machine_read(const moe_at_t *at, moe_machine_t *machine_p);

/** A model's map; false if it had a problem. */
bool moe_model_read(const moe_at_t *at, moe_model_t *model_p);

/** layout and workload.tokens. */
moe_status_t moe_scenario_read_layout(moe_build_t *b);

/** Forms of workload.tokens, into tokens[dp]. */
bool moe_tokens_read(const moe_at_t *at, int64_t *tokens, int dp);

/** Cut the same global tokens into another number of ranks. */
moe_status_t moe_scenario_relay(moe_build_t *b, int ranks);

/** Ranks of a node: of the machine's first tier, or all. */
void moe_scenario_set_node(moe_scenario_t *s);

/** layout.placement, after all that says how many experts and ranks there
 * are. */
moe_status_t moe_scenario_read_placement(moe_build_t *b);

/** What model, layout, tokens and formats must be to each other. */
void moe_scenario_check_shapes(const moe_build_t *b);

/** phase, router, data, after the model and the layout. */
void moe_scenario_read_workload(moe_build_t *b);

/** Tensors from files, after the workload. */
moe_status_t moe_scenario_check_tensors(const moe_build_t *b);

/** precision and numerics, after the data. */
void moe_scenario_read_precision(moe_build_t *b);

/** methods, last of all. */
moe_status_t moe_scenario_read_methods(moe_build_t *b);

/** select, before the methods; by_methods: they are `auto`. */
void moe_scenario_read_select(const moe_build_t *b, bool by_methods);

/** A method with the defaults of its options in a layer. */
void moe_method_use_start(const moe_layer_t *layer, const moe_method_t *method,
                          moe_method_use_t *use_p);

/** The layout that a method's map gives it, at `layout`. */
void moe_method_read_layout(const moe_build_t *b, const moe_at_t *at,
                            moe_method_use_t *use);

/** Why an option does nothing whatever it says. */
typedef struct {
    const char *option;
    const char *by;    /* the option that says so */
    const char *words; /* of that, beside which it would do something */
} moe_option_use_t;

/** The row of option_use.def by which an option of a use does nothing; NULL if
 * it does something. */
const moe_option_use_t *moe_option_idle(const moe_layer_t *layer,
                                        const moe_method_use_t *use,
                                        const char *option);

/** Options in a method's map that do nothing beside its others. */
void moe_method_check_used(const moe_build_t *b, const moe_at_t *map,
                           const moe_method_use_t *use);

/** Cut the layer's tokens by the method's layout, if it is another. */
moe_status_t moe_method_cut_tokens(const moe_layer_t *layer,
                                   moe_method_use_t *use);
void moe_method_use_fini(moe_method_use_t *use);

/** Number of an option; -1 if the method has none of this name. */
int moe_method_option_place(const moe_method_t *method, const char *key);

/** Give the methods labels, each its own. They stand at `at`, which is a list
 * if entry is not NULL: [n_methods] which of its items each is. */
void moe_scenario_label(moe_build_t *b, const moe_at_t *at,
                        const size_t *entry);

/** Label that method number k has by default. */
void moe_scenario_label_standard(const moe_scenario_t *s, size_t k, char *out,
                                 size_t size);

/** published. */
moe_status_t moe_scenario_read_published(moe_build_t *b);

/** sweep; and the first value of each swept key that is not given. */
moe_status_t moe_scenario_read_sweep(moe_scenario_t *s, const moe_at_t *root);
moe_status_t moe_scenario_set_base(const moe_scenario_t *s, moe_yaml_doc_t *doc,
                                   moe_diag_t *diag);

/** Print the canonical text: with comments, or for the digest. */
moe_status_t moe_scenario_text(const moe_scenario_t *scenario, bool digest,
                               FILE *stream);

/** digest of the scenario, from that text. */
moe_status_t moe_scenario_set_digest(moe_scenario_t *scenario);

#endif
