/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Numbers as scenario files write them: the whole text, in decimal.
 */
#ifndef SIM_SCENARIO_NUMBER_H
#define SIM_SCENARIO_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Whole numbers: an optional sign and digits. False, *value_p untouched,
 * if text is anything else or does not fit. */
bool moe_number_int64(const char *text, int64_t *value_p);
bool moe_number_uint64(const char *text, uint64_t *value_p);

/** A finite decimal number: 12, -0.5, 1.1e-6. No hexadecimal, infinity,
 * NaN, nor what overflows. */
bool moe_number_double(const char *text, double *value_p);

/** Shortest text that reads back as the same number. */
void moe_number_text(double value, char *out, size_t size);
void moe_number_text_float(float value, char *out, size_t size);

#endif
