/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Outputs of methods as they wait in scratch files.
 */
#ifndef SIM_RUN_OUTPUT_H
#define SIM_RUN_OUTPUT_H

#include "sim/run/job.h"

#include <stdio.h>

/** Bytes of one output row. */
size_t moe_output_row_bytes(const moe_job_t *job);

/** Rows of this rank's output of a method. */
int64_t moe_output_own_rows(const moe_job_t *job, size_t method);

/** This rank's output of a method, for reading; NULL with a message. */
FILE *moe_output_open(const moe_job_t *job, size_t method);

/** Read the next row. */
moe_status_t moe_output_row(const moe_job_t *job, FILE *file, void *row);

/** The first method that computes, with which others are compared; false if
 * none does. */
bool moe_output_first(const moe_job_t *job, size_t *first_p);

/** Outputs of all tokens against that method's: fills job->found[].to_first. */
moe_status_t moe_output_differences(moe_job_t *job);

/** Outputs against the oracle's: fills job->found[].oracle. */
moe_status_t moe_output_oracle(moe_job_t *job);

#endif
