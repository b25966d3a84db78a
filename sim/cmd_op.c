/* SPDX-License-Identifier: Apache-2.0 */
/*
 * moesim op NAME --in A.safetensors --out B.safetensors: an operation of the
 * reference by itself.
 */
#include "sim/op/op.h"

#include "base/leave.h"
#include "base/outfile.h"
#include "base/safetensors_write.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *in;
    const char *out;
    const char *settings;
    const char *text;
    void (*run)(moe_tool_job_t *job);
} tools[MOE_OPTOOL_COUNT] = {
#define MOE_OPTOOL(id, name, in, out, settings, text)                          \
    [MOE_OPTOOL_##id] = {name, in, out, settings, text, moe_tool_##id},
#include "sim/op/op.def"
#undef MOE_OPTOOL
};

bool moe_tool_good(const moe_tool_job_t *job)
{
    return job->status == MOE_OK && moe_diag_count(job->diag) == 0;
}

/* Words of a text, wrapped at column 78, from column 6 on. */
static void print_wrapped(FILE *stream, const char *label, const char *text)
{
    int at = fprintf(stream, "      %-9s", label);

    while (*text != '\0') {
        int n = (int)strcspn(text, " ");

        if (at + 1 + n > 78) {
            at = fprintf(stream, "\n%*s", 15, "") - 1;
        }
        at += fprintf(stream, " %.*s", n, text);
        text += n;
        text += *text == ' ';
    }
    fputc('\n', stream);
}

void moe_tool_help(FILE *stream)
{
    fputs("\nOperations, with their arguments and shapes; [] are optional. "
          "Codes of 4 bits\nmay be F4 or pairs in U8, those of 8 bits U8; "
          "ARG.scale lies linear.\n",
          stream);
    for (int i = 0; i < MOE_OPTOOL_COUNT; i++) {
        fprintf(stream, "\n  %s\n", tools[i].name);
        print_wrapped(stream, "does", tools[i].text);
        print_wrapped(stream, "in", tools[i].in);
        print_wrapped(stream, "out", tools[i].out);
        if (tools[i].settings[0] != '\0') {
            print_wrapped(stream, "settings", tools[i].settings);
        }
    }
}

/* The operation of a name; a problem if there is none. */
static moe_optool_t find_tool(const char *name, moe_diag_t *diag)
{
    const char *names[MOE_OPTOOL_COUNT];
    const char *near;

    for (int i = 0; i < MOE_OPTOOL_COUNT; i++) {
        names[i] = tools[i].name;
        if (name != NULL && strcmp(name, names[i]) == 0) {
            return (moe_optool_t)i;
        }
    }
    near = name != NULL ? moe_nearest(name, names, MOE_OPTOOL_COUNT) : NULL;
    moe_diag_add(diag, NULL, 0, 0, NULL,
                 "'%s': %s%s%s; 'moesim op --help' lists operations",
                 name != NULL ? name : "", near != NULL ? "did you mean '" : "",
                 near != NULL ? near : "expected an operation",
                 near != NULL ? "'" : "");
    return MOE_OPTOOL_COUNT;
}

static void check_files(const moe_command_t *command, moe_diag_t *diag)
{
    if (command->in == NULL) {
        moe_diag_add(diag, NULL, 0, 0, "--in",
                     "is missing, expected a "
                     "safetensors file");
    }
    if (command->out == NULL) {
        moe_diag_add(diag, NULL, 0, 0, "--out",
                     "is missing, expected a file "
                     "name");
    } else if (command->in != NULL &&
               moe_is_same_file(command->in, command->out)) {
        moe_diag_add(diag, NULL, 0, 0, "--out",
                     "is the input '%s', which is never overwritten",
                     command->in);
    }
}

static moe_status_t write_results(const moe_tool_job_t *job)
{
    moe_safetensors_out_t *out;
    moe_status_t status = moe_safetensors_create(job->command->out, &out);

    if (status != MOE_OK) {
        return status;
    }
    for (size_t i = 0; status == MOE_OK && i < job->n_results; i++) {
        const moe_tool_result_t *r = &job->result[i];

        status =
            moe_safetensors_declare(out, r->name, r->dtype, r->ndim, r->dim);
    }
    for (size_t i = 0; status == MOE_OK && i < job->n_results; i++) {
        status =
            moe_safetensors_put(out, job->result[i].data, job->result[i].size);
    }
    if (status == MOE_OK) {
        return moe_safetensors_commit(out);
    }
    moe_safetensors_abort(out);
    return status;
}

/* An argument that --tensor names and the operation has not. */
static void check_tensors(const moe_tool_job_t *job)
{
    const moe_command_t *c = job->command;

    for (size_t i = 0; i < c->n_tensors; i++) {
        const char *arg = c->tensor[i].path;
        const size_t n = strcspn(arg, ".");
        char word[MOE_NAME_MAX];

        (void)snprintf(word, sizeof(word), "%.*s", (int)(n < 100 ? n : 100),
                       arg);
        if (strstr(tools[job->tool].in, word) == NULL &&
            strstr(tools[job->tool].out, word) == NULL &&
            job->tool != MOE_OPTOOL_moe_layer) {
            moe_diag_add(job->diag, NULL, 0, 0, "--tensor",
                         "'%s' is no argument of %s, expected those of: %s; %s",
                         arg, tools[job->tool].name, tools[job->tool].in,
                         tools[job->tool].out);
        }
    }
}

static void run(moe_tool_job_t *job)
{
    job->status = moe_safetensors_open(job->command->in, &job->in);
    if (job->status != MOE_OK) {
        return;
    }
    moe_tool_check_settings(job);
    check_tensors(job);
    tools[job->tool].run(job);
    if (moe_tool_good(job)) {
        job->status = write_results(job);
    }
}

static void job_fini(moe_tool_job_t *job)
{
    for (size_t i = 0; i < job->n_memory; i++) {
        free(job->memory[i]);
    }
    free(job->memory);
    moe_safetensors_close(job->in);
}

int moe_cmd_op(const moe_command_t *command)
{
    moe_tool_job_t job = {
        .command = command, .path = command->in, .diag = moe_diag_create()};
    int exit_status = 0;

    if (job.diag == NULL) {
        return moe_command_failed(
            NULL, moe_fail(MOE_ERR_NOMEM, "no memory for problems"));
    }
    moe_leave_clean();
    job.tool = find_tool(command->operand, job.diag);
    check_files(command, job.diag);
    if (moe_tool_good(&job)) {
        run(&job);
    }
    if (!moe_tool_good(&job)) {
        exit_status = moe_command_failed(
            job.diag, job.status != MOE_OK ? job.status : MOE_ERR_INPUT);
    }
    job_fini(&job);
    moe_diag_free(job.diag);
    return exit_status;
}
