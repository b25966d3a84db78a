/* SPDX-License-Identifier: Apache-2.0 */
#include "moe/slots.h"

#include "moe/ctx.h"

static const char *check_capacity(const moe_layer_t *layer,
                                  const moe_gate_rule_t *rule)
{
    const moe_model_t *m = layer->model;
    const int64_t first = moe_gating_rows(rule, m->experts, layer->tokens[0]);

    for (int i = 0; i < layer->layout.dp; i++) {
        int64_t rows = moe_gating_rows(rule, m->experts, layer->tokens[i]);

        if (rows != first) {
            return "needs the same capacity on all ranks: with dropping it is "
                   "of local tokens, of which ranks have unequally many "
                   "(DeepSpeed #6809)";
        }
        if ((double)rows * (double)m->experts * (double)m->hidden > 0x1p56) {
            return "the capacity has more rows than can be counted: lower its "
                   "factor, or the least";
        }
    }
    return NULL;
}

/* What top1gating asserts of a rank's tokens. */
static const char *check_first(const moe_layer_t *layer,
                               const moe_gate_rule_t *rule)
{
    for (int i = 0; i < layer->layout.dp; i++) {
        if (layer->tokens[i] < rule->min_capacity) {
            return "needs min_capacity tokens on each rank: DeepSpeed's top-1 "
                   "gate asserts as many";
        }
        if (rule->drop == MOE_DROP_none &&
            layer->tokens[i] != layer->tokens[0]) {
            return "needs equally many tokens on all ranks: without drops "
                   "DeepSpeed's top-1 gate cuts the capacity that ranks agreed "
                   "on to each one's own tokens";
        }
    }
    return NULL;
}

static const char *check_gate(const moe_layer_t *layer,
                              const moe_gate_rule_t *rule)
{
    const bool first = moe_gating_is_top1(rule);
    const char *why = moe_gating_refuses(rule);

    if (why == NULL && rule->capacity == MOE_CAPACITY_deepspeed &&
        layer->data == MOE_DATA_normal && layer->model->renormalize == first) {
        why = "has weights by DeepSpeed's rule: top-1's gate needs "
              "model.renormalize: false, the others true";
    }
    if (why == NULL && first) {
        why = check_first(layer, rule);
    }
    return why != NULL || rule->drop == MOE_DROP_none
               ? why
               : check_capacity(layer, rule);
}

const char *moe_slots_check(const moe_layer_t *layer,
                            const moe_gate_rule_t *rule, bool has_group)
{
    const moe_layout_t *layout = &layer->layout;

    if (!has_group && layout->dp > 1 && moe_gating_agrees(rule)) {
        return "needs the expert group where ranks agree on the capacity, "
               "without drops or by a factor below 0: a missing group is not a "
               "group of one";
    }
    if (layer->model->shared > 0) {
        return "has a gate over all experts: shared_experts must be 0";
    }

    if (layout->tp != 1 || layout->ep != layout->dp ||
        layer->model->experts % layout->ep != 0) {
        return "needs ep = dp, tp = 1, and ranks of equally many experts";
    }
    if (moe_layer_is_placed(layer)) {
        return "has no placement of experts: its gate counts rows of an expert "
               "on one rank (DeepSpeed keeps experts in order)";
    }
    return check_gate(layer, rule);
}

/* The largest count, or what a rule that drops has room for. */
static int64_t at_most(const moe_gate_rule_t *rule, const moe_layer_t *layer,
                       int64_t most)
{
    const int64_t rows =
        moe_gating_rows(rule, layer->model->experts, layer->tokens[0]);

    return rule->drop != MOE_DROP_none && most > rows ? rows : most;
}

int64_t moe_slots_capacity(const moe_layer_t *layer,
                           const moe_gate_rule_t *rule,
                           const moe_routing_t *routing)
{
    const int64_t experts = layer->model->experts;
    int64_t most = 0;

    if (!moe_gating_agrees(rule)) {
        return moe_gating_rows(rule, experts, layer->tokens[0]);
    }
    for (int i = 0; i < layer->layout.dp; i++) {
        int64_t n =
            moe_routing_most(routing, moe_layer_tokens(layer, i), experts);

        most = n > most ? n : most;
    }
    return at_most(rule, layer, most);
}

void moe_slots_plan(moe_ctx_t *c, moe_slots_t *s, bool has_group)
{
    const moe_run_t *run = c->run;
    const int64_t n = run->layer->model->experts;
    const int64_t *most;

    (void)moe_method_gate(run->layer, run->use, &s->rule);
    if (!moe_gating_agrees(&s->rule)) {
        s->capacity = moe_slots_capacity(run->layer, &s->rule, run->routing);
    } else {
        most = has_group ? moe_agree_max(c, MOE_GROUP_ep, MOE_DTYPE_i64, 1,
                                         moe_gate_own_most)
                         : moe_own_counts(c, 1, moe_gate_own_most);
        s->capacity = most != NULL ? at_most(&s->rule, run->layer, *most) : 0;
    }
    if (s->capacity < 0) {
        moe_ctx_fail(c, moe_fail(MOE_ERR_NOMEM, "no memory for counts"));
    }
    s->chunks = moe_ctx_array(c, n);
    for (int64_t i = 0; s->chunks != NULL && i < n; i++) {
        s->chunks[i] = s->capacity;
    }
}

void moe_slots_prepare(moe_ctx_t *c)
{
    moe_slots_t *s = moe_ctx_plan(c);
    const moe_range_t own = moe_ctx_tokens(c, moe_ctx_rank(c));
    moe_span_t *span = moe_ctx_spans(c, 1);
    moe_tensor_t *hidden = moe_hidden(c);
    moe_tensor_t *logits = moe_logits(c, hidden);
    moe_tensor_t *ids;
    moe_tensor_t *weights;
    moe_tensor_t *rows;

    if (span != NULL) {
        *span = (moe_span_t){0, own.begin, own.end - own.begin};
    }
    moe_topk(c, logits, span, 1, &ids, &weights);
    s->gate = moe_gate(c, logits, ids, weights, &s->rule, s->capacity, span);
    rows = moe_weigh_input(c, hidden, s->gate.weights);
    s->x = moe_to(c, rows, MOE_ROLE_dispatch);
    moe_release(c, rows);
    moe_release(c, hidden);
    moe_release(c, logits);
    moe_release(c, ids);
    moe_release(c, weights);
}

/* Weights of the slots' pairs, for the experts. */
static void send_weights(moe_ctx_t *c, moe_slots_t *s)
{
    moe_tensor_t *own = moe_pair_weights(c, s->gate.weights, s->slots);
    moe_tensor_t *came = moe_alltoall(c, MOE_GROUP_ep, own);

    s->row_weights = moe_gather_rows(c, came, s->by_expert);
    moe_release(c, own);
    moe_release(c, came);
}

void moe_slots_permute(moe_ctx_t *c)
{
    moe_slots_t *s = moe_ctx_plan(c);
    moe_tensor_t *rows;
    moe_tensor_t *came;
    moe_tensor_t *in;

    s->slots = moe_sort_located(c, &s->gate, s->capacity);
    rows = moe_gather_rows(c, s->x, s->slots);
    came = moe_alltoall(c, MOE_GROUP_ep, rows);
    s->by_expert =
        moe_sort_chunks(c, s->chunks, moe_ctx_group_size(c, MOE_GROUP_ep), 0);
    in = moe_to(c, came, MOE_ROLE_expert_in);
    if (moe_ctx_weighs_activation(c)) {
        send_weights(c, s);
    }
    moe_release(c, s->x);
    moe_release(c, rows);
    s->x = moe_gather_rows(c, in, s->by_expert);
    moe_release(c, came);
    moe_release(c, in);
}

void moe_slots_experts(moe_ctx_t *c)
{
    moe_slots_t *s = moe_ctx_plan(c);
    s->y = moe_experts(c, s->x, s->by_expert, s->row_weights);
    moe_release(c, s->row_weights);
    moe_release(c, s->x);
}

void moe_slots_unpermute(moe_ctx_t *c)
{
    moe_slots_t *s = moe_ctx_plan(c);
    moe_tensor_t *as_came = moe_scatter_rows(c, s->y, s->by_expert);
    moe_tensor_t *rows = moe_to_combine(c, as_came);
    moe_tensor_t *home = moe_alltoall(c, MOE_GROUP_ep, rows);
    moe_tensor_t *weights = s->dense ? moe_round_weights(c, s->gate.weights)
                                     : moe_tensor_keep(s->gate.weights);

    moe_release(c, s->y);
    moe_release(c, s->by_expert);
    moe_release(c, as_came);
    moe_release(c, rows);
    s->y = moe_weighted_sum(c, home, s->slots, weights);
    moe_release(c, weights);
    moe_release(c, home);
    moe_release(c, s->slots);
    moe_gate_release(c, &s->gate);
}

void moe_slots_finalize(moe_ctx_t *c)
{
    moe_slots_t *s = moe_ctx_plan(c);

    moe_output(c, s->y);
    moe_release(c, s->y);
}

void moe_slots_payload(const moe_formula_t *f, const moe_gate_rule_t *rule,
                       int64_t along, int64_t *out)
{
    const moe_model_t *m = f->layer->model;
    const int64_t rows =
        m->experts * moe_slots_capacity(f->layer, rule, f->routing);

    if (f->layer->layout.dp == 1) {
        return;
    }
    out[MOE_STAGE_prepare] = moe_gating_agrees(rule) ? 8 : 0;
    out[MOE_STAGE_permute] =
        rows *
        (moe_format_row_bytes((moe_format_t)f->options[0], m->hidden) + along);
    out[MOE_STAGE_unpermute] =
        rows * moe_format_row_bytes((moe_format_t)f->options[1], m->hidden);
}
