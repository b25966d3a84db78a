/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/options/sweep.h"

#include <stdlib.h>
#include <string.h>

#define POINTS_MAX 4096

/* A key that an option sets wins over the file's sweep of it; a list in an
 * option makes a sweep itself. */
static bool is_swept(const moe_command_t *command, const char *key)
{
    bool set = false;
    size_t i;

    for (i = 0; i < command->n_changes; ++i) {
        if (strncmp(command->change[i].path, "sweep", strlen("sweep")) == 0) {
            return true;
        }
        set = set || strcmp(command->change[i].path, key) == 0;
    }
    return !set;
}

static moe_status_t add_key(moe_sweep_points_t *points,
                            const moe_sweep_t *sweep)
{
    size_t i = points->n_keys++;

    points->key[i] = sweep->path;
    points->value[i] = (const char *const *)sweep->value;
    points->count[i] = sweep->n;
    if (sweep->n > 0 && points->n_points > POINTS_MAX / sweep->n) {
        return moe_fail(MOE_ERR_RANGE, "the sweep has more than %d points",
                        POINTS_MAX);
    }
    points->n_points *= sweep->n;
    return MOE_OK;
}

bool moe_sweep_given(const moe_command_t *command)
{
    bool gave = false;

    for (size_t i = 0; i < command->n_changes; i++) {
        gave |= strcmp(command->change[i].path, "sweep") == 0;
    }
    return gave;
}

moe_status_t moe_sweep_points_init(const moe_command_t *command,
                                   const moe_scenario_t *scenario,
                                   moe_sweep_points_t *points_p)
{
    moe_sweep_points_t points = {.n_points = 1};
    size_t n = scenario->n_sweeps;
    moe_status_t status = MOE_OK;
    size_t i;

    points.key = calloc(n + 1, sizeof(*points.key));
    points.value = calloc(n + 1, sizeof(*points.value));
    points.count = calloc(n + 1, sizeof(*points.count));
    if (points.key == NULL || points.value == NULL || points.count == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "out of memory for a sweep");
    }
    for (i = 0; i < n && status == MOE_OK; ++i) {
        if (is_swept(command, scenario->sweep[i].path)) {
            status = add_key(&points, &scenario->sweep[i]);
        }
    }
    if (status != MOE_OK) {
        moe_sweep_points_fini(&points);
        return status;
    }
    if (points.n_keys == 0) {
        points.n_points = 0;
    }
    *points_p = points;
    return MOE_OK;
}

void moe_sweep_points_fini(moe_sweep_points_t *points)
{
    free((void *)points->key);
    free((void *)points->value);
    free(points->count);
    memset(points, 0, sizeof(*points));
}

const char *moe_sweep_value(const moe_sweep_points_t *points, size_t point,
                            size_t i)
{
    size_t k;

    for (k = points->n_keys; k-- > i + 1;) {
        point /= points->count[k];
    }
    return points->value[i][point % points->count[i]];
}

moe_status_t moe_sweep_load(const moe_command_t *command,
                            const moe_sweep_points_t *points, size_t point,
                            moe_diag_t *diag, moe_scenario_t **scenario_p)
{
    size_t n = command->n_changes;
    moe_change_t *changes = calloc(n + points->n_keys, sizeof(*changes));
    moe_status_t status;
    size_t i;

    if (changes == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a sweep");
    }
    for (i = 0; i < n; ++i) {
        changes[i] = command->change[i];
    }
    for (i = 0; i < points->n_keys; ++i) {
        changes[n + i] =
            (moe_change_t){points->key[i], moe_sweep_value(points, point, i)};
    }
    status = moe_scenario_load(command->operand, changes, n + points->n_keys,
                               command->ranks, diag, scenario_p);
    free(changes);
    return status;
}
