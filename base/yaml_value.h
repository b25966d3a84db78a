/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Values of YAML scalars, by type. Nothing is guessed: what is no number of
 * the type, fully and exactly, is refused with the reason.
 *
 * All functions return NULL if the value is good, and else one sentence of
 * static text, as a message continues after the key path: "expected an
 * integer, found a list". Outputs are untouched then.
 */
#ifndef BASE_YAML_VALUE_H
#define BASE_YAML_VALUE_H

#include "base/yaml.h"

#include <stdbool.h>
#include <stdint.h>

/** Whether a node is null: nothing, ~ or null, not in quotes. */
bool moe_yaml_is_null(const moe_yaml_node_t *node);

/**
 * Decimal integer: 128, -1, +5. With an exponent or a point if it is whole:
 * 1e6, 1.5e3, 4.0. No leading zeros (octal to some), no underscores, no 0x.
 */
const char *moe_text_to_i64(const char *text, int64_t *value_p);

/** Decimal number: 1, 2.5, .5, 1e-6. Finite, and not so small that it is 0
 * though its digits are not. Independent of the locale. */
const char *moe_text_to_double(const char *text, double *value_p);

/** true or false. */
const char *moe_text_to_bool(const char *text, bool *value_p);

/** The same of nodes; a text in quotes is no number. */
const char *moe_yaml_i64(const moe_yaml_node_t *node, int64_t *value_p);
const char *moe_yaml_double(const moe_yaml_node_t *node, double *value_p);
const char *moe_yaml_bool(const moe_yaml_node_t *node, bool *value_p);

/** Text of a scalar that is not null; owned by the document. */
const char *moe_yaml_text(const moe_yaml_node_t *node, const char **text_p);

#endif
