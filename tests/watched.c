/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/watched.h"

#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char watched_folder[64];
moe_runstate_t *watched;
moe_runstate_t *watched_rank[2];

void watched_set_up(void)
{
    (void)snprintf(watched_folder, sizeof(watched_folder),
                   "/tmp/check-watch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(watched_folder));
}

void watched_tear_down(void)
{
    ck_assert_int_eq(rmdir(watched_folder), 0);
}

void watched_begin(void)
{
    char path[80];

    (void)snprintf(path, sizeof(path), "%s/state", watched_folder);
    ck_assert_int_eq(moe_runstate_create(path, 2, &watched), MOE_OK);
    for (int r = 0; r < 2; r++) {
        ck_assert_int_eq(moe_runstate_open(path, r, &watched_rank[r]), MOE_OK);
        moe_runstate_stage(watched_rank[r], "stage of rank %d", r);
    }
    (void)unlink(path);
}

void watched_end(void)
{
    moe_runstate_close(watched_rank[0]);
    moe_runstate_close(watched_rank[1]);
    moe_runstate_close(watched);
}
