/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Writes values as YAML that reads back as the same.
 */
#ifndef SIM_SCENARIO_YAML_PRINT_H
#define SIM_SCENARIO_YAML_PRINT_H

#include "base/yaml.h"

#include <stdio.h>

/** A text: plain where that is safe, else in double quotes. */
void moe_yaml_print_text(const char *text, FILE *stream);

/** A tree in flow style, on one line. */
void moe_yaml_print_node(const moe_yaml_node_t *node, FILE *stream);

#endif
