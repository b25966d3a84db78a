/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/oracle_order.h"

#include "ref/oracle_numbers.h"

#include <stdbool.h>

static double plus(moe_format_t format, double a, double b)
{
    return oracle_rounded(format, a + b);
}

/* The half of size / 2 in front, plus what follows it. */
static double tree(moe_format_t format, const double *x, int n, int size)
{
    const int half = size / 2;

    if (n == 1) {
        return x[0];
    }
    return n <= half ? tree(format, x, n, half)
                     : plus(format, tree(format, x, half, half),
                            tree(format, x + half, n - half, half));
}

static bool has_tree(int n)
{
    return n == 2 || n == 4 || n == 6 || n == 8 || n == 10 || n == 16 ||
           n == 22;
}

double oracle_fold(moe_order_t order, moe_format_t format, const double *x,
                   int n, int first)
{
    double sum = x[first];

    if ((order == MOE_ORDER_tree || order == MOE_ORDER_tree_storage) &&
        has_tree(n)) {
        return tree(format, x, n, 32);
    }
    if (order == MOE_ORDER_fp32_slot || order == MOE_ORDER_fp32_rank ||
        order == MOE_ORDER_storage || order == MOE_ORDER_storage_terms ||
        order == MOE_ORDER_expert || order == MOE_ORDER_fp32_expert) {
        sum += 0.0; /* begins with a zero */
    }
    for (int i = 1; i < n; i++) {
        sum = plus(format, sum, x[(first + i) % n]);
    }
    return sum;
}

moe_format_t oracle_adds_in(moe_order_t order, moe_format_t format)
{
    switch (order) {
    case MOE_ORDER_fp32_rank:
    case MOE_ORDER_fp32_slot:
    case MOE_ORDER_fp32_expert:
    case MOE_ORDER_storage_terms:
    case MOE_ORDER_tree:
        return MOE_FORMAT_fp32;
    case MOE_ORDER_expert: /* the rows' own, whatever they are summed to */
        return format == MOE_FORMAT_fp32 ? MOE_FORMAT_bf16 : format;
    default:
        return format;
    }
}

moe_format_t oracle_terms_in(moe_order_t order, moe_format_t format)
{
    return order == MOE_ORDER_storage_terms ? format
                                            : oracle_adds_in(order, format);
}
