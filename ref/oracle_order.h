/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * The orders of moe/order.def as the oracle folds them.
 */
#ifndef REF_ORACLE_ORDER_H
#define REF_ORACLE_ORDER_H

#include "moe/chain.h"

/** The format in which an order adds. */
moe_format_t oracle_adds_in(moe_order_t order, moe_format_t format);

/** And to which it rounds the terms first. */
moe_format_t oracle_terms_in(moe_order_t order, moe_format_t format);

/** n addends made one, the ring's from place first on; not yet cast. */
double oracle_fold(moe_order_t order, moe_format_t format, const double *x,
                   int n, int first);

#endif
