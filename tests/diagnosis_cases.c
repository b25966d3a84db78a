/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/diagnosis_cases.h"

#include "ref/formats.h"
#include "tests/support.h"

/* Two routers, and what goes with them. */
static const moe_model_t deepseek = {.name = "deepseek",
                                     .hidden = 128,
                                     .intermediate = 128,
                                     .experts = 8,
                                     .topk = 3,
                                     .n_group = 4,
                                     .topk_group = 2,
                                     .score = MOE_SCORE_sigmoid,
                                     .bias = true,
                                     .renormalize = true,
                                     .routed_scaling = 2.5f};
static const moe_model_t gpt_oss = {.name = "gpt-oss",
                                    .hidden = 128,
                                    .intermediate = 128,
                                    .experts = 8,
                                    .topk = 2,
                                    .n_group = 1,
                                    .topk_group = 1,
                                    .score = MOE_SCORE_softmax_chosen,
                                    .routed_scaling = 1.0f,
                                    .activation = MOE_ACTIVATION_swiglu_oai,
                                    .gate_up = MOE_GATE_UP_interleaved};

/* Two of ten are shared experts, which every token has. */
static const moe_model_t shared = {.name = "shared",
                                   .hidden = 128,
                                   .intermediate = 128,
                                   .experts = 10,
                                   .topk = 5,
                                   .shared = 2,
                                   .n_group = 4,
                                   .topk_group = 2,
                                   .score = MOE_SCORE_sigmoid,
                                   .bias = true,
                                   .renormalize = true,
                                   .routed_scaling = 2.5f};

/* gpt-oss with the biases that its experts add. */
static const moe_model_t biased = {.name = "biased",
                                   .hidden = 128,
                                   .intermediate = 128,
                                   .experts = 8,
                                   .topk = 2,
                                   .n_group = 1,
                                   .topk_group = 1,
                                   .score = MOE_SCORE_softmax_chosen,
                                   .routed_scaling = 1.0f,
                                   .activation = MOE_ACTIVATION_swiglu_oai,
                                   .gate_up = MOE_GATE_UP_interleaved,
                                   .expert_bias = true};

/* NVFP4 weights with a global scale an expert, as checkpoints have them. */
static const moe_model_t scaled = {.name = "scaled",
                                   .hidden = 128,
                                   .intermediate = 128,
                                   .experts = 8,
                                   .topk = 3,
                                   .n_group = 1,
                                   .topk_group = 1,
                                   .score = MOE_SCORE_softmax,
                                   .renormalize = true,
                                   .routed_scaling = 1.0f,
                                   .expert_scales = true};

static const moe_model_t wide = {.name = "wide",
                                 .hidden = 512,
                                 .intermediate = 256,
                                 .experts = 16,
                                 .topk = 4,
                                 .n_group = 1,
                                 .topk_group = 1,
                                 .score = MOE_SCORE_softmax,
                                 .renormalize = true,
                                 .routed_scaling = 1.0f};

#define ALL8                                                                   \
    {                                                                          \
        0, 8                                                                   \
    }
#define NO MOE_FAULT_none

const case_t diagnosis_cases[] = {
    {"deepseek-nvfp4", &deepseek, MOE_FORMAT_nvfp4, 0, 12, ALL8, false, NO},
    {"gpt-oss-mxfp4", &gpt_oss, MOE_FORMAT_mxfp4, 0, 12, ALL8, false, NO},
    {"deepseek-rank-fp8",
     &deepseek,
     MOE_FORMAT_fp8_1x128,
     0,
     12,
     {4, 8},
     false,
     NO},
    {"gpt-oss-ue8m0", &gpt_oss, MOE_FORMAT_fp8_1x128_ue8m0, 0, 12, ALL8, true,
     NO},
    {"deepseek-mxfp8", &deepseek, MOE_FORMAT_mxfp8, 0, 12, ALL8, true, NO},
    {"deepseek-int8", &deepseek, MOE_FORMAT_int8_token, 0, 12, ALL8, true, NO},
    {"deepseek-bf16", &deepseek, MOE_FORMAT_bf16, 0, 12, ALL8, true, NO},
    {"deepseek-fp8-tensor", &deepseek, MOE_FORMAT_fp8_tensor, 0, 12, ALL8, true,
     NO},
    {"wide-nvfp4", &wide, MOE_FORMAT_nvfp4, 0, 40, {0, 16}, true, NO},
    {"wide-rank-nvfp4", &wide, MOE_FORMAT_nvfp4, 0, 40, {8, 16}, true, NO},
    {"shared-nvfp4",
     &shared,
     MOE_FORMAT_nvfp4,
     0,
     12,
     {0, 10},
     true,
     MOE_FAULT_shared_per_rank},
    {"scaled-nvfp4", &scaled, MOE_FORMAT_nvfp4, 0, 12, ALL8, true,
     MOE_FAULT_one_alpha},
    {"scaled-rank-nvfp4",
     &scaled,
     MOE_FORMAT_nvfp4,
     0,
     12,
     {4, 8},
     true,
     MOE_FAULT_one_alpha},
    {"biased-mxfp4", &biased, MOE_FORMAT_mxfp4, 0, 12, ALL8, true,
     MOE_FAULT_bias_per_rank},
};

const int diagnosis_case_count =
    sizeof(diagnosis_cases) / sizeof(diagnosis_cases[0]);

moe_ref_case_t diagnosis_about(const case_t *c)
{
    moe_ref_case_t about = {.model = c->model,
                            .seed = 7,
                            .tokens = {0, c->tokens},
                            .experts = c->experts};
    moe_storage_t *at = about.chain.at;

    about.chain.weights = c->format == MOE_FORMAT_mxfp4 ? MOE_FORMAT_mxfp4
                          : c->format == MOE_FORMAT_fp8_1x128 ||
                                  c->format == MOE_FORMAT_fp8_1x128_ue8m0
                              ? c->format
                              : MOE_FORMAT_nvfp4;
    if (c->format == MOE_FORMAT_bf16 || c->format == MOE_FORMAT_int8_token ||
        c->format == MOE_FORMAT_mxfp8 || c->format == MOE_FORMAT_fp8_tensor) {
        about.chain.weights = c->format;
    }
    at[MOE_ROLE_dispatch].format = c->format;
    at[MOE_ROLE_gemm2_in].format = c->format;
    at[MOE_ROLE_dispatch].profile = c->profile;
    at[MOE_ROLE_gemm2_in].profile = c->profile;
    moe_storage_default(&at[MOE_ROLE_dispatch], MOE_FILL_HIDDEN_BOUND);
    moe_storage_default(&at[MOE_ROLE_gemm2_in], MOE_FILL_ACT_BOUND);
    at[MOE_ROLE_expert_in] = at[MOE_ROLE_dispatch];
    return about;
}

moe_role_t diagnosis_last_of(const case_t *c)
{
    return c->experts.end - c->experts.begin == c->model->experts
               ? MOE_ROLE_output
               : MOE_ROLE_combine;
}

/* The layer with a mistake; false if it means nothing. */
bool diagnosis_make(const case_t *c, moe_fault_t fault, moe_ref_layer_t *layer)
{
    const moe_ref_case_t what = diagnosis_about(c);

    ck_assert_int_eq(moe_ref_layer_init(&what, layer), MOE_OK);
    layer->fault = fault;
    for (int r = MOE_ROLE_hidden; r <= (int)diagnosis_last_of(c); r++) {
        moe_status_t status;

        if (r == MOE_ROLE_combine && diagnosis_last_of(c) != MOE_ROLE_combine) {
            continue;
        }
        status = moe_ref_layer_make(layer, (moe_role_t)r);
        if (status == MOE_ERR_UNSUPPORTED && fault.kind != MOE_FAULT_none) {
            moe_error_clear();
            return false;
        }
        ck_assert_msg(status == MOE_OK, "%s: %s: %s", c->name,
                      moe_role_name((moe_role_t)r), moe_error_text());
    }
    return true;
}

/* Judge and diagnose the tensors of a layer; what was found, in words. */
void diagnosis_examine(const case_t *c, const moe_ref_layer_t *layer,
                       bool stages, moe_diagnosis_t *d)
{
    diagnosis_examine_most(c, layer, stages, MOE_DIAGNOSIS_WORK, d);
}

void diagnosis_examine_most(const case_t *c, const moe_ref_layer_t *layer,
                            bool stages, double most, moe_diagnosis_t *d)
{
    const moe_ref_case_t what = diagnosis_about(c);
    const moe_role_t last = diagnosis_last_of(c);

    diagnosis_judge(&what, layer, stages ? MOE_ROLE_hidden : last, last,
                    MOE_ROLE_none, most, d);
}

void diagnosis_judge(const moe_ref_case_t *about, const moe_ref_layer_t *layer,
                     moe_role_t first, moe_role_t last, moe_role_t trusted,
                     double most, moe_diagnosis_t *d)
{
    moe_judge_t judge;

    ck_assert_int_eq(
        moe_judge_init(about, MOE_ACCUMULATOR_fp32, 1000000, &judge), MOE_OK);
    for (int r = (int)first; r <= (int)last; r++) {
        if (layer->held[r]) {
            ck_assert_int_eq(
                r == (int)trusted
                    ? moe_judge_trust(&judge, (moe_role_t)r, &layer->at[r])
                    : moe_judge_give(&judge, (moe_role_t)r, &layer->at[r]),
                MOE_OK);
        }
    }
    ck_assert_int_eq(moe_judge_run(&judge), MOE_OK);
    ck_assert_msg(moe_diagnosis_make(&judge, most, d) == MOE_OK, "%s",
                  moe_error_text());
    ck_assert(moe_judge_is_good(&judge) == d->good);
    moe_judge_fini(&judge);
}
