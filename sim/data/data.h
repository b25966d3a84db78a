/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Where models, machines and scenarios are found by name.
 *
 * Places, in order: beside the scenario, the folders of $MOESIM_PATH, the
 * source tree when run uninstalled, the installed data. In each, NAME means
 * FOLDER/NAME.yaml, or a file of FOLDER that lists NAME among its aliases;
 * names go before aliases.
 */
#ifndef SIM_DATA_DATA_H
#define SIM_DATA_DATA_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

/** Folders of scenarios, ended by NULL. */
extern const char *const moe_scenario_folders[];

/** Visits a place; true ends the search. */
typedef bool moe_data_visit_func_t(void *self, const char *place);

/** Visit all places in order. */
void moe_data_visit(const char *beside, moe_data_visit_func_t *visit,
                    void *self);

/**
 * Find a file by its name.
 *
 * @param[in]  beside  Folder of the scenario; NULL without.
 * @param[in]  folder  "models/moe", "models/machines", ...
 * @param[out] path_p  The file, owned by the caller. Untouched on error.
 * @return MOE_OK; MOE_ERR_INPUT without a message if there is none.
 */
moe_status_t moe_data_find(const char *beside, const char *folder,
                           const char *name, char **path_p);

/** Names in order of the alphabet, each once; aliases are none. */
typedef struct {
    size_t n;
    char **name; /* [n] */
} moe_names_t;

/** All names that moe_data_find() knows in a folder.
 * @param[out] names_p  Ended with moe_names_fini(). */
moe_status_t moe_data_list(const char *beside, const char *folder,
                           moe_names_t *names_p);
void moe_names_fini(moe_names_t *names);

#endif
