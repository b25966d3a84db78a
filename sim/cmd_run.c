/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/command.h"

#include "base/outfile.h"
#include "base/text.h"
#include "gpu/gpu.h"
#include "sim/launch.h"
#include "sim/report_head.h"
#include "sim/run_folder.h"
#include "sim/run_job.h"
#include "sim/run_need.h"
#include "sim/run_sweep.h"
#include "sim/supervise.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void remove_unfinished(void *self)
{
    moe_run_folder_abandon(self);
}

static bool json_on_stdout(const moe_command_t *command)
{
    return command->json != NULL && strcmp(command->json, "-") == 0;
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
    return status == MOE_OK ? exit_status : moe_command_failed(NULL, status);
}

static int supervise(const moe_command_t *command,
                     const moe_scenario_t *scenario, const char *folder)
{
    char *unfinished = moe_run_folder_unfinished(folder);
    moe_supervise_t what = {.ranks = moe_layout_world(&scenario->layer.layout),
                            .argv = command->argv,
                            .folder = unfinished,
                            .quiet = command->quiet,
                            .cleanup = remove_unfinished,
                            .cleanup_self = unfinished};
    moe_status_t status = MOE_OK;
    int exit_status;

    if (unfinished == NULL || setenv(MOE_RUN_FOLDER_ENV, folder, 1) != 0) {
        free(unfinished);
        return moe_command_failed(
            NULL, moe_fail(MOE_ERR_NOMEM, "no memory for a path"));
    }
    status = moe_make_folder(unfinished);
    if (status != MOE_OK) {
        free(unfinished);
        return moe_command_failed(NULL, status);
    }
    exit_status = moe_supervise(&what);
    free(unfinished);
    return show_after(command, folder, exit_status);
}

static int run_in(const moe_command_t *command, moe_scenario_t *scenario,
                  const char *folder)
{
    moe_status_t status = moe_report_may_write(command, folder);
    int exit_status;

    if (status != MOE_OK) {
        return moe_command_failed(NULL, status);
    }
    if (moe_launch_is_rank()) {
        return moe_run_rank(command, scenario, folder);
    }
    status = moe_need_estimate(command, scenario);
    if (status != MOE_OK) {
        return moe_command_failed(NULL, status);
    }
    exit_status = supervise(command, scenario, folder);
    if (exit_status == 0 && !json_on_stdout(command) && !command->quiet) {
        printf("report: %s\n", folder);
    }
    return exit_status;
}

/* The place of the GPU backend: this version executes on ref alone. */
static moe_status_t no_gpu(void)
{
    return moe_fail(MOE_ERR_UNSUPPORTED,
                    "--backend gpu: %s; this version executes on ref",
                    moe_gpu_built() ? "has no operations yet" : "not built in");
}

static int run_scenario(const moe_command_t *command, moe_scenario_t *scenario)
{
    char *folder;
    moe_status_t status;
    int exit_status;

    if (command->print_scenario) {
        status = moe_scenario_print(scenario, stdout);
        return status == MOE_OK ? 0 : moe_command_failed(NULL, status);
    }
    if (command->backend == MOE_RUN_ON_gpu) {
        return moe_command_failed(NULL, no_gpu());
    }
    status = moe_run_folder_choose(command, scenario->name, &folder);
    if (status != MOE_OK) {
        return moe_command_failed(NULL, status);
    }
    exit_status = command->sweep_all && !moe_launch_is_rank()
                      ? moe_run_sweep(command, scenario, folder, run_in)
                      : run_in(command, scenario, folder);
    free(folder);
    return exit_status;
}

int moe_cmd_run(const moe_command_t *command)
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
