/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/price/trace_file.h"

#include "base/leave.h"
#include "base/outfile.h"
#include "models/backend_meta.h"
#include "sim/report/head.h"
#include "sim/price/trace_json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct moe_trace_file {
    moe_outfile_t *out;
    FILE *stream;
};

/* The report's folder may be the place of the trace. */
static moe_status_t make_place(const moe_command_t *command)
{
    const char *folder = command->output;
    size_t n = folder != NULL ? strlen(folder) : 0;

    while (n > 1 && folder[n - 1] == '/') {
        n--;
    }
    return n > 0 && strncmp(command->trace, folder, n) == 0 &&
                   command->trace[n] == '/'
               ? moe_report_make_folder(folder)
               : MOE_OK;
}

/* The message of a stream that failed: path and reason. */
static moe_status_t told(moe_trace_file_t *file, moe_status_t status)
{
    if (status == MOE_ERR_IO && ferror(file->stream) != 0) {
        moe_outfile_t *out = file->out;

        moe_error_clear();
        file->out = NULL;
        return moe_outfile_commit(out);
    }
    return status;
}

moe_status_t moe_trace_file_open(const moe_command_t *command,
                                 moe_trace_file_t **file_p)
{
    moe_trace_file_t *file;
    moe_status_t status;

    *file_p = NULL;
    if (command->trace == NULL) {
        return MOE_OK;
    }
    if (strcmp(command->trace, "-") == 0 ||
        (command->json != NULL && strcmp(command->trace, command->json) == 0)) {
        return moe_fail(MOE_ERR_INPUT,
                        "--trace %s: expected a file, and not that of --json",
                        command->trace);
    }
    file = calloc(1, sizeof(*file));
    if (file == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for the trace");
    }
    status = make_place(command);
    if (status == MOE_OK) {
        moe_leave_clean();
        status = moe_outfile_open(command->trace, &file->out, &file->stream);
    }
    if (status == MOE_OK) {
        status = told(file, moe_trace_json_begin(file->stream));
    }
    if (status != MOE_OK) {
        moe_trace_file_abort(file);
        return status;
    }
    *file_p = file;
    return MOE_OK;
}

moe_status_t moe_trace_file_add(moe_trace_file_t *file,
                                const moe_scenario_t *scenario,
                                const moe_method_use_t *use,
                                const moe_routing_t *routing)
{
    moe_trace_json_t lines = {.stream = file->stream, .method = use->label};
    const moe_trace_sink_t sink = {.self = &lines,
                                   .record = moe_trace_json_record};

    return told(file, moe_meta_run(&scenario->layer, use, routing, NULL,
                                   (1u << MOE_STAGE_COUNT) - 1, &sink, NULL));
}

moe_status_t moe_trace_file_commit(moe_trace_file_t *file)
{
    moe_status_t status = MOE_OK;

    if (file != NULL) {
        status = moe_outfile_commit(file->out);
        free(file);
    }
    return status;
}

void moe_trace_file_abort(moe_trace_file_t *file)
{
    if (file != NULL) {
        moe_outfile_abort(file->out);
        free(file);
    }
}
