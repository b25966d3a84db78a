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

/* Softmax over all experts, and K that is no power of two. */
static const moe_model_t mixtral = {.name = "mixtral",
                                    .hidden = 256,
                                    .intermediate = 384,
                                    .experts = 8,
                                    .topk = 2,
                                    .n_group = 1,
                                    .topk_group = 1,
                                    .score = MOE_SCORE_softmax,
                                    .renormalize = true,
                                    .routed_scaling = 1.0f};

/* Rows travel as both matmuls read them, or are quantised where they are. */
#define IN(format)         MOE_FORMAT_##format, MOE_FORMAT_##format
#define FROM(sent, format) MOE_FORMAT_##sent, MOE_FORMAT_##format
#define PART(begin, end)                                                       \
    {                                                                          \
        begin, end                                                             \
    }
#define ALL8        PART(0, 8)
#define LATER       true, MOE_FAULT_none
#define ALSO_NOW    false, MOE_FAULT_none
#define ONLY(fault) true, MOE_FAULT_##fault

const case_t diagnosis_cases[] = {
    {"deepseek-nvfp4", &deepseek, IN(nvfp4), 12, ALL8, ALSO_NOW},
    {"gpt-oss-mxfp4", &gpt_oss, IN(mxfp4), 12, ALL8, ALSO_NOW},
    {"deepseek-rank-fp8", &deepseek, IN(fp8_1x128), 12, PART(4, 8), ALSO_NOW},
    {"gpt-oss-ue8m0", &gpt_oss, IN(fp8_1x128_ue8m0), 12, ALL8, LATER},
    {"deepseek-mxfp8", &deepseek, IN(mxfp8), 12, ALL8, LATER},
    {"deepseek-int8", &deepseek, IN(int8_token), 12, ALL8, LATER},
    {"deepseek-bf16", &deepseek, IN(bf16), 12, ALL8, LATER},
    {"deepseek-fp8-tensor", &deepseek, IN(fp8_tensor), 12, ALL8, LATER},
    {"wide-nvfp4", &wide, IN(nvfp4), 40, PART(0, 16), LATER},
    {"wide-rank-nvfp4", &wide, IN(nvfp4), 40, PART(8, 16), LATER},
    {"shared-nvfp4", &shared, IN(nvfp4), 12, PART(0, 10),
     ONLY(shared_per_rank)},
    {"scaled-nvfp4", &scaled, IN(nvfp4), 12, ALL8, ONLY(one_alpha)},
    {"scaled-rank-nvfp4", &scaled, IN(nvfp4), 12, PART(4, 8), ONLY(one_alpha)},
    {"biased-mxfp4", &biased, IN(mxfp4), 12, ALL8, ONLY(bias_per_rank)},
    /* the other formats of both routers */
    {"deepseek-mxfp4", &deepseek, IN(mxfp4), 12, ALL8, LATER},
    {"deepseek-ue8m0", &deepseek, IN(fp8_1x128_ue8m0), 12, ALL8, LATER},
    {"deepseek-fp8-token", &deepseek, IN(fp8_token), 12, ALL8, LATER},
    {"deepseek-mxfp8-e5m2", &deepseek, IN(mxfp8_e5m2), 12, ALL8, LATER},
    {"deepseek-int8-1x8", &deepseek, IN(int8_1x8), 12, ALL8, LATER},
    {"deepseek-fp16", &deepseek, IN(fp16), 12, ALL8, LATER},
    {"deepseek-fp32", &deepseek, IN(fp32), 12, ALL8, LATER},
    {"gpt-oss-nvfp4", &gpt_oss, IN(nvfp4), 12, ALL8, LATER},
    {"gpt-oss-fp8", &gpt_oss, IN(fp8_1x128), 12, ALL8, LATER},
    {"gpt-oss-mxfp8", &gpt_oss, IN(mxfp8), 12, ALL8, LATER},
    {"gpt-oss-int8", &gpt_oss, IN(int8_token), 12, ALL8, LATER},
    {"gpt-oss-bf16", &gpt_oss, IN(bf16), 12, ALL8, LATER},
    {"gpt-oss-fp8-tensor", &gpt_oss, IN(fp8_tensor), 12, ALL8, LATER},
    {"gpt-oss-fp8-token", &gpt_oss, IN(fp8_token), 12, ALL8, LATER},
    {"gpt-oss-mxfp8-e5m2", &gpt_oss, IN(mxfp8_e5m2), 12, ALL8, LATER},
    {"gpt-oss-int8-1x8", &gpt_oss, IN(int8_1x8), 12, ALL8, LATER},
    {"gpt-oss-fp16", &gpt_oss, IN(fp16), 12, ALL8, LATER},
    {"gpt-oss-fp32", &gpt_oss, IN(fp32), 12, ALL8, LATER},
    /* rows that are quantised by the ranks of the experts */
    {"deepseek-nvfp4-from-bf16", &deepseek, FROM(bf16, nvfp4), 12, ALL8,
     ALSO_NOW},
    {"deepseek-rank-nvfp4-from-bf16", &deepseek, FROM(bf16, nvfp4), 12,
     PART(4, 8), LATER},
    {"deepseek-fp8-from-bf16", &deepseek, FROM(bf16, fp8_1x128), 12, ALL8,
     LATER},
    {"gpt-oss-mxfp4-from-bf16", &gpt_oss, FROM(bf16, mxfp4), 12, ALL8, LATER},
    {"gpt-oss-nvfp4-from-bf16", &gpt_oss, FROM(bf16, nvfp4), 12, ALL8, LATER},
    {"deepseek-bf16-from-logfmt10", &deepseek, FROM(logfmt10, bf16), 12, ALL8,
     LATER},
    {"deepseek-nvfp4-from-fp8", &deepseek, FROM(fp8_1x128, nvfp4), 12, ALL8,
     LATER},
    /* another shape */
    {"mixtral-nvfp4", &mixtral, IN(nvfp4), 40, ALL8, LATER},
    {"mixtral-fp8", &mixtral, IN(fp8_1x128), 40, ALL8, LATER},
    {"mixtral-mxfp4", &mixtral, IN(mxfp4), 40, ALL8, LATER},
    {"mixtral-int8", &mixtral, IN(int8_token), 40, ALL8, LATER},
};

const int diagnosis_case_count =
    sizeof(diagnosis_cases) / sizeof(diagnosis_cases[0]);

/* Those that can be drawn. */
static moe_format_t weights_of(moe_format_t rows)
{
    return rows == MOE_FORMAT_fp16 || rows == MOE_FORMAT_fp32 ? MOE_FORMAT_bf16
                                                              : rows;
}

static moe_storage_t storage_of(moe_format_t format, float bound)
{
    moe_storage_t storage = {.format = format};

    moe_storage_default(&storage, bound);
    return storage;
}

moe_ref_case_t diagnosis_about(const case_t *c)
{
    moe_ref_case_t about = {.model = c->model,
                            .seed = 7,
                            .tokens = {0, c->tokens},
                            .experts = c->experts};
    moe_storage_t *at = about.chain.at;

    about.chain.weights = weights_of(c->format);
    at[MOE_ROLE_dispatch] = storage_of(c->sent, MOE_FILL_HIDDEN_BOUND);
    at[MOE_ROLE_expert_in] = storage_of(c->format, MOE_FILL_HIDDEN_BOUND);
    at[MOE_ROLE_gemm2_in] = storage_of(c->format, MOE_FILL_ACT_BOUND);
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
