/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What tests of scenarios share.
 */
#ifndef TESTS_SCENARIOS_H
#define TESTS_SCENARIOS_H

#include "sim/scenario/scenario.h"

/** A file of the source tree with changes; fails the test if it has
 * problems. Ended with moe_scenario_free(). */
moe_scenario_t *moe_load_good(const char *path, const moe_change_t *changes,
                              size_t n, int ranks);

/** Problems of a file with changes, one a line; "" if there are none. Freed
 * by the caller. */
char *moe_load_bad(const char *path, const moe_change_t *changes, size_t n,
                   int ranks);

/** What moe_scenario_print() prints. Freed by the caller. */
char *moe_print_to_text(const moe_scenario_t *scenario);

/** A new file in a new folder, with this text; removed by moe_drop_file(). */
char *moe_make_file(const char *name, const void *text, size_t size);
void moe_drop_file(char *path);

#endif
