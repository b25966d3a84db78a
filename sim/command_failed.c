/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/options/command.h"

#include "sim/launch/failure.h"
#include "sim/launch/launch.h"

#include <time.h>

/* Ranks of a launcher fail alike before MPI starts. Rank 0 says so, and the
 * launcher ends the others; one that is still there has a fault of its own. */
static void let_rank_0_speak(void)
{
    const struct timespec while_ending = {3, 0};

    if (moe_launch_rank() > 0) {
        (void)nanosleep(&while_ending, NULL);
    }
}

static void print_all(const moe_diag_t *diag)
{
    const char *text;

    moe_diag_print(diag, stderr);
    for (size_t i = 0; (text = moe_diag_text(diag, i)) != NULL; i++) {
        moe_failure_keep(text);
    }
}

int moe_command_failed(const moe_diag_t *diag, moe_status_t status)
{
    let_rank_0_speak();
    if (diag != NULL && moe_diag_count(diag) > 0) {
        print_all(diag);
    } else if (moe_error_text()[0] != '\0') {
        moe_failure_say("%s", moe_error_text());
    } else {
        moe_failure_say("%s", moe_status_text(status));
    }
    return moe_status_exit(status);
}
