/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Memory of this host.
 */
#ifndef SIM_LAUNCH_MEMORY_H
#define SIM_LAUNCH_MEMORY_H

#include "base/status.h"

#include <stdint.h>

/** Bytes that may still be used: of the machine, or of a control group of this
 * process if that is less. Negative if the system does not say. */
int64_t moe_memory_free(void);

/** The same of a system whose /proc and /sys lie in a folder. */
int64_t moe_memory_free_under(const char *root);

/**
 * MOE_ERR_NOMEM if the address space that is allowed (ulimit -v) has no room
 * for the BLAS's buffers. OpenBLAS asks for a buffer a thread, again and again
 * until it has it, and waits for its threads at fork and exit (memory.c of
 * 0.3.21): without room this process would hang.
 */
moe_status_t moe_memory_allows_blas(void);

#endif
