/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The report document of run and price: what it says before its methods, and
 * where it goes. Fields: reports/schema.def.
 */
#ifndef SIM_REPORT_HEAD_H
#define SIM_REPORT_HEAD_H

#include "sim/options/command.h"

#include <jansson.h>

/**
 * A document with all but what was found: schema, version, command,
 * scenario, layout, model, machine, tokens, an empty warnings[] and an empty
 * methods[]; status is "ok".
 * @param[out] document_p  New reference. Untouched on error.
 */
moe_status_t moe_report_head(const moe_command_t *command,
                             const moe_scenario_t *scenario,
                             json_t **document_p);

/** Append a line to warnings[]. */
moe_status_t moe_report_warn(json_t *document, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Append a method's object (taken) to a list of methods, and its warnings,
 * each once, to the document's. */
moe_status_t moe_report_add_method(json_t *document, json_t *methods,
                                   json_t *method);

/** Append methods that `methods: all` left out, as refused. */
moe_status_t moe_report_add_left_out(const moe_scenario_t *scenario,
                                     json_t *methods);

/** Set `ours` and `ratio` of each of published[] that names a method. */
moe_status_t moe_report_compare_published(json_t *document);

/** tokens[] and tokens_total of a document or a point of a sweep. */
moe_status_t moe_report_set_tokens(json_t *object, const moe_layer_t *layer);

/**
 * Write a document where the command says: the table on stdout (unless
 * --quiet or --json -), --json, and report.json and report.md in a folder.
 *
 * A folder that holds a part of a report already is refused without --force.
 *
 * @param[in] folder  NULL for none.
 * @return MOE_OK; MOE_ERR_INPUT if refused; MOE_ERR_IO, MOE_ERR_NOMEM.
 */
moe_status_t moe_report_write(const moe_command_t *command, json_t *document,
                              const char *folder);

/** Name of the ledger's file in a report's folder. */
#define MOE_REPORT_LEDGER "ledger.jsonl"

/** What a report's folder holds, of a run the ledger too; ended by NULL. */
extern const char *const moe_report_parts[];

/** Name of the folder of reference tensors beside them, of `--golden`. */
#define MOE_REPORT_GOLDEN "golden"

/** MOE_OK if a folder may take this command's report, else MOE_ERR_INPUT: a
 * part is there, and no --force, or a golden folder that is none of ours.
 * To be asked before the work is done. */
moe_status_t moe_report_may_write(const moe_command_t *command,
                                  const char *folder);

/** Make a report's folder; the message says what a user can do.
 * @return MOE_OK; MOE_ERR_INPUT if a file has its name; MOE_ERR_IO. */
moe_status_t moe_report_make_folder(const char *folder);

/** Write report.md and report.json alone into a folder, made if need be,
 * whatever is there. */
moe_status_t moe_report_write_folder(json_t *document, const char *folder);

/** The last line on stdout, unless --quiet or --json -: the report's folder. */
void moe_report_say_folder(const moe_command_t *command, const char *folder);

/** MOE_ERR_INPUT with --strict if a document has warnings, else MOE_OK. */
moe_status_t moe_report_strict(const moe_command_t *command,
                               const json_t *document);

/** True with --json -: nothing else may go to stdout. */
bool moe_report_json_on_stdout(const moe_command_t *command);

/** True if what goes to stdout may have colour. */
bool moe_report_has_color(const moe_command_t *command);

/** MOE_OK if the file of --json can be written as far as can be known, and
 * neither it nor that of --trace is a file that is read; else MOE_ERR_IO,
 * MOE_ERR_INPUT. To be asked before the work is done. */
moe_status_t moe_report_may_write_json(const moe_command_t *command);

/** Write text documents of other verbs: --json FILE or -. */
moe_status_t moe_report_write_json(const moe_command_t *command,
                                   json_t *document);

#endif
