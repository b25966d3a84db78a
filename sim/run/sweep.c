/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/sweep.h"

#include "base/outfile.h"
#include "base/text.h"
#include "sim/report/head.h"
#include "sim/report/sweep_json.h"

#include <stdlib.h>
#include <string.h>

static moe_status_t no_memory(void)
{
    return moe_fail(MOE_ERR_NOMEM, "no memory for a sweep");
}

/* A command line of its own for a point: the words without --sweep all, and
 * the point's values last. Words that were added are owned. */
typedef struct {
    char **word; /* ended by NULL */
    int n;
    int first_owned;
} line_t;

static void line_fini(line_t *line)
{
    for (int i = line->first_owned; i < line->n; i++) {
        free(line->word[i]);
    }
    free(line->word);
}

static void copy_words(const moe_command_t *command, line_t *line)
{
    for (int i = 0; i < command->argc; i++) {
        const char *word = command->argv[i];

        if (strcmp(word, "--sweep") == 0) {
            i++;
        } else if (strncmp(word, "--sweep=", 8) != 0) {
            line->word[line->n++] = command->argv[i];
        }
    }
    line->first_owned = line->n;
}

static moe_status_t line_init(const moe_command_t *command,
                              const moe_sweep_points_t *points, size_t point,
                              line_t *line)
{
    line->word =
        calloc((size_t)command->argc + points->n_keys + 1, sizeof(*line->word));
    if (line->word == NULL) {
        return no_memory();
    }
    copy_words(command, line);
    for (size_t k = 0; k < points->n_keys; k++) {
        char *word = moe_strdup_printf("--set=%s=%s", points->key[k],
                                       moe_sweep_value(points, point, k));

        if (word == NULL) {
            line_fini(line);
            return no_memory();
        }
        line->word[line->n++] = word;
    }
    return MOE_OK;
}

/* Methods of a point's own report into the joined one. The head of the
 * first is the head of all. */
static moe_status_t join_point(const char *folder, json_t *point,
                               json_t **document_p)
{
    char *path = moe_strdup_printf("%s/report.json", folder);
    json_error_t error;
    json_t *own = path == NULL ? NULL : json_load_file(path, 0, &error);
    int bad = 0;

    if (own == NULL) {
        free(path);
        return moe_fail(MOE_ERR_IO, "%s/report.json cannot be read", folder);
    }
    free(path);
    bad |= json_object_set(point, "methods", json_object_get(own, "methods"));
    if (json_object_get(own, "selection") != NULL) {
        bad |= json_object_set(point, "selection",
                               json_object_get(own, "selection"));
    }
    if (*document_p == NULL) {
        *document_p = json_copy(own);
        bad |= *document_p == NULL;
        bad |= json_object_set_new(*document_p, "methods", json_array());
        bad |= json_object_set_new(*document_p, "sweep", json_array());
        (void)json_object_del(*document_p, "selection");
    }
    bad |= json_array_append(json_object_get(*document_p, "sweep"), point);
    json_decref(own);
    return bad != 0 ? no_memory() : MOE_OK;
}

/* What a sweep is run with. */
typedef struct {
    const moe_command_t *command;
    const moe_sweep_points_t *points;
    const char *folder;
    moe_run_point_func_t *run_point;
    moe_diag_t *diag;
    json_t *document;
    int exit_status; /* of a point that failed, already told */
} sweep_t;

static moe_status_t run_and_join(sweep_t *s, size_t i, moe_scenario_t *scenario,
                                 const char *folder)
{
    moe_command_t command = *s->command;
    json_t *point = NULL;
    line_t line = {0};
    moe_status_t status = line_init(s->command, s->points, i, &line);

    if (status != MOE_OK) {
        return status;
    }
    command.argv = line.word;
    command.argc = line.n;
    command.sweep_all = false;
    command.quiet = true;
    command.json = NULL;
    s->exit_status = s->run_point(&command, scenario, folder);
    line_fini(&line);
    if (s->exit_status != 0) {
        return MOE_OK;
    }
    status = moe_sweep_point_json(s->points, i, scenario, &point);
    if (status == MOE_OK) {
        status = join_point(folder, point, &s->document);
    }
    json_decref(point);
    return status;
}

static moe_status_t run_point(sweep_t *s, size_t i)
{
    char *folder = moe_strdup_printf("%s/point-%zu", s->folder, i);
    moe_scenario_t *scenario = NULL;
    moe_status_t status;

    if (folder == NULL) {
        return no_memory();
    }
    status = moe_sweep_load(s->command, s->points, i, s->diag, &scenario);
    if (status == MOE_OK) {
        status = run_and_join(s, i, scenario, folder);
    }
    moe_scenario_free(scenario);
    free(folder);
    return status;
}

static moe_status_t run_points(sweep_t *s)
{
    moe_status_t status = MOE_OK;

    if (s->points->n_points == 0) {
        return moe_fail(MOE_ERR_INPUT,
                        "--sweep all: the scenario has no sweep");
    }
    for (size_t i = 0;
         status == MOE_OK && s->exit_status == 0 && i < s->points->n_points;
         i++) {
        status = run_point(s, i);
    }
    if (status == MOE_OK && s->exit_status == 0) {
        status = moe_report_compare_published(s->document);
    }
    if (status == MOE_OK && s->exit_status == 0) {
        status = moe_report_write(s->command, s->document, s->folder);
    }
    return status;
}

int moe_run_sweep(const moe_command_t *command, const moe_scenario_t *scenario,
                  const char *folder, moe_run_point_func_t *run_point_func)
{
    moe_sweep_points_t points;
    sweep_t s = {.command = command,
                 .points = &points,
                 .folder = folder,
                 .run_point = run_point_func,
                 .diag = moe_diag_create()};
    moe_status_t status;

    if (s.diag == NULL) {
        return moe_command_failed(NULL, no_memory());
    }
    status = moe_report_may_write(command, folder);
    if (status == MOE_OK) {
        status = moe_sweep_points_init(command, scenario, &points);
    }
    if (status == MOE_OK) {
        status = run_points(&s);
        moe_sweep_points_fini(&points);
    }
    if (status != MOE_OK) {
        s.exit_status = moe_command_failed(s.diag, status);
    }
    json_decref(s.document);
    moe_diag_free(s.diag);
    return s.exit_status;
}
