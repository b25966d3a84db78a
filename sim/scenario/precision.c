/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/matmul.h"
#include "sim/scenario/parts.h"

#include <string.h>

/* Places of the chain that a scenario sets. */
static const struct {
    const char *key;
    moe_role_t role;
} places[] = {
    {"hidden", MOE_ROLE_hidden},       {"expert_in", MOE_ROLE_expert_in},
    {"gemm1_out", MOE_ROLE_gemm1_out}, {"act_out", MOE_ROLE_act_out},
    {"gemm2_in", MOE_ROLE_gemm2_in},   {"gemm2_out", MOE_ROLE_gemm2_out},
    {"combine", MOE_ROLE_combine},     {"output", MOE_ROLE_output},
};

#define N_PLACES (sizeof(places) / sizeof(places[0]))

/* A format that this version computes at a place. */
static bool read_format(const moe_at_t *at, const moe_key_t *place,
                        moe_format_t *format_p)
{
    const char *names[MOE_FORMAT_COUNT];
    const char *text;
    moe_format_t format;

    for (int i = 0; i < MOE_FORMAT_COUNT; i++) {
        names[i] = moe_format_name((moe_format_t)i);
    }
    text = moe_at_text(at, "a format");
    if (text == NULL) {
        return false;
    }
    if (!moe_format_find(text, &format)) {
        (void)moe_at_name(at, "a format, see 'moesim list formats'", names,
                          MOE_FORMAT_COUNT);
        return false;
    }
    if (moe_words_find(place->words, moe_format_name(format)) < 0) {
        moe_at_error(at, "%s is not supported here, expected: %s",
                     moe_format_name(format), place->words);
        return false;
    }
    *format_p = format;
    return true;
}

static void read_profile(const moe_at_t *at, moe_storage_t *storage)
{
    int profile;

    if (!moe_at_given(at) ||
        !moe_at_value(at, moe_schema_find(MOE_SECTION_storage, "profile"),
                      &profile, sizeof(profile))) {
        return;
    }
    if (profile >= MOE_PROFILE_COUNT &&
        moe_profile_find(moe_profile_word(profile), storage->format,
                         &storage->profile)) {
        return;
    }
    if (profile >= MOE_PROFILE_COUNT) {
        moe_at_error(at, "%s has no profile for %s, expected %s",
                     moe_profile_word(profile),
                     moe_format_name(storage->format),
                     moe_profile_name(moe_profile_default(storage->format)));
        return;
    }
    storage->profile = (moe_profile_t)profile;
    if (storage->profile == MOE_PROFILE_none
            ? moe_profile_default(storage->format) != MOE_PROFILE_none
            : moe_profile_format(storage->profile) != storage->format) {
        moe_at_error(at, "%s does not quantise to %s, expected %s",
                     moe_profile_name(storage->profile),
                     moe_format_name(storage->format),
                     moe_profile_name(moe_profile_default(storage->format)));
    }
}

static void read_map(const moe_at_t *at, const moe_key_t *place,
                     moe_storage_t *storage)
{
    moe_at_t format = moe_at_key(at, "format");
    moe_at_t profile = moe_at_key(at, "profile");
    moe_at_t global = moe_at_key(at, "global_scale");

    moe_at_check_keys(at, MOE_SECTION_storage);
    if (!moe_at_given(&format) ||
        !read_format(&format, place, &storage->format)) {
        return;
    }
    read_profile(&profile, storage);
    if (!moe_at_given(&global)) {
        return;
    }
    if (!moe_format_info(storage->format)->has_global) {
        moe_at_error(&global, "is none of %s's, expected no global scale",
                     moe_format_name(storage->format));
        return;
    }
    (void)moe_at_value(&global,
                       moe_schema_find(MOE_SECTION_storage, "global_scale"),
                       &storage->global_scale, sizeof(storage->global_scale));
}

/* False if it had a problem. */
static bool read_place(moe_build_t *b, const moe_at_t *at,
                       const moe_key_t *place, moe_storage_t *storage)
{
    size_t before = moe_diag_count(at->source->diag);

    if (moe_at_is(at, MOE_YAML_MAP)) {
        read_map(at, place, storage);
    } else if (moe_at_given(at)) {
        (void)read_format(at, place, &storage->format);
    } else {
        (void)moe_format_find(place->standard, &storage->format);
    }
    if (b->s->hidden_file != NULL &&
        moe_diag_count(at->source->diag) == before &&
        moe_format_info(storage->format)->has_global &&
        !(storage->global_scale > 0.0f)) {
        moe_at_error(at,
                     "has no global scale, expected {format: %s, "
                     "global_scale: S}: data from a file have no documented "
                     "bound",
                     moe_format_name(storage->format));
    }
    return moe_diag_count(at->source->diag) == before;
}

/* Weights are drawn in their format: no quantiser, no scale to choose. False
 * if they had a problem. */
static bool read_weights(const moe_at_t *precision, moe_format_t *weights)
{
    const size_t before = moe_diag_count(precision->source->diag);
    const moe_key_t *place = moe_schema_find(MOE_SECTION_precision, "weights");
    moe_at_t at = moe_at_key(precision, "weights");
    moe_at_t format = at;

    (void)moe_format_find(place->standard, weights);
    if (!moe_at_given(&at)) {
        return true;
    }
    if (moe_at_is(&at, MOE_YAML_MAP)) {
        moe_at_check_keys(&at, MOE_SECTION_storage);
        if (at.node->n != 1) {
            moe_at_error(&at, "are drawn in their format, expected {format: "
                              "NAME} alone");
        }
        format = moe_at_key(&at, "format");
    }
    if (moe_at_given(&format)) {
        (void)read_format(&format, place, weights);
    }
    return moe_diag_count(precision->source->diag) == before;
}

/* The profile where none is named. */
static void read_word(const moe_at_t *precision, moe_chain_t *chain)
{
    const moe_key_t *key = moe_schema_find(MOE_SECTION_precision, "profile");
    moe_at_t at = moe_at_key(precision, "profile");

    chain->profile = 0;
    if (moe_at_given(&at)) {
        (void)moe_at_value(&at, key, &chain->profile, sizeof(chain->profile));
    }
}

/* A matmul needs a kernel for what it multiplies. */
static void check_matmul(const moe_at_t *precision, const moe_chain_t *chain,
                         moe_role_t in, moe_role_t out)
{
    const moe_format_t rows = chain->at[in].format;
    const moe_format_t sums = chain->at[out].format;
    moe_at_t at = moe_at_key(precision, moe_role_name(in));

    if (!moe_ref_matmul_supports(rows, chain->weights, sums)) {
        moe_at_error(&at,
                     "is %s, expected a format that can be multiplied by "
                     "weights in %s to %s",
                     moe_format_name(rows), moe_format_name(chain->weights),
                     moe_format_name(sums));
    }
}

/* Both matmuls, where their formats could be read: ok by role. */
static void check_matmuls(const moe_at_t *precision, const moe_chain_t *chain,
                          const bool ok[MOE_ROLE_COUNT])
{
    static const moe_role_t pairs[][2] = {
        {MOE_ROLE_expert_in, MOE_ROLE_gemm1_out},
        {MOE_ROLE_gemm2_in, MOE_ROLE_gemm2_out}};

    for (int i = 0; i < 2; i++) {
        if (ok[pairs[i][0]] && ok[pairs[i][1]]) {
            check_matmul(precision, chain, pairs[i][0], pairs[i][1]);
        }
    }
}

/* Unrounded sums: without biases, and gates for the one activation that takes
 * them. */
static void check_unrounded(const moe_at_t *precision, const moe_model_t *m,
                            const moe_chain_t *chain)
{
    moe_at_t up = moe_at_key(precision, "gemm1_out");
    moe_at_t down = moe_at_key(precision, "gemm2_out");

    if (chain->at[MOE_ROLE_gemm1_out].format == MOE_FORMAT_exact &&
        (m->activation != MOE_ACTIVATION_swiglu ||
         m->gate_up != MOE_GATE_UP_halves || m->expert_bias)) {
        moe_at_error(&up, "is exact, expected bf16 fp16 fp32: unrounded gates "
                          "are those of swiglu in halves without expert_bias");
    }
    if (chain->at[MOE_ROLE_gemm2_out].format == MOE_FORMAT_exact &&
        m->expert_bias) {
        moe_at_error(&down, "is exact, expected bf16 fp16 fp32: the model has "
                            "expert_bias");
    }
}

/* Global scales of experts' own. */
static void check_scales(const moe_at_t *precision, const moe_model_t *m,
                         const moe_chain_t *chain)
{
    moe_at_t at = moe_at_key(precision, "weights");

    if (m->expert_scales && chain->weights != MOE_FORMAT_nvfp4) {
        moe_at_error(&at, "is %s, expected nvfp4: the model has expert_scales",
                     moe_format_name(chain->weights));
    }
}

/* The formats of all places, and what two matmuls make of them. */
static void read_places(moe_build_t *b, const moe_at_t *precision)
{
    moe_chain_t *chain = &b->s->layer.chain;
    bool ok[MOE_ROLE_COUNT] = {false};

    for (size_t i = 0; i < N_PLACES; i++) {
        const moe_role_t role = places[i].role;
        moe_at_t at = moe_at_key(precision, places[i].key);

        ok[role] = read_place(
            b, &at, moe_schema_find(MOE_SECTION_precision, places[i].key),
            &chain->at[role]);
        moe_chain_default(
            chain, &chain->at[role],
            moe_data_bound(b->s->layer.data, moe_chain_bound(role)));
    }
    if (read_weights(precision, &chain->weights)) {
        check_matmuls(precision, chain, ok);
    }
}

void moe_scenario_read_precision(moe_build_t *b)
{
    moe_at_t precision = moe_at_key(&b->root, "precision");
    moe_at_t numerics = moe_at_key(&b->root, "numerics");
    moe_chain_t *chain = &b->s->layer.chain;
    size_t before = moe_diag_count(b->root.source->diag);
    int value = MOE_NUMERICS_exact;

    moe_at_check_keys(&precision, MOE_SECTION_precision);
    read_word(&precision, chain);
    read_places(b, &precision);
    if (b->model_ok) {
        check_unrounded(&precision, &b->s->model, chain);
        check_scales(&precision, &b->s->model, chain);
    }
    chain->at[MOE_ROLE_dispatch] = chain->at[MOE_ROLE_hidden];
    if (moe_at_given(&numerics)) {
        (void)moe_at_value(&numerics,
                           moe_schema_find(MOE_SECTION_scenario, "numerics"),
                           &value, sizeof(value));
    }
    chain->numerics = (moe_numerics_t)value;
    chain->contract = moe_contract_default();
    b->precision_ok = moe_diag_count(b->root.source->diag) == before;
}
