/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/files.h"

#include "base/text.h"
#include "sim/launch/launch.h"
#include "sim/report/head.h"
#include "sim/report/folder.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const moe_command_t *command;
    size_t n;
    moe_scenario_t **scenario; /* [n] */
    moe_run_into_func_t *run_into;
    json_t *runs; /* reports so far */
    size_t done;
    size_t failed;
    bool stopped;    /* by what is no failed check */
    int exit_status; /* of the first that failed */
} files_t;

static moe_status_t no_memory(void)
{
    return moe_fail(MOE_ERR_NOMEM, "no memory for several scenarios");
}

static const char *path_of(const moe_command_t *command, size_t i)
{
    return command->argv[command->operand_at[i]];
}

static moe_status_t load(files_t *f, size_t i, moe_diag_t *diag)
{
    const moe_command_t *c = f->command;

    return moe_scenario_load(path_of(c, i), c->change, c->n_changes, c->ranks,
                             diag, &f->scenario[i]);
}

/* Problems of every file are told, not of the first alone. */
static moe_status_t load_all(files_t *f, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;

    for (size_t i = 0; i < f->n; i++) {
        moe_status_t one = load(f, i, diag);

        if (one != MOE_OK && one != MOE_ERR_INPUT) {
            return one;
        }
        status = one == MOE_OK ? status : one;
    }
    return status;
}

/* Reports are told apart by the scenario's name. */
static moe_status_t check_names(const files_t *f)
{
    for (size_t i = 0; i < f->n; i++) {
        for (size_t k = 0; k < i; k++) {
            if (strcmp(f->scenario[i]->name, f->scenario[k]->name) == 0) {
                return moe_fail(MOE_ERR_INPUT,
                                "%s: name: '%s' is that of %s, expected one "
                                "of its own",
                                path_of(f->command, i), f->scenario[i]->name,
                                path_of(f->command, k));
            }
        }
    }
    return MOE_OK;
}

static moe_status_t check_all(const files_t *f, moe_run_check_func_t *check)
{
    moe_status_t status = check_names(f);

    for (size_t i = 0; status == MOE_OK && i < f->n; i++) {
        status = check(f->command, f->scenario[i]);
    }
    return status;
}

static bool is_other_operand(const moe_command_t *command, int at, size_t i)
{
    for (size_t k = 0; k < command->n_operands; k++) {
        if (command->operand_at[k] == at) {
            return k != i;
        }
    }
    return false;
}

/* The command line of one scenario: the words without the other operands.
 * @param[out] word  [argc + 1], ended by NULL.
 * @return How many. */
static int one_line(const moe_command_t *command, size_t i, char **word)
{
    int n = 0;

    for (int at = 0; at < command->argc; at++) {
        if (!is_other_operand(command, at, i)) {
            word[n++] = command->argv[at];
        }
    }
    word[n] = NULL;
    return n;
}

static moe_status_t choose_folder(const moe_command_t *command,
                                  const char *name, char **folder_p)
{
    if (command->output == NULL) {
        return moe_report_folder_choose(command, name, folder_p);
    }
    *folder_p = moe_strdup_printf("%s/%s", command->output, name);
    return *folder_p == NULL ? no_memory() : MOE_OK;
}

/* A run that was ended before its end has no report. */
static moe_status_t keep_report(files_t *f, const char *folder)
{
    char *path = moe_strdup_printf("%s/report.json", folder);
    json_t *report = path == NULL ? NULL : json_load_file(path, 0, NULL);
    int bad = 0;

    if (report != NULL) {
        bad = json_array_append_new(f->runs, report);
    }
    bad |= path == NULL;
    free(path);
    return bad != 0 ? no_memory() : MOE_OK;
}

static void count(files_t *f, int exit_status)
{
    f->done++;
    f->failed += exit_status != 0;
    f->stopped = exit_status > 1;
    f->exit_status = f->exit_status != 0 ? f->exit_status : exit_status;
}

/* A heading, as reports do not name their file. */
static void say_which(const moe_command_t *command, size_t i)
{
    if (!command->quiet && !moe_report_json_on_stdout(command)) {
        printf("%s[%zu of %zu] %s\n", i > 0 ? "\n" : "", i + 1,
               command->n_operands, path_of(command, i));
        (void)fflush(stdout);
    }
}

static moe_status_t run_as(files_t *f, size_t i, char **word,
                           const char *folder)
{
    moe_command_t command = *f->command;

    command.argc = one_line(f->command, i, word);
    command.argv = word;
    command.operand = path_of(f->command, i);
    command.json = NULL;
    command.quiet = command.quiet || moe_report_json_on_stdout(f->command);
    count(f, f->run_into(&command, f->scenario[i], folder));
    return f->command->json == NULL ? MOE_OK : keep_report(f, folder);
}

static moe_status_t run_file(files_t *f, size_t i)
{
    char **word = calloc((size_t)f->command->argc + 1, sizeof(*word));
    char *folder = NULL;
    moe_status_t status =
        word == NULL ? no_memory()
                     : choose_folder(f->command, f->scenario[i]->name, &folder);

    if (status == MOE_OK) {
        say_which(f->command, i);
        status = run_as(f, i, word, folder);
    }
    free(folder);
    free((void *)word);
    return status;
}

static moe_status_t write_runs(const files_t *f)
{
    json_t *document = json_pack("{s:s, s:s, s:O}", "schema", "moesim-runs-1",
                                 "moesim", PACKAGE_VERSION, "runs", f->runs);
    moe_status_t status = document == NULL
                              ? no_memory()
                              : moe_report_write_json(f->command, document);

    json_decref(document);
    return status;
}

static void say_sum(const files_t *f)
{
    if (!f->command->quiet && !moe_report_json_on_stdout(f->command)) {
        printf("\n%zu scenarios: %zu passed, %zu failed, %zu not run\n", f->n,
               f->done - f->failed, f->failed, f->n - f->done);
    }
}

static moe_status_t run_all(files_t *f)
{
    moe_status_t status = MOE_OK;

    f->runs = json_array();
    if (f->runs == NULL) {
        return no_memory();
    }
    for (size_t i = 0; status == MOE_OK && !f->stopped && i < f->n; i++) {
        status = run_file(f, i);
    }
    if (status == MOE_OK && !f->stopped && f->command->json != NULL) {
        status = write_runs(f);
    }
    say_sum(f);
    return status;
}

static moe_status_t print_all(const files_t *f)
{
    moe_status_t status = MOE_OK;

    for (size_t i = 0; status == MOE_OK && i < f->n; i++) {
        if (i > 0) {
            puts("---");
        }
        status = moe_scenario_print(f->scenario[i], stdout);
    }
    return status;
}

static moe_status_t run_checked(files_t *f, moe_run_check_func_t *check,
                                moe_diag_t *diag)
{
    moe_status_t status = load_all(f, diag);

    if (status == MOE_OK && f->command->print_scenario) {
        return print_all(f);
    }
    if (status == MOE_OK) {
        status = check_all(f, check);
    }
    return status == MOE_OK ? run_all(f) : status;
}

static moe_status_t no_launcher(void)
{
    return moe_fail(MOE_ERR_INPUT,
                    "several scenarios: each starts its own ranks: start "
                    "moesim without a launcher");
}

int moe_run_files(const moe_command_t *command, moe_run_check_func_t *check,
                  moe_run_into_func_t *run_into)
{
    files_t f = {
        .command = command, .n = command->n_operands, .run_into = run_into};
    moe_diag_t *diag = moe_diag_create();
    moe_status_t status = MOE_OK;

    f.scenario = calloc(f.n, sizeof(*f.scenario));
    if (diag == NULL || f.scenario == NULL) {
        status = no_memory();
    } else {
        status =
            moe_launch_is_rank() ? no_launcher() : run_checked(&f, check, diag);
    }
    if (status != MOE_OK) {
        f.exit_status = moe_command_failed(diag, status);
    }
    for (size_t i = 0; f.scenario != NULL && i < f.n; i++) {
        moe_scenario_free(f.scenario[i]);
    }
    free((void *)f.scenario);
    json_decref(f.runs);
    moe_diag_free(diag);
    return f.exit_status;
}
