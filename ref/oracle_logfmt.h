/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The oracle's own LogFMT-10 (ref/oracle_quantize.h asks it).
 */
#ifndef REF_ORACLE_LOGFMT_H
#define REF_ORACLE_LOGFMT_H

#include <stdint.h>

/** x [n] bf16 values, whole groups of 128: becomes what its codes say. */
void oracle_logfmt(double *x, int64_t n);

#endif
