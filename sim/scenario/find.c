/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A scenario by its name, as `moesim list scenarios` prints it.
 */
#include "config.h"

#include "sim/data/data.h"
#include "sim/scenario/parts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* True if there is something to read of this name: a file, a pipe. */
static bool is_readable(const char *path)
{
    struct stat st;

    /* what is there and cannot be reached is told by its reason */
    return stat(path, &st) == 0 ? !S_ISDIR(st.st_mode)
                                : errno == ELOOP || errno == EACCES;
}

/* The nearest name in any folder, into out; "" if none is near. */
static moe_status_t find_nearest(const char *name, char out[MOE_NAME_MAX])
{
    out[0] = '\0';
    for (size_t i = 0; moe_scenario_folders[i] != NULL && out[0] == '\0'; i++) {
        moe_names_t names;
        moe_status_t status =
            moe_data_list(NULL, moe_scenario_folders[i], &names);
        const char *near;

        if (status != MOE_OK) {
            return status;
        }
        near = moe_nearest(name, (const char *const *)names.name, names.n);
        if (near != NULL) {
            (void)snprintf(out, MOE_NAME_MAX, "%s", near);
        }
        moe_names_fini(&names);
    }
    return MOE_OK;
}

static moe_status_t unknown(const char *name, moe_diag_t *diag)
{
    char near[MOE_NAME_MAX];
    moe_status_t status = find_nearest(name, near);

    if (status != MOE_OK) {
        return status;
    }
    moe_diag_add(diag, NULL, 0, 0, "moesim",
                 "'%s': no such file, and no scenario of this name%s%s%s", name,
                 near[0] != '\0' ? "; did you mean '" : "",
                 near[0] != '\0' ? near : "; see 'moesim list scenarios'",
                 near[0] != '\0' ? "'?" : "");
    return MOE_ERR_INPUT;
}

moe_status_t moe_scenario_find(const char *given, moe_diag_t *diag,
                               char **path_p)
{
    char *path = NULL;

    if (strchr(given, '/') != NULL || is_readable(given)) {
        path = strdup(given);
    }
    for (size_t i = 0; path == NULL && strchr(given, '/') == NULL &&
                       moe_scenario_folders[i] != NULL;
         i++) {
        if (moe_data_find(NULL, moe_scenario_folders[i], given, &path) !=
            MOE_OK) {
            path = NULL;
        }
    }
    if (path == NULL) {
        return strchr(given, '/') == NULL
                   ? unknown(given, diag)
                   : moe_fail(MOE_ERR_NOMEM, "out of memory for a path");
    }
    *path_p = path;
    return MOE_OK;
}
