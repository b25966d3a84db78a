/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/options/command.h"

#include "base/text.h"
#include "gpu/gpu.h"
#include "ref/mpi/injection.h"
#include "sim/launch/launch.h"
#include "sim/report/head.h"
#include "sim/report/claim.h"
#include "sim/run/files.h"
#include "sim/report/folder.h"
#include "sim/run/job.h"
#include "sim/run/need.h"
#include "sim/run/sweep.h"
#include "sim/launch/supervise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void remove_unfinished(void *self)
{
    moe_report_claim_abandon(self);
}

/* What the ranks wrote, as the table and --json. */
static moe_status_t show(const moe_command_t *command, const char *folder)
{
    char *path = moe_strdup_printf("%s/report.json", folder);
    json_error_t error;
    json_t *document;
    moe_status_t status;

    if (path == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a path");
    }
    document = json_load_file(path, 0, &error);
    if (document == NULL) {
        status =
            moe_fail(MOE_ERR_IO, "%s:%d: %s", path, error.line, error.text);
    } else {
        status = moe_report_write(command, document, NULL);
        if (status == MOE_OK) {
            status = moe_report_strict(command, document);
        }
    }
    json_decref(document);
    free(path);
    return status;
}

/* A run whose check failed has its report too. */
static int show_after(const moe_command_t *command, const char *folder,
                      int exit_status)
{
    char *path = moe_strdup_printf("%s/report.json", folder);
    bool there = path != NULL && access(path, R_OK) == 0;
    moe_status_t status;

    free(path);
    if (exit_status > 1 || (exit_status == 1 && !there)) {
        return exit_status;
    }
    status = show(command, folder);
    if (status == MOE_OK) {
        moe_report_say_folder(command, folder);
    }
    return status == MOE_OK ? exit_status : moe_command_failed(NULL, status);
}

static int supervise(const moe_command_t *command,
                     const moe_scenario_t *scenario, const char *folder)
{
    moe_report_claim_t *claim = NULL;
    moe_status_t status = moe_report_claim(folder, &claim);
    int exit_status;

    if (status == MOE_OK && setenv(MOE_REPORT_FOLDER_ENV, folder, 1) != 0) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for a path");
        moe_report_claim_abandon(claim);
    }
    if (status == MOE_OK) {
        const moe_supervise_t what = {
            .ranks = moe_layout_world(&scenario->layer.layout),
            .argv = command->argv,
            .folder = moe_report_claim_unfinished(claim),
            .quiet = command->quiet,
            .agreed = !command->no_verify_calls,
            .cleanup = remove_unfinished,
            .cleanup_self = claim};

        exit_status = moe_supervise(&what);
        moe_report_claim_end(claim);
        return show_after(command, folder, exit_status);
    }
    moe_report_claim_end(claim);
    return moe_command_failed(NULL, status);
}

static int run_in(const moe_command_t *command, moe_scenario_t *scenario,
                  const char *folder)
{
    moe_status_t status = moe_report_may_write(command, folder);

    if (status == MOE_OK) {
        status = moe_need_estimate(command, scenario);
    }
    if (status != MOE_OK) {
        return moe_command_failed(NULL, status);
    }
    return supervise(command, scenario, folder);
}

/* The place of the GPU backend: this version executes on ref alone. */
static moe_status_t no_gpu(void)
{
    return moe_fail(MOE_ERR_UNSUPPORTED,
                    "--backend gpu: %s; this version executes on ref",
                    moe_gpu_built() ? "has no operations yet" : "not built in");
}

static moe_status_t check_injections(const moe_command_t *command,
                                     const moe_scenario_t *scenario)
{
    int ranks = moe_layout_world(&scenario->layer.layout);

    for (size_t i = 0; i < command->n_injections; i++) {
        moe_injection_t injection;
        char why[MOE_INJECTION_TEXT];

        if (!moe_injection_parse(command->injection[i], ranks, &injection,
                                 why)) {
            return moe_fail(MOE_ERR_INPUT, "--inject %s: expected %s",
                            command->injection[i], why);
        }
    }
    return MOE_OK;
}

/* The other stages can each be left out. */
static moe_status_t check_stages(const moe_command_t *command)
{
    const moe_stage_set_t experts = 1u << MOE_STAGE_experts;
    const moe_stage_set_t permute = 1u << MOE_STAGE_permute;

    if ((command->stages & experts) == 0 || (command->stages & permute) != 0) {
        return MOE_OK;
    }
    return moe_fail(MOE_ERR_INPUT,
                    "--stages: experts has no rows without permute, expected "
                    "both or neither");
}

/* Whether a golden folder says what the method computes: its ranks add up
 * parts of I, and no row of an expert is ever rounded. */
static bool adds_parts(const moe_scenario_t *s)
{
    const moe_chain_t *chain = &s->method[0].chain;

    return (chain->contract.points & MOE_ROUND(gemm2_out)) == 0 &&
           (chain->numerics != MOE_NUMERICS_exact ||
            chain->at[MOE_ROLE_gemm2_out].format != MOE_FORMAT_exact);
}

/* A golden folder needs the whole layer. */
static moe_status_t check_golden(const moe_command_t *command,
                                 const moe_scenario_t *scenario)
{
    moe_stage_set_t all;

    (void)moe_stage_set_find("all", &all);
    if (command->stages != all) {
        return moe_fail(MOE_ERR_INPUT, "--golden: needs all stages");
    }
    if (moe_scenario_wants_whole_rows(scenario, "--golden") != MOE_OK ||
        moe_scenario_wants_weights(scenario, "--golden") != MOE_OK) {
        return MOE_ERR_UNSUPPORTED;
    }
    if (scenario->n_methods == 0 ||
        !moe_contract_computes(&scenario->method[0].chain.contract)) {
        return moe_fail(MOE_ERR_INPUT,
                        "--golden: needs a first method that computes");
    }
    if (adds_parts(scenario)) {
        return moe_fail(MOE_ERR_INPUT,
                        "--golden: %s adds up parts of the experts' rows and "
                        "rounds none: expected another first method, or "
                        "precision.gemm2_out: exact and numerics: exact",
                        scenario->method[0].label);
    }
    for (size_t m = 0; m < scenario->n_methods; m++) {
        const moe_method_use_t *use = &scenario->method[m];

        if (use->method->gate == NULL &&
            moe_method_drops(&scenario->layer, use)) {
            return moe_fail(MOE_ERR_INPUT,
                            "--golden: %s leaves out rows at the experts, "
                            "which a golden folder has: expected "
                            "expert_block: bin with capacity_factor: 0",
                            use->label);
        }
    }
    return MOE_OK;
}

/* What can be known to be wrong before anything is started. */
static moe_status_t check_command(const moe_command_t *command,
                                  const moe_scenario_t *scenario)
{
    moe_status_t status = MOE_OK;

    if (command->backend == MOE_RUN_ON_gpu) {
        return no_gpu();
    }
    if (command->sweep_all && moe_launch_is_rank()) {
        return moe_fail(MOE_ERR_INPUT,
                        "--sweep all: each point starts its own ranks: start "
                        "moesim without a launcher");
    }
    status = check_stages(command);
    if (status == MOE_OK && command->golden) {
        status = check_golden(command, scenario);
    }
    return status == MOE_OK ? check_injections(command, scenario) : status;
}

static int run_into(const moe_command_t *command, moe_scenario_t *scenario,
                    const char *folder)
{
    return command->sweep_all ? moe_run_sweep(command, scenario, folder, run_in)
                              : run_in(command, scenario, folder);
}

static int run_supervised(const moe_command_t *command,
                          moe_scenario_t *scenario)
{
    char *folder;
    moe_status_t status =
        moe_report_folder_choose(command, scenario->name, &folder);
    int exit_status;

    if (status != MOE_OK) {
        return moe_command_failed(NULL, status);
    }
    exit_status = run_into(command, scenario, folder);
    free(folder);
    return exit_status;
}

static int run_scenario(const moe_command_t *command, moe_scenario_t *scenario)
{
    moe_status_t status = MOE_OK;

    if (command->print_scenario) {
        if (moe_launch_rank() <= 0) {
            status = moe_scenario_print(scenario, stdout);
        }
        return status == MOE_OK ? 0 : moe_command_failed(NULL, status);
    }
    status = check_command(command, scenario);
    if (status != MOE_OK) {
        return moe_command_failed(NULL, status);
    }
    return moe_launch_is_rank() ? moe_run_rank(command, scenario)
                                : run_supervised(command, scenario);
}

static int run_one(const moe_command_t *command)
{
    moe_diag_t *diag = moe_diag_create();
    moe_scenario_t *scenario = NULL;
    moe_status_t status;
    int exit_status;

    if (diag == NULL) {
        return moe_command_failed(
            NULL, moe_fail(MOE_ERR_NOMEM, "no memory for problems"));
    }
    status =
        moe_scenario_load(command->operand, command->change, command->n_changes,
                          command->ranks, diag, &scenario);
    exit_status = status == MOE_OK ? run_scenario(command, scenario)
                                   : moe_command_failed(diag, status);
    moe_scenario_free(scenario);
    moe_diag_free(diag);
    return exit_status;
}

int moe_cmd_run(const moe_command_t *command)
{
    return command->n_operands > 1
               ? moe_run_files(command, check_command, run_into)
               : run_one(command);
}
