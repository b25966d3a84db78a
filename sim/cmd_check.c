/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moesim check REF GOT [GOT2]: judge somebody's kernel output.
 */
#include "config.h"

#include "sim/check/gate.h"
#include "sim/check/names.h"
#include "sim/check/placed.h"

#include "base/infile.h"
#include "base/outfile.h"
#include "base/text.h"
#include "reports/check.h"
#include "sim/report/head.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

moe_status_t moe_check_warn(moe_check_t *check, const char *format, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    return moe_report_warn(check->document, "%s", text);
}

moe_status_t moe_check_add(moe_check_t *check, json_t *finding)
{
    const char *verdict =
        json_string_value(json_object_get(finding, "verdict"));

    if (verdict == NULL) {
        json_decref(finding);
        return moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
    }
    check->good = check->good && strcmp(verdict, "good") == 0;
    if (json_array_append_new(check->findings, finding) != 0) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
    }
    return MOE_OK;
}

moe_status_t moe_check_got_path(const char *got, const moe_golden_rank_t *rank,
                                char **path_p)
{
    struct stat st;

    *path_p = moe_is_folder(got) ? moe_strdup_printf("%s/%s", got, rank->file)
                                 : strdup(got);
    if (*path_p == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a file name");
    }
    if (moe_is_folder(got) && stat(*path_p, &st) != 0) {
        free(*path_p);
        *path_p = NULL;
    }
    return MOE_OK;
}

static bool is_wanted(const moe_check_t *check, const moe_golden_rank_t *rank)
{
    return check->command->only_rank < 0 ||
           check->command->only_rank == rank->rank;
}

/* Calls judge for each rank that is wanted and that GOT has a file of. */
static moe_status_t each_rank(moe_check_t *check, const char *got, int *n_p,
                              moe_status_t (*judge)(moe_check_t *,
                                                    const moe_golden_rank_t *,
                                                    const char *))
{
    moe_status_t status = MOE_OK;

    *n_p = 0;
    for (size_t i = 0; status == MOE_OK && i < check->golden.n_ranks; i++) {
        const moe_golden_rank_t *rank = &check->golden.rank[i];
        char *path = NULL;

        if (!is_wanted(check, rank)) {
            continue;
        }
        status = moe_check_got_path(got, rank, &path);
        if (status == MOE_OK && path != NULL) {
            status = judge(check, rank, path);
            ++*n_p;
        }
        free(path);
    }
    return status;
}

/* A folder is of all ranks that REF has, unless --only-rank says another. */
static moe_status_t add_missing(moe_check_t *check, const char *got,
                                const char *called)
{
    moe_status_t status = MOE_OK;

    for (size_t i = 0; status == MOE_OK && i < check->golden.n_ranks; i++) {
        const moe_golden_rank_t *rank = &check->golden.rank[i];
        char *path = NULL;

        if (!is_wanted(check, rank)) {
            continue;
        }
        status = moe_check_got_path(got, rank, &path);
        if (status == MOE_OK && path == NULL) {
            status = moe_check_add_missing(check, rank, called);
        }
        free(path);
    }
    return status;
}

static moe_status_t count_elements(moe_check_t *check,
                                   const moe_golden_rank_t *rank,
                                   const char *path)
{
    moe_safetensors_t *file;
    moe_status_t status = moe_safetensors_open(path, &file);

    (void)rank;
    if (status == MOE_OK) {
        check->elements += moe_check_count(file);
        moe_safetensors_close(file);
    }
    return status;
}

/* The second run's file of a rank against the first's. */
static moe_status_t race_of_rank(moe_check_t *check,
                                 const moe_golden_rank_t *rank,
                                 const char *path)
{
    char *second = NULL;
    moe_status_t status =
        moe_check_got_path(check->command->more[1], rank, &second);

    if (status == MOE_OK && second != NULL) {
        status = moe_check_race(check, rank, path, second);
    }
    free(second);
    return status;
}

static bool range_fits(moe_range_t range, int64_t n)
{
    return range.begin >= 0 && range.begin <= range.end && range.end <= n;
}

/* The manifest against the scenario beside it. */
static moe_status_t check_golden(const moe_check_t *check)
{
    const moe_golden_t *g = &check->golden;
    const moe_scenario_t *s = check->scenario;
    const int64_t tokens = moe_layer_total_tokens(&s->layer);

    if (strcmp(g->digest, s->digest) != 0) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s: scenario.digest: is not that of %s/%s: the "
                        "scenario was changed, or another version wrote it",
                        g->path, g->folder, g->scenario);
    }
    if (g->seed != s->seed) {
        return moe_fail(MOE_ERR_INPUT, "%s: seed: is not the scenario's",
                        g->path);
    }
    for (size_t i = 0; i < g->n_ranks; i++) {
        if (!range_fits(g->rank[i].all_tokens, tokens) ||
            !range_fits(g->rank[i].experts, s->layer.model->experts)) {
            return moe_fail(MOE_ERR_INPUT,
                            "%s: ranks[%zu]: tokens or experts that the "
                            "scenario has not",
                            g->path, i);
        }
    }
    return MOE_OK;
}

static moe_status_t load(moe_check_t *check, moe_diag_t *diag)
{
    char *path;
    moe_status_t status = moe_golden_read(check->ref, diag, &check->golden);

    if (status != MOE_OK) {
        return status;
    }
    path = moe_strdup_printf("%s/%s", check->golden.folder,
                             check->golden.scenario);
    if (path == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a file name");
    }
    status = moe_scenario_load(path, NULL, 0, 0, diag, &check->scenario);
    free(path);
    check->accumulator = check->command->has_accumulator
                             ? check->command->accumulator
                             : check->golden.accumulator;
    if (status == MOE_OK) {
        status = check_golden(check);
    }
    if (status == MOE_OK) {
        status = moe_check_place_experts(check);
    }
    return status == MOE_OK ? moe_check_gate_make(check) : status;
}

/* What is judged is there; one file stands for one rank. */
static moe_status_t check_got(const moe_check_t *check)
{
    struct stat st;

    if (stat(check->got, &st) != 0) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s: %s, expected a file of a rank, or a folder of "
                        "them",
                        check->got, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode) && check->golden.n_ranks > 1 &&
        check->command->only_rank < 0) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s is one file and %s has %zu ranks: --only-rank N "
                        "says which it is of",
                        check->got, check->golden.path, check->golden.n_ranks);
    }
    return MOE_OK;
}

static moe_status_t judge_golden(moe_check_t *check, moe_diag_t *diag)
{
    int n = 0;
    moe_status_t status = load(check, diag);

    if (status == MOE_OK) {
        status = check_got(check);
    }
    if (status == MOE_OK) {
        status = each_rank(check, check->got, &n, count_elements);
    }
    if (status == MOE_OK && n == 0) {
        status = moe_fail(MOE_ERR_INPUT,
                          "%s has no file of a rank that is wanted, named as "
                          "in %s",
                          check->got, check->golden.path);
    }
    if (status == MOE_OK) {
        status = add_missing(check, check->got, "GOT");
    }
    if (status == MOE_OK && check->command->more[1] != NULL) {
        status = add_missing(check, check->command->more[1], "GOT2");
    }
    if (status == MOE_OK) {
        status = each_rank(check, check->got, &n, moe_check_rank);
    }
    if (status == MOE_OK && check->command->more[1] != NULL) {
        status = each_rank(check, check->got, &n, race_of_rank);
    }
    if (status == MOE_OK && json_array_size(check->findings) == 0) {
        status = each_rank(check, check->got, &n, moe_check_refuse);
    }
    return status;
}

static moe_status_t write_junit(const moe_check_t *check)
{
    moe_outfile_t *file;
    FILE *stream;
    moe_status_t status;

    if (check->command->junit == NULL) {
        return MOE_OK;
    }
    status = moe_outfile_open(check->command->junit, &file, &stream);
    if (status != MOE_OK) {
        return status;
    }
    moe_check_junit(check->document, stream);
    return moe_outfile_commit(file);
}

static moe_status_t report(moe_check_t *check)
{
    const moe_command_t *c = check->command;
    const bool only_json = c->json != NULL && strcmp(c->json, "-") == 0;
    moe_status_t status;

    moe_check_set_again(check);
    (void)json_object_set_new(check->document, "status",
                              json_string(check->good ? "good" : "bad"));
    status = moe_report_write_json(c, check->document);
    if (status == MOE_OK) {
        status = write_junit(check);
    }
    if (status == MOE_OK && !only_json && !c->quiet) {
        status = moe_check_terminal(check->document, moe_report_has_color(c),
                                    stdout);
    }
    return status;
}

static moe_status_t start(moe_check_t *check)
{
    check->document = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:[], s:[], s:[]}", "schema",
        "moesim-check-1", "moesim", PACKAGE_VERSION, "command", "check",
        "status", "?", "ref", check->ref, "got", check->got, "accumulator",
        moe_accumulator_name(check->accumulator), "warnings", "diagnosis",
        "findings");
    check->findings = json_object_get(check->document, "findings");
    return check->findings != NULL
               ? MOE_OK
               : moe_fail(MOE_ERR_INPUT, "file names that are no UTF-8");
}

static moe_status_t judge(moe_check_t *check, moe_diag_t *diag)
{
    moe_status_t status;

    if (check->ref == NULL || check->got == NULL) {
        return moe_fail(MOE_ERR_INPUT, "expected REF and GOT: a golden folder "
                                       "or a file, and what is to be judged");
    }
    if (moe_is_folder(check->ref) && !moe_golden_is(check->ref)) {
        return moe_fail(MOE_ERR_INPUT,
                        "%s: has no manifest.json, expected a golden folder, "
                        "as moesim golden writes it, or a file",
                        check->ref);
    }
    status = start(check);
    if (status == MOE_OK && moe_golden_is(check->ref) &&
        check->command->max_ulp >= 0) {
        status = moe_check_warn(check, "--max-ulp is for files without a "
                                       "manifest: a golden folder has bounds");
    }
    if (status == MOE_OK) {
        status = moe_golden_is(check->ref) ? judge_golden(check, diag)
                                           : moe_check_bare(check);
    }
    if (status == MOE_OK && !moe_golden_is(check->ref) &&
        check->command->more[1] != NULL) {
        status =
            moe_check_race(check, NULL, check->got, check->command->more[1]);
    }
    (void)json_object_set_new(
        check->document, "accumulator",
        json_string(moe_accumulator_name(check->accumulator)));
    return status == MOE_OK ? report(check) : status;
}

int moe_cmd_check(const moe_command_t *command)
{
    moe_diag_t *diag = moe_diag_create();
    moe_check_t check = {.command = command,
                         .ref = command->operand,
                         .got = command->more[0],
                         .accumulator = command->accumulator,
                         .good = true};
    moe_status_t status = diag == NULL
                              ? moe_fail(MOE_ERR_NOMEM, "out of memory")
                              : judge(&check, diag);
    int exit_status =
        status != MOE_OK ? moe_command_failed(diag, status) : !check.good;

    json_decref(check.document);
    moe_check_gate_free(check.gate);
    moe_check_places_free(check.places);
    moe_golden_fini(&check.golden);
    moe_scenario_free(check.scenario);
    moe_diag_free(diag);
    return exit_status;
}
