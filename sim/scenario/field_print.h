/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Prints parts of a scenario by the table of keys. Inside sim/ only.
 */
#ifndef SIM_SCENARIO_FIELD_PRINT_H
#define SIM_SCENARIO_FIELD_PRINT_H

#include "sim/scenario/scenario.h"
#include "sim/scenario/schema.h"

typedef struct {
    FILE *stream;
    bool comments; /* false: the text of the digest */
} moe_printer_t;

/** End of a line; a comment with the reason where it is a default. */
void moe_print_why(const moe_printer_t *p, const moe_key_t *key,
                   bool is_standard);

/** A constant in flow style, and the end of its line. */
void moe_print_constant(const moe_printer_t *p, const moe_constant_t *constant);

/** All keys of a section that have a field; empty texts are left out. */
void moe_print_section(const moe_printer_t *p, int indent,
                       moe_section_t section, const void *object);

/** precision and methods. */
void moe_print_precision(const moe_printer_t *p, const moe_scenario_t *s);
void moe_print_methods(const moe_printer_t *p, const moe_scenario_t *s);

/** layout.placement; nothing in the digest's text if experts lie in order. */
void moe_print_placement(const moe_printer_t *p, const moe_scenario_t *s);

/** select; nothing in the digest's text if every method runs. */
void moe_print_select(const moe_printer_t *p, const moe_select_t *select);

#endif
