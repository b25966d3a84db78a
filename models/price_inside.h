/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Inside of a pricer: shared by price.c and price_result.c only.
 */
#ifndef MODELS_PRICE_INSIDE_H
#define MODELS_PRICE_INSIDE_H

#include "models/timeline.h"
#include "models/wire.h"

/** The bracket that a rank is in. */
typedef struct {
    int bracket; /* its number, 0 none */
    int at;      /* its node */
} open_t;

struct moe_price {
    const moe_machine_t *machine;
    moe_timeline_t timeline;
    open_t *open; /* [n_ranks] */
    /* format + 1 whose matrix rate was taken for a format without one */
    int widened[MOE_FORMAT_COUNT];
    int largest[MOE_TIERS_MAX]; /* group that met on a tier */
};

#endif
