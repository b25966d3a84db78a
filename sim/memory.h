/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Memory of this host.
 */
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include <stdint.h>

/** Bytes that may still be used: of the machine, or of a control group of this
 * process if that is less. Negative if the system does not say. */
int64_t moe_memory_free(void);

/** The same of a system whose /proc and /sys lie in a folder. */
int64_t moe_memory_free_under(const char *root);

#endif
