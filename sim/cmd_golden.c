/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moesim golden SCENARIO -o DIR: inputs and the right answer of every stage.
 */
#include "config.h"

#include "sim/golden/golden.h"

#include "base/leave.h"
#include "base/outfile.h"
#include "base/text.h"
#include "moe/placed.h"
#include "sim/golden/read.h"
#include "sim/options/sweep.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

moe_golden_share_t moe_golden_share(const moe_golden_job_t *job, int rank)
{
    const moe_scenario_t *s = job->scenario;
    const moe_layout_t *l = &job->layer.layout;
    const int size = moe_layout_group_size(l, MOE_GROUP_ep, rank);
    const int first = moe_layout_group_member(l, MOE_GROUP_ep, rank, 0);
    const int last = moe_layout_group_member(l, MOE_GROUP_ep, rank, size - 1);
    const moe_placed_t *placed = job->layer.placed;
    const int32_t *ids = job->routing.ids;
    moe_golden_share_t share = {
        .rank = rank,
        .tokens = moe_layer_tokens(&job->layer, moe_layout_dp_rank(l, rank)),
        .experts =
            moe_layout_experts(l, job->layer.model->experts,
                               moe_layout_group_index(l, MOE_GROUP_ep, rank))};

    share.all_tokens.begin =
        moe_layer_tokens(&job->layer, moe_layout_dp_rank(l, first)).begin;
    share.all_tokens.end =
        moe_layer_tokens(&job->layer, moe_layout_dp_rank(l, last)).end;
    for (int64_t i = share.all_tokens.begin * s->model.topk;
         i < share.all_tokens.end * s->model.topk; i++) {
        const int32_t slot =
            placed == NULL ? ids[i]
                           : moe_placed_slot(placed, i / s->model.topk, ids[i]);

        share.pairs += slot >= share.experts.begin && slot < share.experts.end;
    }
    return share;
}

/* One rank: its size only, or its file and its line of the manifest. */
static moe_status_t do_rank(moe_golden_job_t *job, int rank, bool writes)
{
    const moe_golden_share_t share = moe_golden_share(job, rank);
    char name[64];
    char *path;
    moe_status_t status;

    if (!writes) {
        status = moe_golden_rank(job, &share, NULL);
        return status == MOE_OK ? moe_golden_add_rank(job, &share) : status;
    }
    (void)snprintf(name, sizeof(name), MOE_GOLDEN_FILE, rank);
    path = moe_strdup_printf("%s/%s", job->folder, name);
    status = path == NULL ? moe_fail(MOE_ERR_NOMEM, "no memory for a path")
                          : moe_golden_rank(job, &share, path);
    free(path);
    return status == MOE_OK ? moe_golden_add_rank(job, &share) : status;
}

static moe_status_t each_rank(moe_golden_job_t *job, bool writes)
{
    const int world = moe_layout_world(&job->scenario->layer.layout);
    const int only = job->command->only_rank;
    moe_status_t status = MOE_OK;

    (void)json_array_clear(job->ranks);
    for (int r = only >= 0 ? only : 0;
         status == MOE_OK && r < (only >= 0 ? only + 1 : world); r++) {
        status = do_rank(job, r, writes);
    }
    return status;
}

static moe_status_t write_all(moe_golden_job_t *job)
{
    moe_status_t status = moe_make_folder(job->folder);

    if (status == MOE_OK) {
        status = moe_golden_write_scenario(job);
    }
    if (status == MOE_OK) {
        status = each_rank(job, true);
    }
    return status == MOE_OK ? moe_golden_write_manifest(job) : status;
}

/* Made beside its name, and renamed when it is whole. */
static moe_status_t write_folder(moe_golden_job_t *job)
{
    const char *folder = job->command->output;
    size_t n = strlen(folder);
    char *hidden;
    moe_status_t status;

    while (n > 1 && folder[n - 1] == '/') {
        n--;
    }
    hidden = moe_strdup_printf("%.*s.unfinished-%ld", (int)n, folder,
                               (long)getpid());
    if (hidden == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a path");
    }
    job->folder = hidden;
    moe_leave_folder(hidden);
    status = write_all(job);
    if (status == MOE_OK && rename(hidden, folder) != 0) {
        status = moe_fail(MOE_ERR_IO, "%s: %s", folder, strerror(errno));
    }
    if (status != MOE_OK) {
        moe_remove_tree(hidden);
    }
    moe_leave_folder(NULL);
    free(hidden);
    return status;
}

/* Of all files. */
static moe_status_t check_size(moe_golden_job_t *job)
{
    const int64_t most = job->command->max_bytes;
    int64_t texts = 0; /* scenario and manifest */
    moe_status_t status = each_rank(job, false);

    if (status == MOE_OK) {
        status = moe_golden_text_bytes(job, &texts);
    }
    job->bytes += texts;
    if (status == MOE_OK && most > 0 && job->bytes > most) {
        return moe_fail(MOE_ERR_INPUT,
                        "--max-bytes: the folder would take %lld bytes, more "
                        "than %lld; --only-rank, --stages and --weights make "
                        "it smaller",
                        (long long)job->bytes, (long long)most);
    }
    return status;
}

static moe_status_t check_command(const moe_command_t *c,
                                  const moe_scenario_t *s)
{
    const int world = moe_layout_world(&s->layer.layout);
    struct stat st;

    if (c->output == NULL) {
        return moe_fail(MOE_ERR_INPUT, "-o DIR is missing, expected the folder "
                                       "to write");
    }
    if (lstat(c->output, &st) == 0) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s is there already, and golden folders are never "
                        "overwritten",
                        c->output);
    }
    if (s->select.kind != MOE_SELECT_none) {
        return moe_fail(MOE_ERR_INPUT,
                        "golden writes what the first method dispatches: "
                        "expected select: none, and that method");
    }
    if (c->only_rank >= world) {
        return moe_fail(MOE_ERR_INPUT, "--only-rank: is %d, expected 0 to %d",
                        c->only_rank, world - 1);
    }
    if (moe_scenario_wants_whole_rows(s, "golden") != MOE_OK ||
        moe_scenario_wants_weights(s, "golden") != MOE_OK) {
        return MOE_ERR_UNSUPPORTED;
    }
    if (s->layer.chain.numerics != MOE_NUMERICS_exact) {
        return moe_fail(MOE_ERR_UNSUPPORTED,
                        "numerics: faithful: rounds as a method does on its "
                        "ranks; 'moesim run --golden' executes it");
    }
    return MOE_OK;
}

/* A folder is of the layer as its gate leaves it: what experts leave out of it
 * is not. */
static void warn_of_bins(const moe_golden_job_t *job)
{
    const moe_scenario_t *s = job->scenario;

    if (job->gate == NULL && s->n_methods > 0 &&
        moe_method_drops(&s->layer, &s->method[0])) {
        fprintf(stderr,
                "moesim: warning: %s leaves out rows beyond the bins of its "
                "experts; the folder is of the layer, which has all pairs\n",
                s->method[0].label);
    }
}

/* The gate of the first method, which then has left its choices in the
 * routing. */
static moe_status_t gate(moe_golden_job_t *job, moe_golden_gate_t *gate)
{
    const moe_scenario_t *s = job->scenario;
    moe_status_t status = MOE_OK;

    if (s->n_methods > 0) {
        status = moe_golden_gate_init(s, &s->method[0], &job->routing, gate);
    }
    if (status != MOE_OK || gate->use == NULL) {
        return status;
    }
    if (gate->use->tokens != NULL) { /* not the ranks of the folder */
        return !moe_golden_gate_drops(gate)
                   ? MOE_OK
                   : moe_fail(MOE_ERR_UNSUPPORTED,
                              "golden: %s has a layout of its own and drops by "
                              "the tokens of its ranks: expected that layout "
                              "as the scenario's; 'moesim run --golden' "
                              "executes it",
                              gate->use->label);
    }
    job->gate = gate;
    return moe_golden_gate_all(gate, &job->routing);
}

static void warn_of_sums(const moe_golden_job_t *job)
{
    if (moe_format_is_coded(job->sums.format)) {
        fprintf(stderr,
                "moesim: warning: partial sums travel as %s: the output of the "
                "folder is made without that, check leaves room for it; 'run "
                "--golden' has the method's own\n",
                moe_format_name(job->sums.format));
    }
}

/* A folder is of one point of a sweep. */
static moe_status_t warn_of_points(const moe_command_t *c,
                                   const moe_scenario_t *s)
{
    moe_sweep_points_t points;
    moe_status_t status = MOE_OK;

    if (!moe_sweep_given(c)) {
        return MOE_OK;
    }
    status = moe_sweep_points_init(c, s, &points);
    if (status != MOE_OK) {
        return status;
    }
    if (points.n_points > 1) {
        fprintf(stderr,
                "moesim: warning: the folder is of the first of %zu points\n",
                points.n_points);
    }
    moe_sweep_points_fini(&points);
    return MOE_OK;
}

/* Where experts lie, by the routing of all tokens. */
static moe_status_t place(moe_golden_job_t *job, moe_scenario_t *s,
                          moe_placed_t *placed)
{
    moe_status_t status;

    if (!moe_layer_is_placed(&s->layer)) {
        return MOE_OK;
    }
    status = moe_layer_place(&s->layer, &job->routing, placed);
    if (status == MOE_OK) {
        s->layer.placed = job->layer.placed = placed;
    }
    return status;
}

static moe_status_t make(const moe_command_t *c, moe_scenario_t *s)
{
    moe_placed_t placed = {0};
    moe_golden_job_t job = {.command = c,
                            .scenario = s,
                            .layer = s->layer,
                            .ranks = json_array(),
                            .dispatch =
                                s->layer.chain.at[MOE_ROLE_hidden].format};
    moe_golden_gate_t of_first = {0};
    moe_status_t status = check_command(c, s);

    if (s->n_methods > 0) {
        job.dispatch = s->method[0].chain.at[MOE_ROLE_dispatch].format;
        job.sums = s->method[0].chain.at[MOE_ROLE_combine];
    }
    if (status == MOE_OK) {
        status = moe_golden_route(&job);
    }
    if (status == MOE_OK) {
        status = place(&job, s, &placed);
    }
    if (status == MOE_OK) {
        status = gate(&job, &of_first);
    }
    if (status == MOE_OK) {
        status = check_size(&job);
    }
    if (status == MOE_OK) {
        status = write_folder(&job);
    }
    if (status == MOE_OK && !c->quiet) {
        printf("%s: %lld bytes, rows dispatched as %s\n", c->output,
               (long long)job.bytes, moe_format_name(job.dispatch));
    }
    if (status == MOE_OK) {
        warn_of_bins(&job);
        warn_of_sums(&job);
        status = warn_of_points(c, s);
    }
    moe_golden_gate_fini(&of_first);
    s->layer.placed = NULL;
    moe_placed_fini(&placed);
    moe_routing_fini(&job.routing);
    json_decref(job.ranks);
    return status;
}

int moe_cmd_golden(const moe_command_t *command)
{
    moe_diag_t *diag = moe_diag_create();
    moe_scenario_t *scenario = NULL;
    moe_status_t status;
    int exit_status;

    if (diag == NULL) {
        return moe_command_failed(
            NULL, moe_fail(MOE_ERR_NOMEM, "no memory for problems"));
    }
    moe_leave_clean();
    status =
        moe_scenario_load(command->operand, command->change, command->n_changes,
                          command->ranks, diag, &scenario);
    if (status == MOE_OK) {
        status = make(command, scenario);
    }
    exit_status = status == MOE_OK ? 0 : moe_command_failed(diag, status);
    moe_scenario_free(scenario);
    moe_diag_free(diag);
    return exit_status;
}
