/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Numbers with a unit that fits, for people.
 */
#ifndef REPORTS_UNITS_H
#define REPORTS_UNITS_H

#include <stdint.h>

#define MOE_UNIT_SIZE 32

/** "4096 B", "28.0 MiB": below 10 KiB exact. */
const char *moe_unit_bytes(int64_t bytes, char out[MOE_UNIT_SIZE]);

/** "s" that makes a noun plural beside a number; "" for 1. */
const char *moe_unit_plural(int64_t n);

/** Microseconds as "12.3 us", "4.56 ms", "7.89 s". */
const char *moe_unit_us(double us, char out[MOE_UNIT_SIZE]);

#endif
