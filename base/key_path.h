/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Key paths as messages show them: workload.tokens[1], methods[0].dispatch.
 * A path that does not fit is cut.
 */
#ifndef BASE_KEY_PATH_H
#define BASE_KEY_PATH_H

#include <stddef.h>

#define MOE_KEY_PATH_SIZE 256 /* of a path's text */

/** Append a key of a map, at most 80 bytes of it. */
void moe_key_path_key(char *path, size_t size, const char *key);

/** Append a place in a list, from 0. */
void moe_key_path_item(char *path, size_t size, size_t i);

/** Append the parts of a path in which dots stand before places too, as
 * options give it: methods.0.dispatch. */
void moe_key_path_dotted(char *path, size_t size, const char *dotted);

#endif
