/* SPDX-License-Identifier: Apache-2.0 */
/* A model and its precision as a scenario has them: --model, --set. */
#include "sim/op/op.h"

#include <stdlib.h>
#include <string.h>

bool moe_tool_is_scenario_key(const char *key)
{
    static const char *const roots[] = {"model", "precision"};

    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        size_t n = strlen(roots[i]);

        if (strncmp(key, roots[i], n) == 0 &&
            (key[n] == '.' || key[n] == '\0')) {
            return true;
        }
    }
    return false;
}

moe_scenario_t *moe_tool_scenario(moe_tool_job_t *job, int64_t tokens)
{
    const moe_command_t *c = job->command;
    moe_change_t *change = calloc(c->n_changes + 4, sizeof(*change));
    moe_scenario_t *scenario = NULL;
    char text[32];
    size_t n = 0;
    moe_status_t status;

    if (change == NULL) {
        job->status = moe_fail(MOE_ERR_NOMEM, "no memory for settings");
        return NULL;
    }
    (void)snprintf(text, sizeof(text), "%lld",
                   (long long)(tokens > 0 ? tokens : 1));
    change[n++] = (moe_change_t){"layout.ep", "1"};
    change[n++] = (moe_change_t){"workload.tokens", text};
    change[n++] = (moe_change_t){"methods", "[pad_allreduce]"};
    for (size_t i = 0; i < c->n_changes; i++) {
        if (moe_tool_is_scenario_key(c->change[i].path) ||
            strcmp(c->change[i].path, "seed") == 0) {
            change[n++] = c->change[i];
        }
    }
    status = moe_scenario_load(NULL, change, n, 0, job->diag, &scenario);
    if (status != MOE_OK && status != MOE_ERR_INPUT) {
        job->status = status;
    }
    free(change);
    return scenario;
}
