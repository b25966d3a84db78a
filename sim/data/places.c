/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/data/data.h"

#include <stdlib.h>
#include <string.h>

const char *const moe_scenario_folders[] = {
    "scenarios/seeds", "scenarios/tutorial", "scenarios/planning", NULL};

/* True if this program runs from the folder that it was built in. */
static bool is_uninstalled(void)
{
#if defined(MOESIM_BUILD_DIR) && defined(MOESIM_SOURCE_DIR)
    char *self = realpath("/proc/self/exe", NULL);
    char *build = realpath(MOESIM_BUILD_DIR, NULL);
    bool inside = self != NULL && build != NULL &&
                  strncmp(self, build, strlen(build)) == 0 &&
                  self[strlen(build)] == '/';

    free(self);
    free(build);
    return inside;
#else
    return false;
#endif
}

static bool visit_path(const char *list, moe_data_visit_func_t *visit,
                       void *self)
{
    char *copy = list == NULL ? NULL : strdup(list);
    char *save = NULL;
    bool done = false;

    if (copy == NULL) {
        return false;
    }
    for (char *folder = strtok_r(copy, ":", &save); folder != NULL && !done;
         folder = strtok_r(NULL, ":", &save)) {
        done = visit(self, folder);
    }
    free(copy);
    return done;
}

void moe_data_visit(const char *beside, moe_data_visit_func_t *visit,
                    void *self)
{
    if (beside != NULL && visit(self, beside)) {
        return;
    }
    if (visit_path(getenv("MOESIM_PATH"), visit, self)) {
        return;
    }
#ifdef MOESIM_SOURCE_DIR
    if (is_uninstalled() && visit(self, MOESIM_SOURCE_DIR)) {
        return;
    }
#else
    (void)is_uninstalled;
#endif
#ifdef MOESIM_DATADIR
    (void)visit(self, MOESIM_DATADIR);
#endif
}
