/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One run as a rank sees it, from start to report.
 */
#ifndef SIM_RUN_JOB_H
#define SIM_RUN_JOB_H

#include "base/digest.h"
#include "moe/run_method.h"
#include "ref/compare.h"
#include "ref/mpi/agreement.h"
#include "ref/mpi/backend_ref.h"
#include "ref/mpi/ledger.h"
#include "ref/mpi/world.h"
#include "sim/options/command.h"
#include "sim/golden/golden.h"
#include "sim/report/claim.h"
#include "sim/inputs/inputs.h"
#include "sim/run/janitor.h"
#include "sim/run/sample.h"

#include <jansson.h>

/** What a method's gate gave on this rank; ids NULL: it has none. */
typedef struct {
    int64_t tokens;
    int64_t capacity;
    float loss;
    int32_t *ids; /* [tokens][k], as moe_gate_t has them */
    int32_t *location;
    float *weights;
    int32_t *counts; /* [E] */
} moe_gate_seen_t;

/** The same, held against the oracle. */
typedef struct {
    int64_t capacity;
    int64_t kept; /* (token, slot) pairs */
    int64_t dropped;
    int64_t wrong; /* pairs and numbers that are not the oracle's */
    float loss;
} moe_gate_found_t;

/** What a rank found about a method. Shared between ranks as bytes. */
typedef struct {
    double wall_s;
    double cpu_s;
    double agree_s;
    int64_t payload[MOE_STAGE_COUNT]; /* of the executed trace */
    moe_ref_stats_t stats;            /* redone by this method */
    uint64_t injected;                /* bit i: injection i has had an effect */
    char digest[MOE_DIGEST_CHARS];    /* of all outputs, rank 0 */
    moe_compare_t oracle;             /* own part of the oracle's tokens */
    moe_gate_found_t gate;            /* zeros without one */
    moe_compare_t exact;              /* `faithful`: of the same, to `exact` */
    moe_compare_t to_first; /* own part of all tokens, to moe_output_first() */
} moe_found_t;

/** --golden: a method's gate in process; ids NULL: the routing source's. */
typedef struct {
    moe_golden_gate_t gate;
    moe_routing_t routing; /* of all tokens, as the gate leaves it */
} moe_job_gate_t;

typedef struct {
    const moe_command_t *command;
    moe_scenario_t *scenario;
    char *folder;              /* of the report; NULL before it is known */
    char *unfinished;          /* where files are until they are whole */
    moe_report_claim_t *claim; /* held by this rank; NULL: by another process */
    moe_janitor_t *janitor;    /* of this rank; NULL: none */
    moe_runstate_t *state;
    moe_world_t *world;
    moe_agreement_t *agreement;
    moe_ledger_t *ledger;
    moe_inputs_t inputs;
    moe_routing_t routing; /* of all tokens, by slots */
    moe_placed_t placed;   /* where experts are placed */
    int32_t *chosen;       /* [tokens][k] experts; NULL: slots are experts */
    moe_sample_t sample;
    size_t method;              /* that runs */
    moe_gate_seen_t *seen;      /* [n_methods] */
    moe_routing_t *gated;       /* [n_methods] of all tokens, after dropping */
    moe_injection_t *injection; /* [command->n_injections] */
    int rank;
    int n_ranks;
    int64_t start_bytes;  /* resident after start */
    int64_t *predicted;   /* [n_ranks] peak memory; all ranks */
    int64_t n_calls;      /* collectives of the whole run on this rank */
    json_t *selection;    /* of the report, rank 0; NULL: nothing selects */
    json_t *methods;      /* priced, rank 0 */
    moe_found_t *found;   /* [n_methods] */
    moe_golden_tap_t tap; /* --golden: of the method at work */
    moe_job_gate_t *golden_gate; /* [n_methods] */
    unsigned golden_held; /* bit r: place r of the first method is the run's */
    double start_s;
} moe_job_t;

/** Seconds of a clock that never steps back. */
double moe_job_now(void);

/** Seconds that this process has had of all cores. */
double moe_job_cpu(void);

/** Global range of this rank's tokens, as a method lays them. */
moe_range_t moe_job_own(const moe_job_t *job, const moe_method_use_t *use);

/** Stages that the command wants. */
moe_stage_set_t moe_job_stages(const moe_job_t *job);

/** Resident memory of this process, and its largest so far, in bytes. */
int64_t moe_job_resident(void);
int64_t moe_job_peak(void);

/* The steps, in order; every rank calls each. */

/** Where the report goes. */
moe_status_t moe_job_place(moe_job_t *job);

/** Own inputs, then the routing source of all ranks. */
moe_status_t moe_job_inputs(moe_job_t *job);

/** The one method that runs, if the scenario selects. */
moe_status_t moe_job_select(moe_job_t *job);

/** `meta` on rank 0: prices, collectives, memory; refuses what does not
 * fit. */
moe_status_t moe_job_plan(moe_job_t *job);

/** Every method on the reference; outputs go to scratch files. */
moe_status_t moe_job_methods(moe_job_t *job);

/** --golden: what a method's gate leaves, of this rank in process and shared,
 * if it has one; status so far. All ranks call it. */
moe_status_t moe_job_gate_golden(moe_job_t *job, size_t method,
                                 moe_status_t status);

/** --golden: hold what a method computed here against the share of this rank
 * in process; the first method's is written, in sim/run/golden.c. */
moe_status_t moe_job_hold_golden(moe_job_t *job, size_t method);

/** --golden: what goes with the ranks' files. */
moe_status_t moe_job_golden(moe_job_t *job);

/** Outputs of methods against each other and against the oracle. */
moe_status_t moe_job_judge(moe_job_t *job);

/** Ledger and report, on rank 0. */
moe_status_t moe_job_report(moe_job_t *job);

/** Path of a method's output on this rank; the caller frees it. */
char *moe_job_scratch(const moe_job_t *job, size_t method);

/** Let go of the report's folder; if the run was not good, remove what it
 * left there. */
void moe_job_leave_place(moe_job_t *job, bool good);

/** The whole run of a rank: its exit status. */
int moe_run_rank(const moe_command_t *command, moe_scenario_t *scenario);

#endif
