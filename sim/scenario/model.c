/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/parts.h"

/* The router chooses one at least. */
static bool shared_fit(const moe_model_t *model)
{
    return model->shared < model->topk && model->shared < model->experts;
}

static void check_shared(const moe_at_t *at, const moe_model_t *model)
{
    moe_at_t key = moe_at_key(at, "shared_experts");

    if (!shared_fit(model)) {
        moe_at_error(&key, "is %d, expected fewer than topk = %d",
                     model->shared, model->topk);
    }
}

/* E experts in n_group groups of which a token uses topk_group. */
static void check_groups(const moe_at_t *at, const moe_model_t *all)
{
    const moe_model_t routed = moe_model_routed(all);
    const moe_model_t *model = &routed;
    moe_at_t topk = moe_at_key(at, "topk");
    moe_at_t groups = moe_at_key(at, "n_group");
    moe_at_t kept = moe_at_key(at, "topk_group");
    int64_t allowed = model->experts / model->n_group * model->topk_group;

    if (model->experts % model->n_group != 0) {
        moe_at_error(&groups, "is %d, expected a divisor of experts = %lld",
                     model->n_group, (long long)model->experts);
    }
    if (model->topk_group > model->n_group) {
        moe_at_error(&kept, "is %d, expected at most n_group = %d",
                     model->topk_group, model->n_group);
    } else if (model->n_group > 1 && model->experts == model->n_group &&
               model->group_limit == MOE_GROUP_LIMIT_top2_sum) {
        moe_at_error(&groups,
                     "leaves 1 expert in a group, expected at least 2: a "
                     "group's score is the sum of its two best");
    } else if (model->experts % model->n_group == 0 && model->topk > allowed &&
               shared_fit(all)) {
        moe_at_error(&topk,
                     "is %d, expected at most the %lld experts that a token "
                     "may use",
                     model->topk, (long long)allowed);
    }
}

/* What scores and biases a limit goes with, and how many slots. */
static void check_limit(const moe_at_t *at, const moe_model_t *all)
{
    const moe_model_t routed = moe_model_routed(all);
    const moe_model_t *model = &routed;
    moe_at_t topk = moe_at_key(at, "topk");
    moe_at_t limit = moe_at_key(at, "group_limit");
    moe_at_t kept = moe_at_key(at, "topk_group");
    const bool each = model->group_limit == MOE_GROUP_LIMIT_each;
    const bool limited = model->topk_group < model->n_group;

    if (each && shared_fit(all) && model->topk % model->n_group != 0) {
        moe_at_error(&topk, "is %d, expected a multiple of n_group = %d",
                     model->topk, model->n_group);
    }
    if (each && limited) {
        moe_at_error(&kept, "is %d, expected n_group = %d: every group is used",
                     model->topk_group, model->n_group);
    } else if (limited && model->score == MOE_SCORE_softmax_chosen) {
        moe_at_error(&kept,
                     "is %d, expected n_group = %d: logits, which "
                     "softmax_chosen chooses by, make no group scores",
                     model->topk_group, model->n_group);
    } else if (limited && model->group_limit == MOE_GROUP_LIMIT_max &&
               model->bias) {
        moe_at_error(&limit, "is max, expected top2_sum where there is a bias");
    }
}

/* A row of several slots has no one weight. */
static void check_input(const moe_at_t *at, const moe_model_t *model)
{
    moe_at_t key = moe_at_key(at, "weight_on_input");

    if (model->weight_on_input && model->topk != 1) {
        moe_at_error(&key,
                     "is true with topk = %d, expected topk: 1: a row that is "
                     "sent has one weight",
                     model->topk);
    }
}

/* NVFP4 blocks, 16 elements a scale, must not be cut. */
static void check_width(const moe_at_t *at, const char *key, int64_t width)
{
    moe_at_t place = moe_at_key(at, key);

    if (width % 16 != 0) {
        moe_at_error(&place, "is %lld, expected a multiple of 16",
                     (long long)width);
    }
}

static void check_hidden(const moe_at_t *at, const moe_model_t *model)
{
    check_width(at, "hidden", model->hidden);
}

static void check_intermediate(const moe_at_t *at, const moe_model_t *model)
{
    check_width(at, "intermediate", model->intermediate);
}

static void check_layers(const moe_at_t *at, const moe_model_t *model)
{
    moe_at_t layers = moe_at_key(at, "moe_layers");

    if (model->moe_layers > model->layers) {
        moe_at_error(&layers, "is %lld, expected at most layers = %lld",
                     (long long)model->moe_layers, (long long)model->layers);
    }
}

/* What keys must be to each other. Checked where these keys could be read. */
static const struct {
    const char *const keys[8];
    void (*check)(const moe_at_t *at, const moe_model_t *model);
} checks[] = {
    {{"shared_experts", "topk", "experts", NULL}, check_shared},
    {{"shared_experts", "topk", "experts", "n_group", "topk_group",
      "group_limit", NULL},
     check_groups},
    {{"shared_experts", "topk", "n_group", "topk_group", "group_limit", "score",
      "bias", NULL},
     check_limit},
    {{"weight_on_input", "topk", NULL}, check_input},
    {{"hidden", NULL}, check_hidden},
    {{"intermediate", NULL}, check_intermediate},
    {{"layers", "moe_layers", NULL}, check_layers},
};

bool moe_model_read(const moe_at_t *at, moe_model_t *model_p)
{
    moe_model_t model = {0};
    size_t before = moe_diag_count(at->source->diag);

    moe_at_check_aliases(at);
    moe_at_section(at, MOE_SECTION_model, &model);
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (moe_at_keys_read(at, MOE_SECTION_model, checks[i].keys)) {
            checks[i].check(at, &model);
        }
    }
    *model_p = model;
    return moe_diag_count(at->source->diag) == before;
}

static bool read_model(const moe_at_t *at, void *object)
{
    return moe_model_read(at, object);
}

moe_status_t moe_scenario_read_model(moe_build_t *b)
{
    const moe_named_t model = {.what = "a model of 'moesim list models'",
                               .folder = "models/moe",
                               .read = read_model,
                               .object = &b->s->model,
                               .name = b->s->model.name};
    moe_at_t at = moe_at_key(&b->root, "model");

    return moe_at_named(&at, b->beside, &model, &b->model_ok);
}
