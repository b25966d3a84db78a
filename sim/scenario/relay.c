/* SPDX-License-Identifier: Apache-2.0 */
#include "base/checked.h"
#include "base/text.h"
#include "sim/scenario/parts.h"

#include <stdlib.h>
#include <string.h>

void moe_scenario_set_node(moe_scenario_t *s)
{
    int world = moe_layout_world(&s->layer.layout);

    s->layer.layout.node = world;
    if (s->has_machine && s->machine.tier[0].size < world) {
        s->layer.layout.node = s->machine.tier[0].size;
    }
}

/* Ranks of the layout scaled to another world; false if they do not scale. */
static bool scale(const moe_layout_t *old, int ranks, moe_layout_t *new_p)
{
    moe_layout_t layout = *old;
    int64_t ep = (int64_t)old->ep * ranks;
    int world = moe_layout_world(old);

    if (old->tp == 1) {
        layout.dp = ranks;
    } else if (old->dp == 1) {
        layout.tp = ranks;
    } else if (ranks % old->tp == 0) {
        layout.dp = ranks / old->tp;
    } else {
        return false;
    }
    if (ep % world != 0 || ranks % (ep / world) != 0) {
        return false;
    }
    layout.ep = (int)(ep / world);
    *new_p = layout;
    return true;
}

/* The worlds that scale() scales to are the multiples of this. */
static int step(const moe_layout_t *layout)
{
    int copies = moe_layout_world(layout) / layout->ep; /* of each expert */
    int least = layout->tp > 1 && layout->dp > 1 ? layout->tp : 1;
    int n = least;

    while (n % copies != 0) {
        n += least;
    }
    return n;
}

/* Tokens in all that a value of workload.tokens means; false if it is none. */
static bool total_of(const char *value, int dp, int64_t *total_p)
{
    moe_diag_t *diag = moe_diag_create();
    moe_source_t source = {.diag = diag};
    int64_t *tokens = calloc((size_t)dp, sizeof(*tokens));
    moe_yaml_doc_t *doc = moe_yaml_create();
    bool ok = diag != NULL && tokens != NULL && doc != NULL &&
              moe_yaml_set(doc, "tokens", value, diag) == MOE_OK;

    if (ok) {
        moe_at_t root = moe_at_root(&source, moe_yaml_root(doc));
        moe_at_t at = moe_at_key(&root, "tokens");

        ok = moe_tokens_read(&at, tokens, dp);
    }
    *total_p = 0;
    for (int i = 0; ok && i < dp; i++) {
        *total_p += tokens[i];
    }
    moe_yaml_free(doc);
    free(tokens);
    moe_diag_free(diag);
    return ok;
}

/* Points of a sweep as the same global tokens, whatever the ranks. */
static moe_status_t relay_sweep(const moe_build_t *b, moe_sweep_t *sweep,
                                int dp)
{
    int64_t total;
    char *value;

    if (strncmp(sweep->path, "layout", 6) == 0 &&
        strncmp(sweep->path, "layout.placement", 16) != 0) {
        moe_diag_add(b->root.source->diag, NULL, 0, 0, "--ranks",
                     "fixes the layout, but '%s' is swept", sweep->path);
    }
    for (size_t i = 0;
         i < sweep->n && strcmp(sweep->path, "workload.tokens") == 0; i++) {
        if (!total_of(sweep->value[i], dp, &total)) {
            continue; /* told with the point */
        }
        value = moe_strdup_printf("{total: %lld}", (long long)total);
        if (value == NULL) {
            return moe_fail(MOE_ERR_NOMEM, "out of memory for a sweep");
        }
        free(sweep->value[i]);
        sweep->value[i] = value;
    }
    return MOE_OK;
}

moe_status_t moe_scenario_relay(moe_build_t *b, int ranks)
{
    moe_scenario_t *s = b->s;
    moe_layout_t *layout = &s->layer.layout;
    int64_t total = moe_layer_total_tokens(&s->layer);
    moe_layout_t next;
    moe_range_t part;
    int64_t *tokens;

    if (ranks == moe_layout_world(layout)) {
        return MOE_OK;
    }
    if (ranks < 1 || ranks > MOE_WORLD_MAX || !scale(layout, ranks, &next)) {
        moe_diag_add(b->root.source->diag, NULL, 0, 0, "--ranks",
                     "%d: the layout dp %d, tp %d, ep %d does not scale to it, "
                     "expected a multiple of %d",
                     ranks, layout->dp, layout->tp, layout->ep, step(layout));
        return MOE_OK;
    }
    for (size_t i = 0; i < s->n_sweeps; i++) {
        if (relay_sweep(b, &s->sweep[i], layout->dp) != MOE_OK) {
            return MOE_ERR_NOMEM;
        }
    }
    tokens = calloc((size_t)next.dp, sizeof(*tokens));
    if (tokens == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for %d token counts",
                        next.dp);
    }
    for (int i = 0; i < next.dp; i++) {
        part = moe_layout_part(total, next.dp, i);
        tokens[i] = part.end - part.begin;
    }
    free(s->tokens);
    s->tokens = tokens;
    s->layer.tokens = tokens;
    *layout = next;
    b->relaid = true;
    moe_scenario_set_node(s);
    return MOE_OK;
}

void moe_scenario_check_shapes(const moe_build_t *b)
{
    const moe_model_t *model = &b->s->model;
    moe_at_t workload = moe_at_key(&b->root, "workload");
    moe_at_t tokens = moe_at_key(&workload, "tokens");
    int64_t total = moe_layer_total_tokens(&b->s->layer);
    int64_t widest = model->hidden + 2 * model->intermediate + model->experts;
    int64_t bytes;

    /* Every (token, expert) pair in the widest rows, as 64-bit numbers. */
    if (!moe_mul_i64(total, widest, &bytes) ||
        !moe_mul_i64(bytes, 8 * (int64_t)model->topk, &bytes)) {
        moe_at_error(&tokens,
                     "are %lld in all: x topk x widths of the model is more "
                     "than 2^63 bytes",
                     (long long)total);
    }
}
