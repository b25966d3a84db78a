/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moesim price: the cost model alone, at every point of the sweep.
 */
#include "config.h"

#include "sim/options/command.h"

#include "reports/units.h"
#include "sim/launch/memory.h"
#include "sim/price/draws.h"
#include "sim/price/fits.h"
#include "sim/report/method_json.h"
#include "sim/report/head.h"
#include "sim/inputs/inputs.h"
#include "sim/price/selection.h"
#include "sim/report/sweep_json.h"
#include "sim/price/trace_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define PAIR_S 6e-9 /* a rank looks at another; measured at 65536 */
#define LONG_S 10.0 /* worth a word */

static double seconds(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Bytes that a point takes, roughly: routing, results of pairs of ranks, the
 * timeline. */
static double bytes_needed(const moe_scenario_t *scenario)
{
    double ranks = moe_layout_world(&scenario->layer.layout);
    double tokens = (double)moe_layer_total_tokens(&scenario->layer);
    double pairs = ranks > MOE_JSON_RANKS ? 0.0 : ranks * ranks * 256.0;

    return tokens * scenario->model.topk * 8.0 * moe_draws_count(scenario) +
           (double)scenario->n_methods * pairs + ranks * 65536.0;
}

static moe_status_t check_memory(const moe_command_t *command,
                                 const moe_scenario_t *scenario)
{
    double need = bytes_needed(scenario);
    int64_t limit =
        command->memory_limit > 0 ? command->memory_limit : moe_memory_free();
    char needed[MOE_UNIT_SIZE];
    char text[MOE_UNIT_SIZE];

    if (limit >= 0 && need > (double)limit) {
        return moe_fail(
            MOE_ERR_NOMEM,
            "pricing needs about %s, %s are %s: fewer tokens or ranks, or "
            "--memory-limit",
            moe_unit_bytes(need < 9e18 ? (int64_t)need : INT64_MAX, needed),
            moe_unit_bytes(limit, text),
            command->memory_limit > 0 ? "allowed" : "free");
    }
    return MOE_OK;
}

/* Plans look at all ranks, and every rank plans: said before, not after. */
static void tell_wait(const moe_command_t *command,
                      const moe_scenario_t *scenario)
{
    double ranks = moe_layout_world(&scenario->layer.layout);
    double seconds = ranks * ranks * PAIR_S * (double)scenario->n_methods *
                     moe_draws_count(scenario);

    if (seconds > LONG_S && !command->quiet) {
        fprintf(stderr, "moesim: pricing %.0f ranks: about %.0f s a point\n",
                ranks, seconds);
    }
}

/* What the scenario's rule takes: a prediction, so that a method which is not
 * there is a warning. */
static moe_status_t add_selection(const moe_scenario_t *scenario,
                                  const json_t *methods, json_t *document,
                                  json_t *into)
{
    json_t *selection = NULL;
    int chosen = -1;
    moe_status_t status =
        moe_selection_make(scenario, methods, &chosen, &selection);
    char name[MOE_SELECT_TEXT];

    if (status == MOE_OK && chosen < 0) {
        status = moe_report_warn(
            document, "select %s %s", moe_select_name(&scenario->select, name),
            json_string_value(json_object_get(selection, "reason")));
    }
    if (status != MOE_OK) {
        json_decref(selection);
        return status;
    }
    return moe_json_set(into, "selection", selection)
               ? MOE_OK
               : moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
}

/* One method, and its trace unless trace is NULL. */
static moe_status_t price_method(const moe_scenario_t *scenario,
                                 const moe_method_use_t *use,
                                 const moe_draws_t *draws,
                                 moe_trace_file_t *trace, json_t **method_p)
{
    int draw;
    moe_status_t status =
        moe_draws_price(scenario, use, draws, &draw, method_p);

    if (status == MOE_OK && trace != NULL &&
        json_object_get(*method_p, "refused") == NULL) {
        status =
            moe_trace_file_add(trace, scenario, use, &draws->routing[draw]);
        if (status != MOE_OK) {
            json_decref(*method_p);
        }
    }
    return status;
}

/* Every method of a scenario, appended to methods[] of an object. Points of a
 * sweep go without timeline, constants and trace. */
static moe_status_t price_methods(const moe_command_t *command,
                                  const moe_scenario_t *scenario, bool point,
                                  moe_trace_file_t *trace, json_t *document,
                                  json_t *into)
{
    json_t *methods = json_object_get(into, "methods");
    moe_draws_t draws = {0};
    moe_status_t status = check_memory(command, scenario);
    size_t i;

    tell_wait(command, scenario);
    if (status == MOE_OK) {
        status = moe_price_warn_memory(scenario, document);
    }
    if (status == MOE_OK) {
        status = moe_draws_init(scenario, &draws);
    }

    for (i = 0; i < scenario->n_methods && status == MOE_OK; ++i) {
        json_t *method = NULL;

        status = price_method(scenario, &scenario->method[i], &draws, trace,
                              &method);
        if (status == MOE_OK) {
            if (point) {
                (void)json_object_del(method, "timeline");
                (void)json_object_del(method, "constants");
            }
            status = moe_report_add_method(document, methods, method);
        }
    }
    moe_draws_fini(&draws);
    if (status == MOE_OK && scenario->select.kind != MOE_SELECT_none) {
        status = add_selection(scenario, methods, document, into);
    }
    if (status == MOE_OK) {
        status = moe_report_add_left_out(scenario, methods);
    }
    return status;
}

static moe_status_t price_point(const moe_command_t *command,
                                const moe_sweep_points_t *points, size_t i,
                                moe_diag_t *diag, json_t *document)
{
    moe_scenario_t *scenario = NULL;
    json_t *point = NULL;
    moe_status_t status;

    status = moe_sweep_load(command, points, i, diag, &scenario);
    if (status != MOE_OK) {
        return status;
    }
    status = moe_sweep_point_json(points, i, scenario, &point);
    if (status == MOE_OK) {
        status = price_methods(command, scenario, true, NULL, document, point);
        if (!moe_json_append(json_object_get(document, "sweep"), point)) {
            status = moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
        }
    }
    moe_scenario_free(scenario);
    return status;
}

static moe_status_t price_sweep(const moe_command_t *command,
                                const moe_scenario_t *scenario,
                                moe_diag_t *diag, json_t *document)
{
    moe_sweep_points_t points;
    moe_status_t status;
    size_t i;

    status = moe_sweep_points_init(command, scenario, &points);
    if (status != MOE_OK) {
        return status;
    }
    if (points.n_points > 0 && !moe_json_set(document, "sweep", json_array())) {
        status = moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
    }
    for (i = 0; i < points.n_points && status == MOE_OK; ++i) {
        status = price_point(command, &points, i, diag, document);
    }
    moe_sweep_points_fini(&points);
    return status;
}

/* What the process itself took, and what a reader must know. */
static moe_status_t finish(const moe_scenario_t *scenario, double start,
                           json_t *document)
{
    struct rusage usage = {0};
    moe_status_t status = MOE_OK;

    (void)getrusage(RUSAGE_SELF, &usage);
    if (!moe_json_set(document, "wall_s", json_real(seconds() - start)) ||
        !moe_json_set(document, "peak_rss_bytes",
                      json_integer((json_int_t)usage.ru_maxrss * 1024))) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
    }
    if (!moe_json_set(json_object_get(document, "routing"), "draws",
                      json_integer(moe_draws_count(scenario)))) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
    }
    if (scenario->router == MOE_ROUTER_data) {
        status = moe_report_warn(document,
                                 "routing was sampled, every expert equally "
                                 "likely: price does not compute it from data");
    }
    return status;
}

static moe_status_t price(const moe_command_t *command,
                          const moe_scenario_t *scenario, moe_diag_t *diag)
{
    double start = seconds();
    moe_trace_file_t *trace = NULL;
    json_t *document = NULL;
    moe_status_t status = MOE_OK;

    if (!scenario->has_machine) {
        return moe_fail(MOE_ERR_INPUT,
                        "the scenario has no machine to price on: give "
                        "--machine NAME, see 'moesim list machines'");
    }
    if (command->output != NULL) {
        status = moe_report_may_write(command, command->output);
    }
    if (status == MOE_OK) {
        status = moe_trace_file_open(command, &trace);
    }
    if (status == MOE_OK) {
        status = moe_report_head(command, scenario, &document);
    }
    if (status == MOE_OK) {
        status =
            price_methods(command, scenario, false, trace, document, document);
    }
    if (status == MOE_OK) {
        status = price_sweep(command, scenario, diag, document);
    }
    if (status == MOE_OK) {
        status = finish(scenario, start, document);
    }
    if (status == MOE_OK) {
        status = moe_report_compare_published(document);
    }
    if (status == MOE_OK) {
        status = moe_trace_file_commit(trace);
    } else {
        moe_trace_file_abort(trace);
    }
    if (status == MOE_OK) {
        status = moe_report_write(command, document, command->output);
    }
    if (status == MOE_OK) {
        status = moe_report_strict(command, document);
    }
    json_decref(document);
    return status;
}

static bool is_given(const moe_command_t *command, const char *key)
{
    size_t length = strlen(key);

    for (size_t k = 0; k < command->n_changes; ++k) {
        const char *path = command->change[k].path;

        if (strncmp(path, key, length) == 0 &&
            (path[length] == '.' || path[length] == '\0')) {
            return true;
        }
    }
    return false;
}

/* Options alone make a scenario only if they say all that has no default.
 * The layout has one, but it is rarely meant. */
static moe_status_t check_whole(const moe_command_t *command)
{
    static const struct {
        const char *key;
        const char *option;
        bool required;
    } needed[] = {{"model", "--model NAME", true},
                  {"machine", "--machine NAME", true},
                  {"workload", "--tokens N", true},
                  {"layout", "--ep N", false}};
    char missing[128] = "";
    bool whole = true;

    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); ++i) {
        size_t used = strlen(missing);

        if (!is_given(command, needed[i].key)) {
            whole = whole && !needed[i].required;
            (void)snprintf(missing + used, sizeof(missing) - used, "%s%s",
                           used > 0 ? ", " : "", needed[i].option);
        }
    }
    return whole ? MOE_OK
                 : moe_fail(MOE_ERR_INPUT,
                            "expected a SCENARIO.yaml, or options that make "
                            "one: %s%s missing",
                            missing,
                            strchr(missing, ',') != NULL ? " are" : " is");
}

int moe_cmd_price(const moe_command_t *command)
{
    moe_diag_t *diag = moe_diag_create();
    moe_scenario_t *scenario = NULL;
    moe_status_t status = MOE_OK;
    int exit_status = 0;

    if (diag == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "out of memory");
    } else if (command->operand == NULL) {
        status = check_whole(command);
    }
    if (status == MOE_OK) {
        status = moe_scenario_load(command->operand, command->change,
                                   command->n_changes, command->ranks, diag,
                                   &scenario);
    }
    if (status == MOE_OK) {
        status = command->print_scenario ? moe_scenario_print(scenario, stdout)
                                         : price(command, scenario, diag);
    }
    if (status != MOE_OK) {
        exit_status = moe_command_failed(diag, status);
    }
    moe_scenario_free(scenario);
    moe_diag_free(diag);
    return exit_status;
}
