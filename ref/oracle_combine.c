/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over a token's experts, one element at a time, as plainly as their
 * definitions in doc/numerics.md read. */
#include "ref/oracle_combine.h"

#include "ref/oracle_numbers.h"

#include <stdlib.h>

/* One element's way through the orders. */
typedef struct {
    const oracle_terms_t *t;
    const moe_chain_t *chain;
    int64_t col;
    moe_format_t combine;
} element_t;

static double weight_of(const element_t *e, int slot)
{
    return e->chain->contract.weigh == MOE_WEIGH_input
               ? 1.0
               : (double)e->t->token->weights[slot];
}

/* What an expert, or a part of one, returns. */
static int64_t place_of(const element_t *e, int part, int slot)
{
    const moe_model_t *m = e->t->oracle->layer->model;

    return ((int64_t)part * m->topk + slot) * m->hidden + e->col;
}

/* The exact sum, rounded once to output. */
static double sum_exactly(const element_t *e, moe_format_t format)
{
    const int topk = e->t->oracle->layer->model->topk;
    mpfr_t x;

    mpfr_init2(x, ORACLE_BITS);
    mpfr_set_zero(e->t->sum, 1);
    for (int i = 0; i < e->t->parts * topk; i++) {
        int64_t at = place_of(e, i / topk, i % topk);

        mpfr_set_d(x, e->t->term[at], MPFR_RNDN);
        mpfr_add_d(x, x, e->t->rest[at], MPFR_RNDN);
        mpfr_mul_d(x, x, weight_of(e, i % topk), MPFR_RNDN);
        mpfr_add(e->t->sum, e->t->sum, x, MPFR_RNDN);
    }
    mpfr_clear(x);
    return oracle_round_sum(e->t->sum, format);
}

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

/* Fold n addends, the ring's from place first on; not yet cast. */
static double fold(moe_order_t order, moe_format_t format, const double *x,
                   int n, int first)
{
    double sum = x[first];

    if ((order == MOE_ORDER_tree || order == MOE_ORDER_tree_storage) &&
        has_tree(n)) {
        return tree(format, x, n, 32);
    }
    if (order == MOE_ORDER_fp32_slot || order == MOE_ORDER_fp32_rank ||
        order == MOE_ORDER_storage) {
        sum += 0.0; /* begins with a zero */
    }
    for (int i = 1; i < n; i++) {
        sum = plus(format, sum, x[(first + i) % n]);
    }
    return sum;
}

/* The format in which an order adds. */
static moe_format_t adds_in(moe_order_t order, moe_format_t format)
{
    switch (order) {
    case MOE_ORDER_fp32_rank:
    case MOE_ORDER_fp32_slot:
    case MOE_ORDER_tree:
        return MOE_FORMAT_fp32;
    default:
        return format;
    }
}

/* RN32(weight x value); what came unrounded is an fp32 accumulator. */
static double term_of(const element_t *e, int part, int slot)
{
    int64_t at = place_of(e, part, slot);

    mpfr_set_d(e->t->sum, e->t->term[at], MPFR_RNDN);
    mpfr_add_d(e->t->sum, e->t->sum, e->t->rest[at], MPFR_RNDN);
    return (double)oracle_product(weight_of(e, slot),
                                  oracle_round_sum(e->t->sum, MOE_FORMAT_fp32));
}

/* Exact sum of the terms of some slots, or of partial sums. */
static double fold_exactly(const element_t *e, const double *x, int n)
{
    mpfr_set_zero(e->t->sum, 1);
    for (int i = 0; i < n; i++) {
        mpfr_add_d(e->t->sum, e->t->sum, x[i], MPFR_RNDN);
    }
    return oracle_round_sum(e->t->sum, e->combine);
}

/* Place of the rank of its ep group that holds an expert. */
static int holder(const element_t *e, int32_t expert)
{
    const moe_layer_t *layer = e->t->oracle->layer;
    int r = 0;

    while (expert >=
           moe_layout_experts(&layer->layout, layer->model->experts, r).end) {
        r++;
    }
    return r;
}

/* What rank r sends home: the sum of its own slots, or of its part of all
 * experts; all = true: of all slots. */
static double partial(const element_t *e, int r, bool all)
{
    const moe_order_t order = e->chain->contract.sum;
    const moe_format_t inner = adds_in(order, e->combine);
    const bool gaps =
        order == MOE_ORDER_tree || order == MOE_ORDER_tree_storage;
    const int topk = e->t->oracle->layer->model->topk;
    double x[MOE_TOPK_MAX];
    int n = 0;

    for (int s = 0; s < topk; s++) {
        if (all || e->t->parts > 1 || holder(e, e->t->token->ids[s]) == r) {
            x[n++] =
                oracle_rounded(inner, term_of(e, e->t->parts > 1 ? r : 0, s));
        } else if (gaps) {
            x[n++] = 0.0;
        }
    }
    if (n == 0) {
        return 0.0;
    }
    return order == MOE_ORDER_exact
               ? fold_exactly(e, x, n)
               : oracle_rounded(e->combine, fold(order, inner, x, n, 0));
}

/* The partial sums x of n ranks made one. */
static double reduce(const element_t *e, const double *x, int n, int home)
{
    const moe_order_t order = e->chain->contract.reduce;
    const int first = order == MOE_ORDER_ring ? (home + 1) % n : 0;

    return order == MOE_ORDER_exact
               ? fold_exactly(e, x, n)
               : oracle_rounded(
                     e->combine,
                     fold(order, adds_in(order, e->combine), x, n, first));
}

/* Two levels: the ranks of a node, then the nodes. */
static double reduce_by_node(const element_t *e, double *x, int n)
{
    const int node = e->t->oracle->layer->layout.node;
    int nodes = 0;

    for (int r = 0; r < n; r += node) {
        x[nodes++] = reduce(e, x + r, n - r < node ? n - r : node, 0);
    }
    return reduce(e, x, nodes, 0);
}

/* As the modelled system rounds; x has room for the ranks' partial sums. */
static double sum_faithfully(const element_t *e, double *x, int n)
{
    if (e->chain->contract.weigh == MOE_WEIGH_source) {
        return partial(e, 0, true);
    }
    for (int r = 0; r < n; r++) {
        x[r] = partial(e, r, false);
    }
    return moe_chain_rounds(e->chain, MOE_ROUNDING_node_partial)
               ? reduce_by_node(e, x, n)
               : reduce(e, x, n, e->t->oracle->home);
}

moe_status_t oracle_combine(const oracle_terms_t *terms)
{
    const moe_layer_t *layer = terms->oracle->layer;
    const moe_chain_t *chain = terms->oracle->chain;
    const moe_format_t format = chain->at[MOE_ROLE_output].format;
    element_t e = {.t = terms,
                   .chain = chain,
                   .combine = chain->at[MOE_ROLE_combine].format};
    int n = terms->parts > 1 ? terms->parts : layer->layout.ep;
    double *x = calloc((size_t)n + 1, sizeof(*x));

    if (x == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "oracle: no memory for partial sums");
    }
    for (e.col = 0; e.col < layer->model->hidden; e.col++) {
        double sum = chain->numerics == MOE_NUMERICS_exact ||
                             e.combine == MOE_FORMAT_exact
                         ? sum_exactly(&e, format)
                         : sum_faithfully(&e, x, n);

        terms->token->output[e.col] = oracle_code_of(format, sum);
    }
    free(x);
    return MOE_OK;
}
