/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What `moesim doctor` looks at, and what it found.
 */
#ifndef SIM_DOCTOR_DOCTOR_H
#define SIM_DOCTOR_DOCTOR_H

#include "sim/options/command.h"

#include <stddef.h>

typedef enum {
    MOE_HEALTH_ok,
    MOE_HEALTH_warning,
    MOE_HEALTH_fail
} moe_health_t;

#define MOE_DOCTOR_TEXT 768

/** What one look found. */
typedef struct {
    moe_health_t health;
    char found[MOE_DOCTOR_TEXT];
    char advice[MOE_DOCTOR_TEXT]; /* what to do; "" if nothing */
} moe_finding_t;

/** Set a finding: what was found, and what to do about it. */
void moe_finding_set(moe_finding_t *finding, moe_health_t health,
                     const char *advice, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define MOE_DOCTOR(id, text)                                                   \
    void moe_doctor_##id(const moe_command_t *command, moe_finding_t *finding);
#include "sim/doctor/doctor.def"
#undef MOE_DOCTOR

/**
 * Products of whole numbers by BLAS and by plain loops, on awkward shapes,
 * in double and float, all transposes, into memory full of NaN.
 * @param[out] why  [size] the first difference.
 * @return Number of products tested; negative if one differs.
 */
long moe_blas_test(char *why, size_t size);

/**
 * Run this program again and read its stdout.
 *
 * @param[in]  argv      Ended by NULL.
 * @param[in]  variable  NAME=VALUE for its environment; NULL: none.
 * @param[out] out       [size] what it printed, ended by a NUL.
 * @return exit status; 128 + signal if it was killed; -1 if it could not be
 *         started or took longer than a minute.
 */
int moe_doctor_child(char *const *argv, char *variable, char *out, size_t size);

#endif
