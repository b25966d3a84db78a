/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/parts.h"

#include <stdlib.h>

/* Items of the list of tokens by dp rank; 0 if it is none. */
static size_t list_length(const moe_at_t *tokens)
{
    moe_at_t split = moe_at_key(tokens, "split");

    if (moe_at_is(tokens, MOE_YAML_LIST)) {
        return tokens->node->n;
    }
    return moe_at_is(&split, MOE_YAML_LIST) ? split.node->n : 0;
}

static bool read_ranks(moe_build_t *b, const moe_at_t *tokens)
{
    static const char *const ranks[] = {"dp", "tp", "ep", NULL};
    moe_layout_t *layout = &b->s->layer.layout;
    moe_at_t at = moe_at_key(&b->root, "layout");
    moe_at_t dp = moe_at_key(&at, "dp");
    moe_at_t ep = moe_at_key(&at, "ep");
    size_t before = moe_diag_count(b->root.source->diag);
    size_t length = list_length(tokens);
    int64_t world;

    moe_at_section(&at, MOE_SECTION_layout, layout);
    if (!moe_at_keys_read(&at, MOE_SECTION_layout, ranks)) {
        return false;
    }
    b->s->dp_implied = layout->dp == 0;
    b->s->ep_implied = layout->ep == 0;
    if (layout->dp == 0 && length > 0 && length <= MOE_WORLD_MAX) {
        layout->dp = (int)length;
    } else if (layout->dp == 0) {
        layout->dp = layout->ep > layout->tp ? layout->ep / layout->tp : 1;
    }
    world = (int64_t)layout->dp * layout->tp;
    if (world > MOE_WORLD_MAX) {
        moe_at_error(&dp, "makes %lld ranks with tp = %d, expected at most %d",
                     (long long)world, layout->tp, MOE_WORLD_MAX);
        return false;
    }
    if (layout->ep == 0) {
        layout->ep = (int)world;
    }
    if (world % layout->ep != 0) {
        moe_at_error(&ep,
                     "is %d, expected a divisor of the world size dp x tp = "
                     "%lld",
                     layout->ep, (long long)world);
        return false;
    }
    return moe_diag_count(b->root.source->diag) == before;
}

static bool read_list(const moe_at_t *at, int64_t *tokens, int dp)
{
    moe_at_t item;
    bool ok = true;

    if (at->node->n != (size_t)dp) {
        moe_at_error(at,
                     "has %zu numbers, expected one for each of %d dp "
                     "ranks",
                     at->node->n, dp);
        return false;
    }
    for (int i = 0; i < dp; i++) {
        item = moe_at_item(at, (size_t)i);
        ok &= moe_at_int64(&item, 0, MOE_TOKENS_MAX, &tokens[i]);
    }
    return ok;
}

static bool read_total(const moe_at_t *at, int64_t *tokens, int dp)
{
    moe_at_t total_at = moe_at_key(at, "total");
    moe_at_t split = moe_at_key(at, "split");
    int64_t total = 0;
    int64_t sum = 0;
    moe_range_t part;
    bool ok;

    moe_at_check_keys(at, MOE_SECTION_tokens);
    ok = moe_at_given(&total_at) &&
         moe_at_int64(&total_at, 0, MOE_TOKENS_MAX, &total);
    if (moe_at_is(&split, MOE_YAML_LIST)) {
        if (!read_list(&split, tokens, dp) || !ok) {
            return false;
        }
        for (int i = 0; i < dp; i++) {
            sum += tokens[i];
        }
        if (sum != total) {
            moe_at_error(&split, "sums to %lld, expected total = %lld",
                         (long long)sum, (long long)total);
        }
        return sum == total;
    }
    if (moe_at_given(&split)) {
        static const char *const words[] = {"equal"};

        ok &= moe_at_name(&split, "'equal', or a list", words, 1) == 0;
    }
    for (int i = 0; i < dp; i++) {
        part = moe_layout_part(total, dp, i);
        tokens[i] = part.end - part.begin;
    }
    return ok;
}

bool moe_tokens_read(const moe_at_t *at, int64_t *tokens, int dp)
{
    if (moe_at_is(at, MOE_YAML_LIST)) {
        return read_list(at, tokens, dp);
    }
    if (moe_at_is(at, MOE_YAML_MAP)) {
        return read_total(at, tokens, dp);
    }
    if (!moe_at_given(at) || !moe_at_int64(at, 0, MOE_TOKENS_MAX, tokens)) {
        return false;
    }
    for (int i = 1; i < dp; i++) {
        tokens[i] = tokens[0];
    }
    return true;
}

moe_status_t moe_scenario_read_layout(moe_build_t *b)
{
    moe_at_t workload = moe_at_key(&b->root, "workload");
    moe_at_t tokens = moe_at_key(&workload, "tokens");
    bool ok = read_ranks(b, &tokens);
    int dp = ok ? b->s->layer.layout.dp : 1;

    if (!ok && list_length(&tokens) > 0 &&
        list_length(&tokens) <= MOE_WORLD_MAX) {
        dp = (int)list_length(&tokens);
    }
    b->s->tokens = calloc((size_t)dp + 1, sizeof(*b->s->tokens));
    if (b->s->tokens == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for %d token counts", dp);
    }
    ok &= moe_tokens_read(&tokens, b->s->tokens, dp);
    b->s->layer.tokens = b->s->tokens;
    b->layout_ok = ok;
    if (ok) {
        moe_scenario_set_node(b->s);
    }
    return MOE_OK;
}
