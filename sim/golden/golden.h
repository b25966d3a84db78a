/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Writer of golden folders (doc/golden.md).
 */
#ifndef SIM_GOLDEN_GOLDEN_H
#define SIM_GOLDEN_GOLDEN_H

#include "base/safetensors_write.h"
#include "ref/layer.h"
#include "sim/options/command.h"
#include "sim/golden/gate.h"
#include "sim/golden/tap.h"
#include "sim/inputs/layer_feed.h"

#include <jansson.h>

/** A folder being written. */
typedef struct {
    const moe_command_t *command;
    const moe_scenario_t *scenario;
    moe_layer_t layer;  /* as the ranks lie: of a run, as its method lays it;
                         * experts have been placed */
    const char *folder; /* unfinished */
    moe_format_t dispatch;
    moe_storage_t sums;    /* how the first method's partial sums travel */
    moe_golden_tap_t *tap; /* of a run; NULL: computed in process alone */
    unsigned held;         /* bit r: every rank's place r is the run's */
    unsigned held_here;    /* and of the rank whose line is added */
    moe_routing_t routing; /* of all tokens, by experts, made once; as the
                            * gate leaves it */
    const moe_golden_gate_t *gate; /* whose results are written; NULL: none */
    json_t *ranks;
    json_t *shapes; /* of what is declared, for the manifest; NULL: not now */
    int64_t bytes;  /* of files, written so far or to be written */
} moe_golden_job_t;

/** A rank's ranges. */
typedef struct {
    int rank;
    moe_range_t tokens;
    moe_range_t all_tokens;
    moe_range_t experts; /* slots, where experts are placed */
    int64_t pairs;
} moe_golden_share_t;

moe_golden_share_t moe_golden_share(const moe_golden_job_t *job, int rank);

/** A rank's file at work. */
typedef struct {
    moe_golden_job_t *job;
    const moe_golden_share_t *share;
    moe_safetensors_out_t *out;
    moe_status_t status;
} moe_golden_file_t;

/** Fill job->routing; ended with moe_routing_fini(). */
moe_status_t moe_golden_route(moe_golden_job_t *job);

/** Announce a tensor; append data to the file, and rows' codes or scales. */
void moe_golden_declare(moe_golden_file_t *f, const char *name,
                        moe_dtype_t dtype, int ndim, const int64_t *dim);
void moe_golden_put(moe_golden_file_t *f, const void *data, int64_t size);
void moe_golden_put_rows(moe_golden_file_t *f, const moe_rows_t *rows,
                         bool scales);

/** Beside each tensor of floats is NAME.abs, fp32 of its shape. */
void moe_golden_declare_bound(moe_golden_file_t *f, const char *name, int ndim,
                              const int64_t *dim);
/** Of a layer's place: moe_ref_layer_abs(). */
void moe_golden_put_bound(moe_golden_file_t *f, moe_ref_layer_t *layer,
                          moe_role_t role);
/** Of floats that no sum makes, or one of terms that are not negative: their
 * magnitudes. */
void moe_golden_put_magnitudes(moe_golden_file_t *f, const moe_rows_t *rows);

/** A layer that has the routing of its tokens, which was made once, and what
 * the scenario reads, unless feed is NULL. Ended with moe_golden_close(). */
void moe_golden_open(moe_golden_file_t *f, moe_range_t tokens,
                     moe_range_t experts, moe_ref_layer_t *layer,
                     moe_layer_feed_t *feed);
void moe_golden_close(moe_ref_layer_t *layer, moe_layer_feed_t *feed);

/** Tokens whose hidden states are there at a time. */
#define MOE_GOLDEN_TOKENS 4096

/** Give a layer expert_in, made of some tokens at a time, if a place from
 * there to combine is wanted. @param[out] rows  Ended with
 * moe_ref_rows_free() when the layer has dropped the place. */
void moe_golden_gather(moe_golden_file_t *f, moe_ref_layer_t *layer,
                       moe_rows_t *rows);

/** Who the pairs of a rank are. */
void moe_golden_declare_names(moe_golden_file_t *f);
void moe_golden_put_names(moe_golden_file_t *f, const moe_ref_layer_t *layer);

/** Slots of the own tokens' choices, where experts are placed. The layer holds
 * their ids. */
void moe_golden_declare_physical_ids(moe_golden_file_t *f);
void moe_golden_put_physical_ids(moe_golden_file_t *f,
                                 const moe_ref_layer_t *layer);

/** The weights of a rank's experts, with --weights local. */
void moe_golden_declare_weights(moe_golden_file_t *f);
void moe_golden_put_weights(moe_golden_file_t *f);

/** What goes with them: the experts' biases; router and bias, where logits
 * choose. */
void moe_golden_declare_biases(moe_golden_file_t *f);
void moe_golden_put_biases(moe_golden_file_t *f);

/** Rows, counts and loss of the gate, if there is one. */
void moe_golden_declare_gate(moe_golden_file_t *f);
void moe_golden_put_gate(moe_golden_file_t *f);

/** Name of a rank's file. */
#define MOE_GOLDEN_FILE "rank-%04d.safetensors"

/** Add a rank's line, with the shapes of its tensors, to job->ranks. */
moe_status_t moe_golden_add_rank(moe_golden_job_t *job,
                                 const moe_golden_share_t *share);

/** Bytes of the scenario and of a manifest with job->ranks. */
moe_status_t moe_golden_text_bytes(const moe_golden_job_t *job,
                                   int64_t *bytes_p);

/** Write the scenario, or the manifest, whose ranks are job->ranks, into
 * job->folder. */
moe_status_t moe_golden_write_scenario(const moe_golden_job_t *job);
moe_status_t moe_golden_write_manifest(const moe_golden_job_t *job);

/** True for places of --stages. */
bool moe_golden_wants(const moe_golden_job_t *job, moe_role_t role);

/** Write one rank's file. @param[in] path  NULL: only add its size to
 * job->bytes. */
moe_status_t moe_golden_rank(moe_golden_job_t *job,
                             const moe_golden_share_t *share, const char *path);

#endif
