/* SPDX-License-Identifier: Apache-2.0 */
/* Sums over a token's experts, one element at a time, as plainly as their
 * definitions in doc/numerics.md read. */
#include "ref/oracle_combine.h"

#include "ref/oracle_numbers.h"
#include "ref/oracle_order.h"
#include "ref/oracle_quantize.h"

#include <stdlib.h>

/* One element's way through the orders. */
typedef struct {
    const oracle_terms_t *t;
    const moe_chain_t *chain;
    int64_t col;
    moe_format_t combine; /* of sums: bf16 where rows are quantised */
    double *x;            /* [n] partial sums, [n] of a group of them */
    int n;                /* ranks, or parts of I */
    double *rows;         /* [k][H] quantised rows of the slots' ranks */
    oracle_nvfp4_t codes; /* what a quantiser of nvfp4 leaves */
} element_t;

static double weight_of(const element_t *e, int slot)
{
    const double weight = (double)e->t->token->weights[slot];
    const moe_weigh_t weigh = e->chain->contract.weigh;

    if (weigh == MOE_WEIGH_input || weigh == MOE_WEIGH_activation) {
        return 1.0;
    }
    return moe_chain_rounds(e->chain, MOE_ROUNDING_routing_weight)
               ? oracle_rounded(e->chain->at[MOE_ROLE_hidden].format, weight)
               : weight;
}

/* What an expert, or a part of one, returns. */
static int64_t place_of(const element_t *e, int part, int slot)
{
    const moe_model_t *m = e->t->oracle->layer->model;

    return ((int64_t)part * m->topk + slot) * m->hidden + e->col;
}

/* Where the expert of a slot lies among all. */
static int32_t lies(const element_t *e, int slot)
{
    return e->t->oracle->slot != NULL ? e->t->oracle->slot[slot]
                                      : e->t->token->ids[slot];
}

/* Place of the rank of its ep group that holds the expert of a slot. */
static int holder(const element_t *e, int slot)
{
    const moe_oracle_t *oracle = e->t->oracle;
    const moe_layer_t *layer = oracle->layer;
    const int64_t n =
        oracle->slot != NULL ? oracle->n_slots : layer->model->experts;
    int r = 0;

    while (lies(e, slot) >= moe_layout_experts(&layer->layout, n, r).end) {
        r++;
    }
    return r;
}

enum {
    ALL = -1 /* ranks */
};

/* The exact sum of the terms of a rank, or of all, rounded once. */
static double sum_exactly(const element_t *e, moe_format_t format, int rank)
{
    const int topk = e->t->oracle->layer->model->topk;
    mpfr_t x;

    mpfr_init2(x, ORACLE_BITS);
    mpfr_set_zero(e->t->sum, 1);
    for (int i = 0; i < e->t->parts * topk; i++) {
        int64_t at = place_of(e, i / topk, i % topk);

        if (rank != ALL && holder(e, i % topk) != rank) {
            continue;
        }
        mpfr_set_d(x, e->t->term[at], MPFR_RNDN);
        mpfr_add_d(x, x, e->t->rest[at], MPFR_RNDN);
        mpfr_mul_d(x, x, weight_of(e, i % topk), MPFR_RNDN);
        mpfr_add(e->t->sum, e->t->sum, x, MPFR_RNDN);
    }
    mpfr_clear(x);
    return oracle_round_sum(e->t->sum, format);
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
static double fold_exactly(const element_t *e, const double *x, int n,
                           moe_format_t format)
{
    mpfr_set_zero(e->t->sum, 1);
    for (int i = 0; i < n; i++) {
        mpfr_add_d(e->t->sum, e->t->sum, x[i], MPFR_RNDN);
    }
    return oracle_round_sum(e->t->sum, format);
}

/* In an order, from the first on, to the combine format. */
static double fold(const element_t *e, moe_order_t order, const double *x,
                   int n, int first)
{
    return order == MOE_ORDER_exact
               ? fold_exactly(e, x, n, e->combine)
               : oracle_rounded(e->combine,
                                oracle_fold(order,
                                            oracle_adds_in(order, e->combine),
                                            x, n, first));
}

/* The slot that is added as the i-th of k. */
static int slot_at(const element_t *e, int i)
{
    const int topk = e->t->oracle->layer->model->topk;
    const bool by_expert = moe_order_is_by_expert(e->chain->contract.sum);

    for (int s = 0; by_expert && s < topk; s++) {
        int before = 0;

        for (int t = 0; t < topk; t++) {
            before += lies(e, t) < lies(e, s) + (t < s); /* dropped ones too */
        }
        if (before == i) {
            return s;
        }
    }
    return i;
}

/* What rank r sends home: the sum of its own slots, or of its part of all
 * experts; all = true: of all slots. */
static double partial(const element_t *e, int r, bool all)
{
    const moe_order_t order = e->chain->contract.sum;
    const moe_format_t kept = oracle_terms_in(order, e->combine);
    const bool gaps =
        order == MOE_ORDER_tree || order == MOE_ORDER_tree_storage;
    const int topk = e->t->oracle->layer->model->topk;
    double x[MOE_TOPK_MAX];
    int n = 0;

    for (int i = 0; i < topk; i++) {
        const int s = slot_at(e, i);

        if (all || e->t->parts > 1 || holder(e, s) == r) {
            x[n++] =
                oracle_rounded(kept, term_of(e, e->t->parts > 1 ? r : 0, s));
        } else if (gaps) {
            x[n++] = 0.0;
        }
    }
    return n == 0 ? 0.0 : fold(e, order, x, n, 0);
}

/* No slot before it is of the same rank. */
static bool is_first(const element_t *e, int slot)
{
    for (int s = 0; s < slot; s++) {
        if (holder(e, s) == holder(e, slot)) {
            return false;
        }
    }
    return true;
}

/* The ranks' sums in the slots where they first occur. */
static double reduce_by_slot(const element_t *e, const double *x)
{
    const moe_order_t order = e->chain->contract.reduce;
    const moe_format_t inner = oracle_adds_in(order, e->combine);
    const int topk = e->t->oracle->layer->model->topk;
    double y[MOE_TOPK_MAX] = {0.0};

    for (int s = 0; s < topk; s++) {
        if (is_first(e, s)) {
            y[s] = oracle_rounded(
                inner, oracle_rounded(MOE_FORMAT_fp32, x[holder(e, s)]));
        }
    }
    return fold(e, order, y, topk, 0);
}

/* The partial sums x of n ranks made one. */
static double reduce(const element_t *e, const double *x, int n, int home)
{
    const moe_order_t order = e->chain->contract.reduce;
    const int first = order == MOE_ORDER_ring ? (home + 1) % n : 0;

    return moe_order_is_of_ranks(order) ? fold(e, order, x, n, first)
                                        : reduce_by_slot(e, x);
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

/* Two levels: the ranks of the same place in their dp ranks, then those of a dp
 * rank. home is the dp rank x tp + the tp rank. */
static double reduce_by_dp(const element_t *e, double *x, int n, int home)
{
    const int tp = e->t->oracle->layer->layout.tp;

    for (int t = 0; t < tp; t++) {
        for (int d = 0; d < n / tp; d++) {
            x[n + d] = x[d * tp + t];
        }
        x[t] = reduce(e, x + n, n / tp, home / tp);
    }
    return reduce(e, x, tp, home % tp);
}

/* The ranks' partial sums, in x, of a token or of a slot of it made one. */
static double join(const element_t *e, int slot)
{
    return moe_chain_rounds(e->chain, MOE_ROUNDING_node_partial)
               ? reduce_by_node(e, e->x, e->n)
           : moe_chain_rounds(e->chain, MOE_ROUNDING_dp_partial)
               ? reduce_by_dp(e, e->x, e->n, e->t->oracle->home[slot])
               : reduce(e, e->x, e->n, e->t->oracle->home[slot]);
}

/* The parts of each expert's row made one, then the slots. */
static double sum_parts_first(const element_t *e)
{
    const moe_order_t order = e->chain->contract.sum;
    const moe_format_t inner = oracle_adds_in(order, e->combine);
    const int topk = e->t->oracle->layer->model->topk;
    double y[MOE_TOPK_MAX];

    for (int s = 0; s < topk; s++) {
        for (int r = 0; r < e->n; r++) {
            e->x[r] = oracle_rounded(e->combine, term_of(e, r, s) + 0.0);
        }
        y[s] = oracle_rounded(inner, join(e, s));
    }
    return fold(e, order, y, topk, 0);
}

/* As the modelled system rounds. */
static double sum_faithfully(const element_t *e)
{
    if (moe_chain_rounds(e->chain, MOE_ROUNDING_weighted_part)) {
        return sum_parts_first(e);
    }
    if (moe_chain_rounds(e->chain, MOE_ROUNDING_returned)) {
        return partial(e, 0, true); /* at the source */
    }
    for (int r = 0; r < e->n; r++) {
        e->x[r] = partial(e, r, false);
    }
    return join(e, 0);
}

static bool is_exact(const element_t *e)
{
    return e->chain->numerics == MOE_NUMERICS_exact ||
           e->combine == MOE_FORMAT_exact;
}

/* True if rows of the combine format are codes. */
static bool quantises(const element_t *e)
{
    return moe_format_is_coded(e->chain->at[MOE_ROLE_combine].format);
}

/* A row of the combine format, which its elements are rounded to already. */
static moe_status_t quantise(element_t *e, double *row)
{
    return quantises(e)
               ? oracle_quantise(&e->chain->at[MOE_ROLE_combine], row,
                                 e->t->oracle->layer->model->hidden, &e->codes)
               : MOE_OK;
}

/* What the experts return, as it travels home. */
static moe_status_t return_rows(element_t *e)
{
    const moe_model_t *m = e->t->oracle->layer->model;
    moe_status_t status = MOE_OK;

    for (int s = 0; status == MOE_OK && s < m->topk &&
                    moe_chain_rounds(e->chain, MOE_ROUNDING_returned);
         s++) {
        for (e->col = 0; e->col < m->hidden; e->col++) {
            const int64_t at = place_of(e, 0, s);

            mpfr_set_d(e->t->sum, e->t->term[at], MPFR_RNDN);
            mpfr_add_d(e->t->sum, e->t->sum, e->t->rest[at], MPFR_RNDN);
            e->t->term[at] = oracle_round_sum(e->t->sum, e->combine);
            e->t->rest[at] = 0.0;
        }
        status = quantise(e, e->t->term + s * m->hidden);
    }
    return status;
}

/* Quantised partial sums of the token's ranks, by their first slots. */
static moe_status_t make_rows(element_t *e)
{
    const moe_model_t *m = e->t->oracle->layer->model;
    moe_status_t status = MOE_OK;

    for (int s = 0; status == MOE_OK && s < m->topk; s++) {
        double *row = e->rows + s * m->hidden;

        for (e->col = 0; is_first(e, s) && e->col < m->hidden; e->col++) {
            row[e->col] = is_exact(e) ? sum_exactly(e, e->combine, holder(e, s))
                                      : partial(e, holder(e, s), false);
        }
        status = is_first(e, s) ? quantise(e, row) : MOE_OK;
    }
    return status;
}

/* Sum of these rows' elements. */
static double sum_rows(const element_t *e, moe_format_t format)
{
    const moe_model_t *m = e->t->oracle->layer->model;

    for (int r = 0; r < e->n; r++) {
        e->x[r] = 0.0;
    }
    for (int s = 0; s < m->topk; s++) {
        if (is_first(e, s)) {
            e->x[holder(e, s)] = e->rows[s * m->hidden + e->col];
        }
    }
    return is_exact(e) ? fold_exactly(e, e->x, e->n, format) : join(e, 0);
}

static moe_status_t combine(element_t *e, moe_format_t format)
{
    const moe_model_t *m = e->t->oracle->layer->model;
    const bool coded =
        quantises(e) && moe_chain_rounds(e->chain, MOE_ROUNDING_partial);
    moe_status_t status = return_rows(e);

    if (status == MOE_OK && coded) {
        status = make_rows(e);
    }
    for (e->col = 0; status == MOE_OK && e->col < m->hidden; e->col++) {
        double sum = coded         ? sum_rows(e, format)
                     : is_exact(e) ? sum_exactly(e, format, ALL)
                                   : sum_faithfully(e);

        e->t->token->output[e->col] = oracle_code_of(format, sum);
    }
    return status;
}

moe_status_t oracle_combine(const oracle_terms_t *terms)
{
    const moe_layer_t *layer = terms->oracle->layer;
    const moe_chain_t *chain = terms->oracle->chain;
    const moe_format_t home = chain->at[MOE_ROLE_combine].format;
    const int64_t h = layer->model->hidden;
    const int n = terms->parts > 1 ? terms->parts : layer->layout.ep;
    element_t e = {.t = terms,
                   .chain = chain,
                   .n = n,
                   .combine =
                       moe_format_is_coded(home) ? MOE_FORMAT_bf16 : home};
    moe_status_t status;

    e.x = calloc((size_t)((layer->model->topk + 2) * h + 2 * n), sizeof(*e.x));
    if (e.x == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "oracle: no memory for partial sums");
    }
    e.rows = e.x + 2 * n;
    e.codes.twice = (int32_t *)(void *)(e.rows + layer->model->topk * h);
    e.codes.units = e.codes.twice + h;
    status = combine(&e, chain->at[MOE_ROLE_output].format);
    free(e.x);
    return status;
}
