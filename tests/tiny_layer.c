/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/tiny_layer.h"

#include "moe/fill.h"
#include "ref/activation.h"
#include "ref/combine.h"
#include "ref/formats.h"
#include "ref/logits.h"
#include "ref/matmul.h"
#include "ref/permute.h"
#include "ref/quantize.h"
#include "ref/route.h"

#include <string.h>

enum {
    PAIRS = TINY_TOKENS * 4, /* at most; also rows of a store */
    COLS = TINY_HIDDEN,      /* the widest rows */
    SCALES = 128 * COLS / 16 /* a tile of 128x4 scales */
};

/* Rows in memory. */
typedef struct {
    moe_rows_t rows;
    uint32_t codes[PAIRS * COLS];
    float scales[SCALES];
} store_t;

/* What is computed on the way; one layer at a time. */
typedef struct {
    const tiny_t *tiny;
    fault_t fault;
    float logits[TINY_TOKENS * TINY_EXPERTS];
    moe_ref_index_t index;
    store_t hidden, dispatch, expert_in, grouped, gemm1_out, act_out, gemm2_in,
        gemm2_out;
    moe_ref_stats_t stats;
} run_t;

static void make(store_t *s, const moe_storage_t *storage, int64_t rows,
                 int64_t cols)
{
    s->rows = (moe_rows_t){.storage = *storage,
                           .rows = rows,
                           .cols = cols,
                           .codes = s->codes,
                           .scales = s->scales};
}

void tiny_init(tiny_t *tiny, moe_format_t dispatch)
{
    static const moe_model_t model = {.hidden = TINY_HIDDEN,
                                      .intermediate = TINY_INTERMEDIATE,
                                      .experts = TINY_EXPERTS,
                                      .topk = 3,
                                      .n_group = 4,
                                      .topk_group = 2,
                                      .score = MOE_SCORE_sigmoid,
                                      .bias = true,
                                      .renormalize = true,
                                      .routed_scaling = 2.5f};
    moe_storage_t *at = tiny->chain.at;

    memset(tiny, 0, sizeof(*tiny));
    tiny->model = model;
    tiny->layer.model = &tiny->model;
    tiny->layer.seed = 7667;
    tiny->chain.contract = moe_contract_default();
    tiny->chain.weights = MOE_FORMAT_nvfp4; /* bf16 is format 0 */
    at[MOE_ROLE_dispatch].format = dispatch;
    at[MOE_ROLE_expert_in].format = MOE_FORMAT_nvfp4;
    at[MOE_ROLE_gemm2_in].format = MOE_FORMAT_nvfp4;
    moe_storage_default(&at[MOE_ROLE_dispatch], MOE_FILL_HIDDEN_BOUND);
    moe_storage_default(&at[MOE_ROLE_expert_in], MOE_FILL_HIDDEN_BOUND);
    moe_storage_default(&at[MOE_ROLE_gemm2_in], MOE_FILL_ACT_BOUND);
    moe_fill_hidden(1, TINY_HIDDEN, 0, TINY_TOKENS, tiny->hidden);
    moe_fill_router(1, TINY_EXPERTS, TINY_HIDDEN, tiny->router);
    moe_fill_bias(1, TINY_EXPERTS, tiny->bias);
}

/* bf16 rows from fp32 ones, cut off. */
static void cut_off(const store_t *from, store_t *to)
{
    for (int64_t i = 0; i < from->rows.rows * from->rows.cols; i++) {
        ((uint16_t *)to->codes)[i] = (uint16_t)(from->codes[i] >> 16);
    }
}

/* Storage of a place, fp32 instead if the fault wants to see more digits. */
static moe_storage_t storage_of(const run_t *run, moe_role_t role, fault_t wide)
{
    moe_storage_t storage = run->tiny->chain.at[role];

    if (run->fault == wide) {
        storage.format = MOE_FORMAT_fp32;
    }
    return storage;
}

static bool make_logits(run_t *run)
{
    const tiny_t *t = run->tiny;
    const uint16_t *router = t->router;
    uint16_t shifted[TINY_EXPERTS * TINY_HIDDEN];

    make(&run->hidden, &t->chain.at[MOE_ROLE_hidden], TINY_TOKENS, TINY_HIDDEN);
    memcpy(run->hidden.codes, t->hidden, sizeof(t->hidden));
    if (run->fault == FAULT_router_row) {
        memcpy(shifted, router + TINY_HIDDEN,
               sizeof(shifted) - 2 * TINY_HIDDEN);
        memcpy(shifted + (TINY_EXPERTS - 1) * TINY_HIDDEN, router,
               2 * TINY_HIDDEN);
        router = shifted;
    }
    if (moe_ref_logits(&run->hidden.rows, router, TINY_EXPERTS, run->logits,
                       &run->stats) != MOE_OK) {
        return false;
    }
    for (int i = 0; i < TINY_TOKENS * TINY_EXPERTS; i++) {
        if (run->fault == FAULT_logits_bf16) {
            run->logits[i] = moe_bf16_to_f32(moe_bf16_from_f32(run->logits[i]));
        }
    }
    return true;
}

static bool route(run_t *run, tiny_result_t *result)
{
    const fault_t fault = run->fault;
    moe_model_t m = run->tiny->model;
    const float *bias =
        m.bias && fault != FAULT_no_bias ? run->tiny->bias : NULL;
    int64_t bad[2];

    if (fault == FAULT_softmax) {
        m.score = MOE_SCORE_softmax;
        m.n_group = m.topk_group = 1;
    }
    m.topk_group += fault == FAULT_group_mask;
    m.renormalize = m.renormalize && fault != FAULT_no_renormalize;
    m.routed_scaling = fault == FAULT_no_scaling ? 1.0f : m.routed_scaling;
    if (moe_ref_route(&m, run->logits, bias, TINY_TOKENS, result->ids,
                      result->weights, &run->stats, bad) != MOE_OK) {
        return false;
    }
    for (int i = 0; i < TINY_TOKENS * m.topk; i++) {
        if (fault == FAULT_bias_in_weights) {
            result->weights[i] += run->tiny->bias[result->ids[i]];
        }
        if (fault == FAULT_slots_swapped && i % m.topk == 1) {
            float w = result->weights[i];

            result->weights[i] = result->weights[i - 1];
            result->weights[i - 1] = w;
        }
    }
    return true;
}

/* Faults of rows that have been quantised to nvfp4. */
static void spoil_dispatch(const run_t *run, store_t *s)
{
    uint8_t *codes = (uint8_t *)s->codes;

    for (int i = 0; i < TINY_TOKENS * TINY_HIDDEN / 2; i++) {
        if (run->fault == FAULT_dispatch_nibbles) {
            codes[i] = (uint8_t)(codes[i] << 4 | codes[i] >> 4);
        }
        if (run->fault == FAULT_dispatch_code && i % (TINY_HIDDEN / 2) == 5) {
            codes[i] ^= 1;
        }
    }
    s->rows.storage.global_scale /=
        run->fault == FAULT_dispatch_scale ? 2.0f : 1.0f;
    s->rows.layout = run->fault == FAULT_dispatch_layout ? MOE_SCALES_128x4
                                                         : MOE_SCALES_linear;
}

/* hidden to dispatch, and to expert_in where that is another storage. */
static bool dispatch(run_t *run)
{
    moe_storage_t first = run->tiny->chain.at[MOE_ROLE_dispatch];
    moe_storage_t second = run->tiny->chain.at[MOE_ROLE_expert_in];
    bool again = !moe_storage_equal(&first, &second);
    moe_rows_t *from = &run->hidden.rows;

    second.global_scale *= run->fault == FAULT_dispatch_scale ? 2.0f : 1.0f;
    make(&run->dispatch, &first, TINY_TOKENS, TINY_HIDDEN);
    make(&run->expert_in, &second, TINY_TOKENS, TINY_HIDDEN);
    if (again && !moe_format_is_float(first.format)) {
        if (moe_ref_quantize(from, &run->dispatch.rows) != MOE_OK) {
            return false;
        }
        from = &run->dispatch.rows;
    }
    if (moe_ref_quantize(from, &run->expert_in.rows) != MOE_OK) {
        return false;
    }
    spoil_dispatch(run, &run->expert_in);
    return true;
}

static bool group(run_t *run, const tiny_result_t *result)
{
    moe_storage_t storage = run->expert_in.rows.storage;

    if (moe_ref_index_init(result->ids, TINY_TOKENS, run->tiny->model.topk, 0,
                           TINY_EXPERTS, &run->index) != MOE_OK) {
        return false;
    }
    for (int64_t i = 0; i < run->index.n; i++) {
        if (run->fault == FAULT_gather_row && run->index.row[i] > 0) {
            run->index.row[i]--;
        }
    }
    make(&run->grouped, &storage, run->index.n, TINY_HIDDEN);
    moe_ref_gather_rows(&run->expert_in.rows, &run->index, &run->grouped.rows);
    return true;
}

/* The second block of 16 columns has scale 0. */
static void skip_block(store_t *s)
{
    int64_t blocks = s->rows.cols / 16;

    for (int64_t i = 0; i < s->rows.rows; i++) {
        ((uint8_t *)s->scales)[i * blocks + 1] = 0;
    }
}

static bool gemm(run_t *run, moe_weight_t weight, store_t *x, store_t *out)
{
    const bool first = weight == MOE_W13;
    const moe_role_t role = first ? MOE_ROLE_gemm1_out : MOE_ROLE_gemm2_out;
    const fault_t round = first ? FAULT_gemm1_round : FAULT_gemm2_round;
    const moe_storage_t storage = storage_of(run, role, round);
    const moe_storage_t narrow = run->tiny->chain.at[role];
    static store_t wide;
    moe_ref_weights_t weights = {
        .model = &run->tiny->model,
        .seed = run->tiny->layer.seed,
        .weight = weight,
        .format = MOE_FORMAT_nvfp4,
        .first_expert = first && run->fault == FAULT_gemm1_expert,
    };
    moe_status_t status;

    if (run->fault == (first ? FAULT_gemm1_block : FAULT_gemm2_block)) {
        skip_block(x);
    }
    make(out, &narrow, run->index.n, moe_weight_rows(weights.model, weight));
    make(&wide, &storage, run->index.n, out->rows.cols);
    status = moe_ref_grouped_matmul(
        &weights, &x->rows, run->index.offset, TINY_EXPERTS,
        run->fault == round ? &wide.rows : &out->rows, &run->stats);
    if (run->fault == round) {
        cut_off(&wide, out);
    }
    return status == MOE_OK;
}

/* Gate and up exchanged, or act_out = g u. */
static void spoil_activation(const run_t *run, store_t *x, store_t *out)
{
    const int64_t n = TINY_INTERMEDIATE;
    double g, u;

    for (int64_t i = 0; i < run->index.n * n; i++) {
        int64_t row = i / n;

        moe_rows_values(&x->rows, row, i % n, 1, &g);
        moe_rows_values(&x->rows, row, n + i % n, 1, &u);
        if (run->fault == FAULT_gate_up) {
            moe_rows_round(&x->rows, row, i % n, 1, &u);
            moe_rows_round(&x->rows, row, n + i % n, 1, &g);
        } else if (run->fault == FAULT_no_sigmoid) {
            g *= u;
            moe_rows_round(&out->rows, row, i % n, 1, &g);
        }
    }
}

static bool activate(run_t *run)
{
    const moe_storage_t narrow = run->tiny->chain.at[MOE_ROLE_act_out];
    const bool keep = run->fault == FAULT_act_kept;
    const moe_ref_gate_t gate = {run->tiny->model.activation,
                                 run->tiny->model.gate_up};
    const moe_storage_t storage = storage_of(
        run, MOE_ROLE_act_out, keep ? FAULT_act_kept : FAULT_act_round);
    static store_t wide;

    make(&run->act_out, &narrow, run->index.n, TINY_INTERMEDIATE);
    make(&wide, &storage, run->index.n, TINY_INTERMEDIATE);
    if (run->fault == FAULT_gate_up) {
        spoil_activation(run, &run->gemm1_out, &run->act_out);
    }
    if (moe_ref_activate(gate, &run->gemm1_out.rows, &wide.rows, &run->stats) !=
        MOE_OK) {
        return false;
    }
    if (run->fault == FAULT_act_round) {
        cut_off(&wide, &run->act_out);
    } else if (run->fault == FAULT_no_sigmoid) {
        spoil_activation(run, &run->gemm1_out, &run->act_out);
    } else {
        run->act_out = wide;
        run->act_out.rows.codes = run->act_out.codes;
    }
    make(&run->gemm2_in, &run->tiny->chain.at[MOE_ROLE_gemm2_in], run->index.n,
         TINY_INTERMEDIATE);
    if (moe_ref_quantize(&run->act_out.rows, &run->gemm2_in.rows) != MOE_OK) {
        return false;
    }
    if (run->fault == FAULT_gemm2_scale) {
        run->gemm2_in.rows.storage.global_scale = 1.0f;
    }
    return true;
}

/* Exact terms of an element to its code. */
static uint32_t finish(const run_t *run, double *term, int n)
{
    const moe_format_t format = run->tiny->chain.at[MOE_ROLE_output].format;
    double sum[2] = {0.0, 0.0};

    n -= run->fault == FAULT_slot_skipped;
    if (run->fault == FAULT_output_round) {
        return moe_ref_round_terms(term, n, MOE_FORMAT_fp32) >> 16;
    }
    for (int i = 0; i < n && run->fault == FAULT_partial_round; i++) {
        sum[1] = term[i];
        sum[0] = moe_float_value(format, moe_ref_round_terms(sum, 2, format));
    }
    return run->fault == FAULT_partial_round
               ? moe_ref_round_terms(sum, 1, format)
               : moe_ref_round_terms(term, n, format);
}

static void combine(const run_t *run, tiny_result_t *result)
{
    const int k = run->tiny->model.topk;
    moe_ref_terms_t terms = {run->gemm2_out.rows, &run->index, result->weights};
    float ones[TINY_TOKENS * MOE_TOPK_MAX];

    for (int i = 0; i < TINY_TOKENS * k; i++) {
        ones[i] = 1.0f;
    }
    terms.weights = run->fault == FAULT_no_weights ? ones : terms.weights;
    for (int i = 0; i < TINY_TOKENS * TINY_HIDDEN; i++) {
        double term[MOE_TOPK_MAX];
        int n =
            moe_ref_sum_terms(&terms, i / TINY_HIDDEN, i % TINY_HIDDEN, term);

        result->output[i] = finish(run, term, n);
    }
}

bool tiny_run(const tiny_t *tiny, fault_t fault, tiny_result_t *result)
{
    static run_t run;
    bool good;

    memset(&run, 0, sizeof(run));
    run.tiny = tiny;
    run.fault = fault;
    good = make_logits(&run) && route(&run, result) && dispatch(&run) &&
           group(&run, result) &&
           gemm(&run, MOE_W13, &run.grouped, &run.gemm1_out) &&
           activate(&run) && gemm(&run, MOE_W2, &run.gemm2_in, &run.gemm2_out);
    if (good) {
        combine(&run, result);
    }
    moe_ref_index_fini(&run.index);
    return good;
}

moe_status_t tiny_oracle(const tiny_t *tiny, tiny_result_t *result)
{
    const moe_oracle_t oracle = {.layer = &tiny->layer,
                                 .chain = &tiny->chain,
                                 .router = tiny->router,
                                 .bias = tiny->model.bias ? tiny->bias : NULL};
    const int k = tiny->model.topk;
    moe_status_t status = MOE_OK;

    for (int i = 0; status == MOE_OK && i < TINY_TOKENS; i++) {
        moe_oracle_token_t token = {.output = result->output + i * TINY_HIDDEN};

        status = moe_oracle_token(&oracle, tiny->hidden + i * TINY_HIDDEN, NULL,
                                  NULL, &token);
        memcpy(result->ids + i * k, token.ids, (size_t)k * 4);
        memcpy(result->weights + i * k, token.weights, (size_t)k * 4);
    }
    return status;
}
