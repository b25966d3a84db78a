/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Other calls than a method makes: the linker (--wrap) puts a probe between
 * the functions of moe/method.h and the place where each of their operations
 * becomes a record and goes to a backend. It sees them, lets two neighbours
 * that need nothing of each other change places, or does one twice.
 *
 * Operations are asynchronous to a method, so one may be done later; tensors
 * that are released meanwhile are kept until then.
 */
#ifndef TESTS_CALL_PROBE_H
#define TESTS_CALL_PROBE_H

#include "moe/ctx.h"

#define CALL_PROBE_MAX 128 /* operations of a method on a rank */

/** The operations of a method: the same on all ranks that were watched, so
 * that each changes the same ones. Tokens must be equal for that: padding is
 * an operation more. */
typedef struct {
    int n;
    moe_op_t op[CALL_PROBE_MAX];
    bool swaps[CALL_PROBE_MAX]; /* with the next */
    bool moves[CALL_PROBE_MAX]; /* a collective */
} call_probe_t;

/** Leave what follows as it is, and write it down (kept until the next). */
void call_probe_watch(call_probe_t *seen);

typedef enum {
    CALL_PROBE_NONE,
    CALL_PROBE_SWAP,  /* an operation and the next change places */
    CALL_PROBE_REPEAT /* an operation is done twice */
} call_probe_change_t;

/** Change operation number at of every rank's run that follows. */
void call_probe_change(call_probe_change_t change, int at);

#endif
