/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * A command line as all verbs see it, and the verbs.
 */
#ifndef SIM_OPTIONS_COMMAND_H
#define SIM_OPTIONS_COMMAND_H

#include "moe/vocabulary.h"
#include "ref/judge.h"
#include "sim/scenario/scenario.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

typedef enum {
#define MOE_VERB(id, shown, operand, text) MOE_VERB_##id,
#include "sim/options/verbs.def"
#undef MOE_VERB
    MOE_VERB_COUNT
} moe_verb_t;

typedef enum {
    MOE_COLOR_auto, /* on a terminal without NO_COLOR */
    MOE_COLOR_always,
    MOE_COLOR_never
} moe_color_t;

typedef enum {
    MOE_RUN_ON_ref,
    MOE_RUN_ON_gpu
} moe_run_on_t;

/** How rows of a judged tensor may lie. */
typedef enum {
    MOE_CHECK_any,           /* anywhere, if they say who they are */
    MOE_CHECK_within_expert, /* an expert's rows in any order */
    MOE_CHECK_exact          /* as in the golden folder */
} moe_check_order_t;

/** Weights in a golden folder. */
typedef enum {
    MOE_GOLDEN_WEIGHTS_seed, /* drawn again */
    MOE_GOLDEN_WEIGHTS_local,
    MOE_GOLDEN_WEIGHTS_none
} moe_golden_weights_t;

/** Parsed options; strings point into argv or are owned by the object. */
typedef struct {
    moe_verb_t verb;
    int argc; /* the whole command line, to say it or to start it again */
    char **argv;
    time_t started;      /* when it was parsed */
    const char *operand; /* scenario of run and price, WHAT of list; or NULL */
    size_t n_operands;   /* of verbs that take any number; else 0 */
    int *operand_at;     /* [n_operands] where in argv; the first is operand */
    const char *more[2]; /* second and third operand, or NULL */
    bool help;
    bool version;

    /* common */
    const char *output; /* -o; NULL: the default folder */
    const char *json;   /* file; "-" for stdout; NULL: none */
    const char *trace;  /* of price: file; NULL: none */
    bool quiet;
    bool strict;
    bool force; /* may overwrite another run's report */
    moe_color_t color;
    int ranks;            /* 0: as the layout says */
    int64_t memory_limit; /* bytes of all ranks together; 0: what is free */
    bool print_scenario;

    /* run */
    moe_stage_set_t stages;  /* all if not given */
    const char *stages_text; /* NULL if not given */
    bool sweep_all;
    size_t n_injections;
    const char **injection; /* [n_injections] NAME[@...] as given */
    bool no_verify_calls;
    moe_run_on_t backend;
    bool golden; /* what the ranks compute goes into the report */

    /* check */
    moe_check_order_t order;
    int64_t max_ulp; /* -1: not given */
    int only_rank;   /* -1: all */
    const char *junit;
    moe_accumulator_t accumulator;
    bool has_accumulator;

    /* golden */
    moe_golden_weights_t weights;
    int64_t max_bytes; /* 0: any */

    /* op */
    const char *in; /* files */
    const char *out;
    const char *to; /* formats or conversions, as given */
    const char *from;
    size_t n_tensors;
    moe_change_t *tensor; /* argument = name in the file */

    /* doctor */
    const char *blas_core; /* NULL: the one that OpenBLAS chose */

    /* what --set and the shorthand options mean, in order */
    size_t n_changes;
    moe_change_t *change;

    char **owned; /* [n_owned] texts made by the parser */
    size_t n_owned;
} moe_command_t;

/**
 * Parse a command line; argv[1] is the verb.
 *
 * All problems of the line go to diag in one pass. With --help or --version
 * the rest is not looked at.
 *
 * @param[out] command_p  Ended with moe_command_fini(), on error too.
 * @return MOE_OK; MOE_ERR_INPUT, diag says why; MOE_ERR_NOMEM.
 */
moe_status_t moe_command_parse(int argc, char **argv, moe_diag_t *diag,
                               moe_command_t *command_p);
void moe_command_fini(moe_command_t *command);

/** Name of a verb, its operand, its text. */
const char *moe_verb_name(moe_verb_t verb);
const char *moe_check_order_name(moe_check_order_t order);
const char *moe_verb_operand(moe_verb_t verb);
const char *moe_verb_text(moe_verb_t verb);

/** True for verbs that help and completion show. */
bool moe_verb_is_shown(moe_verb_t verb);

/* The verbs: each returns the exit status and has said what was wrong. */
#define MOE_VERB(id, shown, operand, text)                                     \
    int moe_cmd_##id(const moe_command_t *command);
#include "sim/options/verbs.def"
#undef MOE_VERB

/** Run the verb of a command. */
int moe_command_run(const moe_command_t *command);

/**
 * Say on stderr why a command failed: diag's problems if there are any, else
 * moe_error_text(), else the text of the status.
 * @return The exit status that status means.
 */
int moe_command_failed(const moe_diag_t *diag, moe_status_t status);

#endif
