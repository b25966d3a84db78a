/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moesim doctor: is this installation sound?
 */
#include "config.h"

#include "sim/options/command.h"

#include "reports/table.h"
#include "sim/doctor/doctor.h"
#include "sim/report/method_json.h"
#include "sim/report/head.h"

#include <stdarg.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
    void (*look)(const moe_command_t *command, moe_finding_t *finding);
} looks[] = {
#define MOE_DOCTOR(id, text) {#id, text, moe_doctor_##id},
#include "sim/doctor/doctor.def"
#undef MOE_DOCTOR
};

#define LOOK_COUNT (sizeof(looks) / sizeof(looks[0]))

static const struct {
    const char *name;
    moe_style_t style;
} healths[] = {
    [MOE_HEALTH_ok] = {"ok", MOE_STYLE_good},
    [MOE_HEALTH_warning] = {"warning", MOE_STYLE_weak},
    [MOE_HEALTH_fail] = {"FAIL", MOE_STYLE_bad},
};

void moe_finding_set(moe_finding_t *finding, moe_health_t health,
                     const char *advice, const char *format, ...)
{
    va_list ap;

    finding->health = health;
    (void)snprintf(finding->advice, sizeof(finding->advice), "%s", advice);
    va_start(ap, format);
    (void)vsnprintf(finding->found, sizeof(finding->found), format, ap);
    va_end(ap);
}

static void print_advice(const moe_finding_t *findings)
{
    const char *gap = "\n";
    size_t i;

    for (i = 0; i < LOOK_COUNT; ++i) {
        if (findings[i].advice[0] != '\0') {
            printf("%s%s: %s\n", gap, looks[i].text, findings[i].advice);
            gap = "";
        }
    }
}

static moe_status_t print_table(const moe_command_t *command,
                                const moe_finding_t *findings)
{
    bool color = moe_report_has_color(command);
    moe_table_t *table = moe_table_create();
    moe_status_t status;
    size_t i;

    if (table == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a table");
    }
    moe_table_column(table, "", false);
    moe_table_column(table, "what", false);
    moe_table_column(table, "found", false);
    for (i = 0; i < LOOK_COUNT; ++i) {
        const moe_finding_t *f = &findings[i];

        moe_table_cell(table, healths[f->health].style, "%s",
                       healths[f->health].name);
        moe_table_cell(table, MOE_STYLE_plain, "%s", looks[i].text);
        moe_table_cell(table, MOE_STYLE_plain, "%s", f->found);
    }
    status = moe_table_text(table, color, stdout);
    moe_table_free(table);
    print_advice(findings);
    return status;
}

static json_t *make_document(const moe_finding_t *findings, bool sound)
{
    json_t *document;
    json_t *checks = json_array();
    json_t *warnings = json_array();
    size_t i;

    for (i = 0; i < LOOK_COUNT; ++i) {
        const moe_finding_t *f = &findings[i];

        (void)moe_json_append(
            checks, json_pack("{s:s, s:s, s:s, s:s}", "name", looks[i].name,
                              "state", healths[f->health].name, "found",
                              f->found, "advice", f->advice));
        if (f->health == MOE_HEALTH_warning) {
            (void)moe_json_append(warnings, json_string(f->found));
        }
    }
    document =
        json_pack("{s:s, s:s, s:s, s:s, s:O, s:O}", "schema", "moesim-doctor-1",
                  "moesim", PACKAGE_VERSION, "command", "doctor", "status",
                  sound ? "ok" : "something is broken", "warnings", warnings,
                  "checks", checks);
    json_decref(checks);
    json_decref(warnings);
    return document;
}

static moe_status_t report(const moe_command_t *command,
                           const moe_finding_t *findings, bool sound)
{
    bool only_json = command->json != NULL && strcmp(command->json, "-") == 0;
    json_t *document = make_document(findings, sound);
    moe_status_t status;

    if (document == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory in the report");
    }
    status = moe_report_write_json(command, document);
    json_decref(document);
    if (status == MOE_OK && !only_json && !command->quiet) {
        status = print_table(command, findings);
    }
    return status;
}

int moe_cmd_doctor(const moe_command_t *command)
{
    static moe_finding_t findings[LOOK_COUNT];
    moe_status_t status;
    bool sound = true;
    size_t i;

    for (i = 0; i < LOOK_COUNT; ++i) {
        looks[i].look(command, &findings[i]);
        sound = sound && findings[i].health != MOE_HEALTH_fail;
    }
    status = report(command, findings, sound);
    if (status != MOE_OK) {
        return moe_command_failed(NULL, status);
    }
    return sound ? 0 : 3;
}
