/* SPDX-License-Identifier: Apache-2.0 */
/* What no single setting of a case shows. */
#include "moe/fill_rows.h"
#include "moe/routing.h"
#include "ref/case_settings.h"
#include "ref/formats.h"
#include "ref/matmul.h"

static moe_status_t check_shape(const moe_case_settings_t *c)
{
    const moe_model_t routed = moe_model_routed(&c->model);
    const moe_model_t *m = &routed;

    if (m->topk < 1 || m->topk > m->experts || m->experts % m->n_group != 0 ||
        m->topk_group > m->n_group ||
        m->topk > m->experts / m->n_group * m->topk_group) {
        return moe_fail(MOE_ERR_INPUT,
                        "topk: %d of %lld experts in %d groups, %d used, "
                        "cannot be chosen",
                        m->topk, (long long)m->experts, m->n_group,
                        m->topk_group);
    }
    if (c->tokens.begin > c->tokens.end) {
        return moe_fail(MOE_ERR_INPUT, "token_end: before token_begin");
    }
    if (c->local.begin > c->local.end || c->local.end > c->model.experts) {
        return moe_fail(MOE_ERR_INPUT,
                        "expert_end: %lld, expected %lld to %lld",
                        (long long)c->local.end, (long long)c->local.begin,
                        (long long)c->model.experts);
    }
    return MOE_OK;
}

/* Weights that can be drawn, for both matmuls. */
static moe_status_t check_matmuls(const moe_case_settings_t *c)
{
    static const moe_role_t pairs[][2] = {
        {MOE_ROLE_expert_in, MOE_ROLE_gemm1_out},
        {MOE_ROLE_gemm2_in, MOE_ROLE_gemm2_out}};
    const moe_format_t weights = c->chain.weights;
    const bool drawn =
        weights == MOE_FORMAT_nvfp4 || moe_fill_rows_has(weights);

    for (int i = 0; i < 2; i++) {
        const moe_format_t rows = c->chain.at[pairs[i][0]].format;
        const moe_format_t sums = c->chain.at[pairs[i][1]].format;

        if (!drawn || !moe_ref_matmul_supports(rows, weights, sums)) {
            return moe_fail(MOE_ERR_INPUT,
                            "weights: %s, expected a format of weights that "
                            "%s in %s can be multiplied by to %s",
                            moe_format_name(weights),
                            moe_role_name(pairs[i][0]), moe_format_name(rows),
                            moe_format_name(sums));
        }
    }
    return MOE_OK;
}

static moe_status_t check_input(const moe_case_settings_t *c)
{
    const moe_role_t sums[] = {MOE_ROLE_combine, MOE_ROLE_output};

    for (int i = 0; i < 2; i++) {
        const moe_format_t format = c->chain.at[sums[i]].format;

        if (!moe_format_is_float(format)) {
            return moe_fail(MOE_ERR_INPUT, "%s: %s, expected bf16 fp16 fp32",
                            moe_role_name(sums[i]), moe_format_name(format));
        }
    }
    if (c->model.expert_scales && c->chain.weights != MOE_FORMAT_nvfp4) {
        return moe_fail(MOE_ERR_INPUT,
                        "expert_scales: true with weights %s, expected nvfp4",
                        moe_format_name(c->chain.weights));
    }
    return c->model.weight_on_input && c->model.topk != 1
               ? moe_fail(MOE_ERR_INPUT,
                          "weight_on_input: true with topk %d, expected "
                          "topk 1",
                          c->model.topk)
               : MOE_OK;
}

static moe_status_t check_widths(const moe_case_settings_t *c)
{
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        const moe_format_t format = c->chain.at[r].format;
        const int64_t cols = r == MOE_ROLE_gemm2_in || r == MOE_ROLE_act_out
                                 ? c->model.intermediate
                                 : c->model.hidden;

        if (!moe_format_fits(format, cols)) {
            return moe_fail(MOE_ERR_INPUT,
                            "%s: rows of %lld have no whole "
                            "blocks of %s",
                            moe_role_name((moe_role_t)r), (long long)cols,
                            moe_format_name(format));
        }
    }
    return MOE_OK;
}

moe_status_t moe_case_check(const moe_case_settings_t *c)
{
    moe_status_t status = check_shape(c);

    status = status == MOE_OK ? check_input(c) : status;
    status = status == MOE_OK ? check_widths(c) : status;
    return status == MOE_OK ? check_matmuls(c) : status;
}
