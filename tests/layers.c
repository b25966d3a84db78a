/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/layers.h"

#include "tests/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static moe_constant_t constant(double value, double error)
{
    moe_constant_t c = {.value = value,
                        .error = error,
                        .kind = MOE_PROVENANCE_assumed,
                        .source = "a test"};

    return c;
}

static moe_tier_t tier(const char *name, int size, double bw, double latency)
{
    moe_tier_t t = {.size = size};

    (void)snprintf(t.name, sizeof(t.name), "%s", name);
    (void)snprintf(t.topology, sizeof(t.topology), "switch");
    t.bw_bytes_per_s = constant(bw, 0.25);
    t.latency_s = constant(latency, 0.5);
    return t;
}

moe_machine_t moe_test_machine(void)
{
    moe_machine_t m = {.name = "test", .hbm_bytes = INT64_C(1) << 36};

    m.hbm_bytes_per_s = constant(ldexp(1.0, 42), 0.125);
    m.memory_efficiency = constant(0.5, 0.25);
    m.flops[MOE_FORMAT_bf16] = constant(ldexp(1.0, 50), 0.125);
    m.flops[MOE_FORMAT_fp8_1x128] = constant(ldexp(1.0, 51), 0.125);
    m.flops[MOE_FORMAT_nvfp4] = constant(ldexp(1.0, 52), 0.125);
    m.matmul_efficiency = constant(0.5, 0.25);
    m.launch_s = constant(ldexp(1.0, -17), 0.5);
    m.collective_s = constant(ldexp(1.0, -16), 0.5);
    m.n_tiers = 2;
    m.tier[0] = tier("inner", 8, ldexp(1.0, 38), ldexp(1.0, -20));
    m.tier[1] = tier("outer", 1024, ldexp(1.0, 36), ldexp(1.0, -18));
    return m;
}

moe_model_t moe_test_deepseek(void)
{
    moe_model_t m = {.name = "deepseek-r1",
                     .hidden = 7168,
                     .intermediate = 2048,
                     .experts = 256,
                     .topk = 8,
                     .n_group = 8,
                     .topk_group = 4,
                     .score = MOE_SCORE_sigmoid,
                     .bias = true,
                     .renormalize = true,
                     .routed_scaling = 2.5f,
                     .layers = 61,
                     .moe_layers = 58};

    return m;
}

moe_model_t moe_test_small(void)
{
    moe_model_t m = {.name = "small",
                     .hidden = 256,
                     .intermediate = 3072, /* 64 a rank of 16, of 3 */
                     .experts = 16,
                     .topk = 4,
                     .n_group = 1,
                     .topk_group = 1,
                     .score = MOE_SCORE_softmax,
                     .renormalize = true,
                     .routed_scaling = 1.0f,
                     .layers = 1,
                     .moe_layers = 1};

    return m;
}

static int64_t tokens_of(moe_test_tokens_t how, int64_t each, int rank, int n)
{
    switch (how) {
    case MOE_TOKENS_ragged:
        return each + 7 * (rank * 5 % n) - rank % 3;
    case MOE_TOKENS_one_zero:
        return rank == n / 2 ? 0 : each + rank;
    case MOE_TOKENS_only_one:
        return rank == n - 1 ? each : 0;
    case MOE_TOKENS_none:
        return 0;
    case MOE_TOKENS_equal:
    case MOE_TOKENS_COUNT:
    default:
        return each;
    }
}

static moe_chain_t chain(void)
{
    moe_chain_t c = {.weights = MOE_FORMAT_nvfp4,
                     .numerics = MOE_NUMERICS_exact,
                     .contract = moe_contract_default()};

    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        c.at[r].format = r == MOE_ROLE_expert_in || r == MOE_ROLE_gemm2_in
                             ? MOE_FORMAT_nvfp4
                             : MOE_FORMAT_bf16;
        moe_storage_default(&c.at[r], MOE_FILL_HIDDEN_BOUND);
    }
    return c;
}

void moe_test_layer_init(moe_test_layer_t *t, const moe_model_t *model,
                         int n_ranks, moe_test_tokens_t tokens, int64_t each)
{
    moe_sampler_t uniform = {.kind = MOE_SAMPLER_uniform};

    memset(t, 0, sizeof(*t));
    t->model = *model;
    for (int r = 0; r < n_ranks; r++) {
        t->tokens[r] = tokens_of(tokens, each, r, n_ranks);
    }
    t->layer = (moe_layer_t){.model = &t->model,
                             .layout = {n_ranks, 1, n_ranks, 8},
                             .tokens = t->tokens,
                             .phase = MOE_PHASE_prefill,
                             .chain = chain(),
                             .seed = 1};
    ck_assert_int_eq(moe_routing_sample(&t->model, &uniform, 1, 0,
                                        moe_layer_total_tokens(&t->layer),
                                        &t->routing),
                     MOE_OK);
}

void moe_test_layer_fini(moe_test_layer_t *t)
{
    moe_routing_fini(&t->routing);
}

/* The format of an option becomes that of its place in the chain. */
static void to_chain(moe_method_use_t *use, const char *key, moe_role_t role)
{
    int place;

    if (moe_option_find(use->method, key, &place)) {
        use->chain.at[role] =
            (moe_storage_t){.format = (moe_format_t)use->options[place]};
        moe_storage_default(&use->chain.at[role], MOE_FILL_HIDDEN_BOUND);
    }
}

/* A layout of the method's own; its tokens live until the next use. */
static void lay(const moe_layer_t *layer, moe_method_use_t *use)
{
    static int64_t tokens[1024];
    int64_t total = moe_layer_total_tokens(layer);

    use->layout = layer->layout;
    if (use->method->layout == NULL) {
        return;
    }
    use->method->layout(&use->layout);
    for (int i = 0; i < use->layout.dp; i++) {
        moe_range_t part = moe_layout_part(total, use->layout.dp, i);

        tokens[i] = part.end - part.begin;
    }
    use->tokens = tokens;
}

moe_method_use_t moe_test_use(const moe_method_t *method,
                              const moe_layer_t *layer, const char *key,
                              const char *value)
{
    moe_method_use_t use = {.method = method, .chain = layer->chain};
    moe_contract_t contract;

    (void)snprintf(use.label, sizeof(use.label), "%s", method->name);
    moe_option_defaults(method, layer->chain.at[MOE_ROLE_hidden].format,
                        use.options);
    (void)moe_option_set(method, "limits", "off", use.options, NULL);
    if (key != NULL) {
        ck_assert(moe_option_set(method, key, value, use.options, NULL));
    }
    contract = moe_method_contract(method, layer->model, use.options);
    moe_contract_of_model(layer->model, &contract);
    moe_chain_take(&use.chain, &contract);
    lay(layer, &use);
    to_chain(&use, "dispatch", MOE_ROLE_dispatch);
    to_chain(&use, "combine", MOE_ROLE_combine);
    return use;
}

bool moe_test_runs(const moe_layer_t *layer, const moe_method_use_t *use)
{
    const moe_layer_t own = moe_method_layer(layer, use);

    return use->method->check(&own, use->options) == NULL;
}
