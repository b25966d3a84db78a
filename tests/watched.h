/* SPDX-License-Identifier: Apache-2.0 */
/* Two ranks of a run that the supervisor's parts look at; no rank is started,
 * they are this process. */
#ifndef TESTS_WATCHED_H
#define TESTS_WATCHED_H

#include "base/runstate.h"

extern char watched_folder[64];
extern moe_runstate_t *watched;
extern moe_runstate_t *watched_rank[2];

/* The folder of the run state, for each test. */
void watched_set_up(void);
void watched_tear_down(void);

/* Both have come, in "stage of rank 0" and "1"; and are gone. */
void watched_begin(void);
void watched_end(void);

#endif
