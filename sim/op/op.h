/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * `moesim op NAME`: an operation of the reference on somebody's own tensors.
 *
 * An operation asks for its settings and tensors; what is wrong with them is
 * added to one list, so that all of it is told at once. If nothing is, it
 * computes and puts its results, which are written when it has returned.
 */
#ifndef SIM_OP_OP_H
#define SIM_OP_OP_H

#include "base/safetensors.h"
#include "moe/model.h"
#include "ref/rows.h"
#include "sim/options/command.h"

#include <stdbool.h>

typedef enum {
#define MOE_OPTOOL(id, name, in, out, settings, text) MOE_OPTOOL_##id,
#include "sim/op/op.def"
#undef MOE_OPTOOL
    MOE_OPTOOL_COUNT
} moe_optool_t;

enum {
    MOE_TOOL_RESULTS = 48
};

/** A tensor to be written; data live as long as the job. */
typedef struct {
    char name[MOE_NAME_MAX];
    moe_dtype_t dtype;
    int ndim;
    int64_t dim[MOE_SAFETENSORS_DIMS];
    const void *data;
    int64_t size;
} moe_tool_result_t;

/** An operation at work. */
typedef struct {
    const moe_command_t *command;
    moe_optool_t tool;
    moe_diag_t *diag;
    moe_safetensors_t *in;
    const char *path;    /* of it */
    moe_status_t status; /* of what is no problem of the input */
    void **memory;       /* [n_memory] freed at the end */
    size_t n_memory;
    moe_tool_result_t result[MOE_TOOL_RESULTS];
    size_t n_results;
} moe_tool_job_t;

/** True as long as nothing was wrong. */
bool moe_tool_good(const moe_tool_job_t *job);

/** Memory that lives as long as the job; NULL, and no longer good, if there
 * is none. */
void *moe_tool_memory(moe_tool_job_t *job, int64_t n, int64_t size);

/** Rows in such memory, with linear scales. */
bool moe_tool_rows_new(moe_tool_job_t *job, const moe_storage_t *storage,
                       int64_t rows, int64_t cols, moe_rows_t *rows_p);

/* sim/op/settings.c */

/** Text of a setting, --set KEY=VALUE; NULL if it is not given. */
const char *moe_tool_setting(const moe_tool_job_t *job, const char *key);

/** Add a problem of a setting or an option. */
void moe_tool_wrong(moe_tool_job_t *job, const char *key, const char *format,
                    ...) __attribute__((format(printf, 3, 4)));

/** Whole number from least to most; standard if it is not given. */
int64_t moe_tool_number(moe_tool_job_t *job, const char *key, int64_t least,
                        int64_t most, int64_t standard);

/** Finite number above 0; standard if it is not given, or is another. */
float moe_tool_positive(moe_tool_job_t *job, const char *key, float standard);

/** Place of a setting's word among n names; standard if it is not given. */
int moe_tool_choice(moe_tool_job_t *job, const char *key, int n,
                    const char *(*name)(int i), int standard);

/** Format of --to or --from; a problem unless it is given or standard is not
 * MOE_FORMAT_COUNT. */
moe_format_t moe_tool_format(moe_tool_job_t *job, const char *option,
                             const char *given, moe_format_t standard);

/** Storage of a format: profile of --profile, and the global scale of the
 * setting or tensor global_scale where the format has one. */
moe_storage_t moe_tool_storage(moe_tool_job_t *job, moe_format_t format);

/** Check that all settings are those of the operation. */
void moe_tool_check_settings(moe_tool_job_t *job);

/* sim/op/tensor.c */

/** Name in the file of an argument: --tensor ARG=NAME, else itself. */
const char *moe_tool_name(const moe_tool_job_t *job, const char *arg);

/** The tensor of an argument; NULL, and a problem if it is wanted. */
const moe_safetensor_t *moe_tool_find(moe_tool_job_t *job, const char *arg,
                                      bool wanted, const char *expected);

/** Add a problem: what a tensor is, and what was expected. */
void moe_tool_refuse(moe_tool_job_t *job, const moe_safetensor_t *t,
                     const char *expected);

/** The same of one of its integers, number i: a row and slot of [n][k]. */
void moe_tool_refuse_value(moe_tool_job_t *job, const moe_safetensor_t *t,
                           int64_t i, int64_t value, const char *expected);

/** Refuse a tensor of an argument, if there is one: the format takes no global
 * scale. */
void moe_tool_no_global(moe_tool_job_t *job, const char *arg,
                        moe_format_t format);

/** A tensor as rows of a storage, scales beside it; rows and cols -1: any. A
 * float format may turn out as another one. False if there is none. */
bool moe_tool_rows(moe_tool_job_t *job, const char *arg,
                   const moe_storage_t *storage, int64_t rows, int64_t cols,
                   bool wanted, moe_rows_t *rows_p);

/** A tensor of one element type, as it is. n -1: any number of elements. */
void *moe_tool_data(moe_tool_job_t *job, const char *arg, moe_dtype_t dtype,
                    int64_t n, bool wanted);

/** Integers, I32 or I64, n of them unless -1. */
int64_t *moe_tool_integers(moe_tool_job_t *job, const char *arg, int64_t n,
                           int64_t *n_p);

/** Results. dim of the tensor, or [rows][cols]. */
void moe_tool_put(moe_tool_job_t *job, const char *arg, moe_dtype_t dtype,
                  int ndim, const int64_t *dim, const void *data);
void moe_tool_put_list(moe_tool_job_t *job, const char *arg, moe_dtype_t dtype,
                       int64_t n, const void *data);

/** Rows, with their scales; shaped as `like` but for the last dimension,
 * unless that is NULL. */
void moe_tool_put_rows(moe_tool_job_t *job, const char *arg,
                       const moe_rows_t *rows, const moe_safetensor_t *like);

/* sim/op/model.c */

/** The scenario that --model and settings mean, for tokens tokens on one
 * rank; NULL if they are wrong. Owned by the caller. */
moe_scenario_t *moe_tool_scenario(moe_tool_job_t *job, int64_t tokens);

/** True if a key is one of a scenario's model or precision. */
bool moe_tool_is_scenario_key(const char *key);

/** Print the operations with their arguments, for help. */
void moe_tool_help(FILE *stream);

#define MOE_OPTOOL(id, name, in, out, settings, text)                          \
    void moe_tool_##id(moe_tool_job_t *job);
#include "sim/op/op.def"
#undef MOE_OPTOOL

#endif
