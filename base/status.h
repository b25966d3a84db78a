/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Status codes: what every function that can fail returns.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

typedef enum {
#define MOE_STATUS(id, exit, text) MOE_##id,
#include "base/status.def"
#undef MOE_STATUS
    MOE_STATUS_COUNT
} moe_status_t;

/** Text of a status; never NULL. */
const char *moe_status_text(moe_status_t status);

/** Exit status of the program that a status means: 0, 1, 2 or 3. */
int moe_status_exit(moe_status_t status);

/**
 * Record the process's first error message and return its status.
 *
 * The first to see an error says it, once, with the offending value; callers
 * only pass the status on. A later call keeps the first message. What cannot
 * be printed, in names from strangers, is escaped as \xNN.
 *
 * @param[in] status  Not MOE_OK.
 * @param[in] format  printf format of one line, without a newline.
 * @return status.
 */
moe_status_t moe_fail(moe_status_t status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** The recorded message, "" if none. Valid until moe_error_clear(). */
const char *moe_error_text(void);

/** Forget the recorded message. */
void moe_error_clear(void);

#endif
