/* SPDX-License-Identifier: Apache-2.0 */
/* Signals that end a run: by a user, a terminal, a batch system's limit. */
#include "config.h"

#include "sim/launch/supervise_parts.h"

#include <signal.h>
#include <string.h>

static const int signals[] = {SIGINT,  SIGTERM, SIGHUP, SIGQUIT,
                              SIGXCPU, SIGUSR1, SIGUSR2};

enum {
    ENDING = sizeof(signals) / sizeof(signals[0])
};

static volatile sig_atomic_t asked_by;
static struct sigaction old[ENDING];

static void on_signal(int number)
{
    asked_by = number;
}

void moe_signals_catch(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof(action));
    action.sa_handler = on_signal;
    (void)sigemptyset(&action.sa_mask);
    asked_by = 0;
    for (int i = 0; i < ENDING; i++) {
        (void)sigaction(signals[i], &action, &old[i]);
    }
}

void moe_signals_release(void)
{
    for (int i = 0; i < ENDING; i++) {
        (void)sigaction(signals[i], &old[i], NULL);
    }
}

int moe_signals_asked(void)
{
    return (int)asked_by;
}
