/* SPDX-License-Identifier: Apache-2.0 */
/* Written from doc/numerics.md, for one token, as plainly as speed allows.
 * Of ref/ it uses nothing but format conversions. Its router has a file of
 * its own, ref/oracle_route.c. */
#include "ref/oracle.h"

#include "base/hot.h"
#include "moe/draw.h"
#include "ref/oracle_combine.h"
#include "ref/oracle_gate.h"
#include "ref/oracle_linear.h"
#include "ref/oracle_quantize.h"
#include "ref/oracle_unrounded.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 16, /* columns that share a scale of nvfp4 */
    WORD = 8    /* codes in 32 bits */
};

typedef struct {
    const moe_oracle_t *oracle;
    const moe_model_t *m;
    const moe_storage_t *at; /* the chain */
    double *x;               /* [H] what is dispatched */
    double *y;               /* [max(H, 2 I)] */
    double *term;            /* [parts][k][H] what the experts return, and */
    double *rest;            /* what that lacks where it is carried unrounded */
    int parts;               /* of I, in `faithful`; 1: whole experts */
    double *low;             /* [2 I] what y lacks of gemm1_out */
    double *plain;           /* [K] y while its products are made */
    uint32_t *codes;         /* of a row of weights, by words of 8 */
    uint8_t *scales;         /* of a row of weights */
    int32_t *d;              /* [K / 8] */
    oracle_nvfp4_t row;      /* value = twice / 2 * units * 2^-9 * decode */
    moe_status_t status;     /* of the quantisers */
    int32_t unit[256];       /* an E4M3 scale in units of 2^-9 */
    mpfr_t sum;
} work_t;

static bool rounds(const work_t *w, moe_rounding_t point)
{
    return moe_chain_rounds(w->oracle->chain, point);
}

static void store(work_t *w, double *x, int64_t n, moe_rounding_t point)
{
    const moe_role_t role = moe_rounding_role(point);
    const moe_storage_t *as = &w->at[role];

    if (!rounds(w, point) || w->status != MOE_OK) {
        return;
    }
    if (moe_format_is_coded(as->format)) {
        w->status = oracle_quantise(as, x, n, &w->row);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        x[i] = oracle_rounded(as->format, x[i]);
    }
}

/* Twice the value of an E2M1 code: 0 1 2 3 4 6 8 12. */
MOE_HOT_INLINE int twice_of(int code)
{
    int m = code & 7;

    m += (m > 4) + (m > 5) + 3 * (m > 6);
    return (code & 8) != 0 ? -m : m;
}

/* d[j] = the eight products of word j, codes from the low bits up; twice is
 * [8][stride]. */
MOE_HOT static void dot_words(const uint32_t *restrict words,
                              const int32_t *restrict twice, int64_t n,
                              int64_t stride, int32_t *restrict d)
{
    memset(d, 0, (size_t)n * sizeof(*d));
    for (int i = 0; i < WORD; i++) {
        for (int64_t j = 0; j < n; j++) {
            d[j] +=
                twice[i * stride + j] * twice_of((int)(words[j] >> (4 * i)));
        }
    }
}

/* A piece of a matmul: columns [first, first + n) of k. */
typedef struct {
    moe_weight_t weight;
    moe_rounding_t point;
    int64_t k;
    int64_t first;
    int64_t n;
} piece_t;

/* Row of weights times the nvfp4 row, in units of 2^-20 and of both decode
 * scales; at most 1.3e14 a block. */
static int64_t dot(const work_t *w, const piece_t *p)
{
    int64_t sum = 0;

    dot_words(w->codes, w->row.twice + p->first / WORD, p->n / WORD,
              p->k / WORD, w->d);
    for (int64_t b = 0; b < p->n / BLOCK; b++) {
        int32_t d = w->d[2 * b] + w->d[2 * b + 1];

        sum += (int64_t)d * w->row.units[p->first / BLOCK + b] *
               w->unit[w->scales[b]];
    }
    return sum;
}

/* What an expert adds to output r; a sum over parts has it in the first. */
static double bias_of(const work_t *w, const piece_t *p, int64_t expert,
                      int64_t r)
{
    float bias = 0.0f;

    if (w->m->expert_bias && p->first == 0) {
        moe_fill_expert_bias(w->oracle->layer->seed, p->weight, expert, r, 1,
                             &bias);
    }
    return (double)bias;
}

/* The same with weights in another format; x is what the row's codes say. */
static void linear_plain(work_t *w, const piece_t *p, int64_t expert, double *y,
                         double *low)
{
    const moe_format_t format = w->at[moe_rounding_role(p->point)].format;
    const moe_format_t weights = w->oracle->chain->weights;
    const moe_layer_t *layer = w->oracle->layer;
    const moe_draw_t from = {layer->data, layer->seed, w->m};
    const double global = (double)moe_draw_weight_global(
        &from, p->weight, weights, expert, p->k); /* a power of two */

    memcpy(w->plain, w->y, (size_t)p->k * sizeof(*y));
    for (int64_t r = 0; r < moe_weight_rows(w->m, p->weight); r++) {
        moe_draw_rows(&from, p->weight, weights, expert, r, 1, p->first, p->n,
                      w->codes, w->scales);
        oracle_dot(w->plain + p->first, weights, w->codes, w->scales, p->n,
                   w->sum);
        mpfr_mul_d(w->sum, w->sum, global, MPFR_RNDN);
        mpfr_add_d(w->sum, w->sum, bias_of(w, p, expert, r), MPFR_RNDN);
        y[r] = oracle_round_sum(w->sum, format);
        low[r] = 0.0;
    }
}

/* A biased sum of the grid, rounded once. */
static double round_biased(work_t *w, oracle_number_t x, double bias,
                           moe_format_t format)
{
    double high, low;

    oracle_split(x, &high, &low);
    mpfr_set_d(w->sum, high, MPFR_RNDN);
    mpfr_add_d(w->sum, w->sum, low, MPFR_RNDN);
    mpfr_add_d(w->sum, w->sum, bias, MPFR_RNDN);
    return oracle_round_sum(w->sum, format);
}

/* y + low = weights times the nvfp4 row, each sum rounded once or not. */
static void linear(work_t *w, const piece_t *p, int64_t expert, double *y,
                   double *low)
{
    const moe_format_t format = w->at[moe_rounding_role(p->point)].format;
    const moe_layer_t *layer = w->oracle->layer;
    const moe_draw_t from = {layer->data, layer->seed, w->m};
    const double d = (double)w->row.decode *
                     (double)moe_draw_weight_global(
                         &from, p->weight, MOE_FORMAT_nvfp4, expert, p->k);
    int e;
    const moe_u128_t alpha = (uint64_t)(frexp(d, &e) * 0x1p48); /* exact */

    if (w->oracle->chain->weights != MOE_FORMAT_nvfp4) {
        linear_plain(w, p, expert, y, low);
        return;
    }
    for (int64_t r = 0; r < moe_weight_rows(w->m, p->weight); r++) {
        oracle_number_t x = {.exponent = e - 48 - 20};
        int64_t s;

        moe_draw_weight_codes(&from, p->weight, expert, r, 1, p->first, p->n,
                              (uint8_t *)w->codes);
        moe_draw_weight_scales(&from, p->weight, expert, r, 1, p->first / BLOCK,
                               p->n / BLOCK, w->scales);
        s = dot(w, p);
        x.negative = s < 0;
        x.digits = alpha * (uint64_t)llabs(s);
        low[r] = 0.0;
        if (w->m->expert_bias) {
            y[r] = round_biased(w, x, bias_of(w, p, expert, r), format);
        } else if (rounds(w, p->point)) {
            y[r] = moe_float_value(format, oracle_code(format, x));
        } else {
            oracle_split(x, &y[r], &low[r]);
        }
    }
}

/* act of gate and up number i of n. */
static double activate(work_t *w, int64_t i, int64_t n)
{
    const moe_format_t format = w->at[MOE_ROLE_act_out].format;
    const bool mixed = w->m->gate_up == MOE_GATE_UP_interleaved;
    const int64_t g = mixed ? 2 * i : i;
    const int64_t u = mixed ? 2 * i + 1 : n + i;

    if (!rounds(w, MOE_ROUNDING_gemm1_out)) {
        return oracle_swiglu(w->y[g], w->low[g], w->y[u], w->low[u], format);
    }
    return oracle_gate(w->m->activation, w->sum, w->y[g], w->y[u], format);
}

/* Routing weight times what an activation gave; Megatron-LM's product is fp32
 * before it is cast. */
static double weighed(const work_t *w, double weight, double y)
{
    const double product = weight * y; /* exact */

    return oracle_rounded(w->at[MOE_ROLE_act_out].format,
                          w->oracle->chain->numerics == MOE_NUMERICS_faithful
                              ? oracle_rounded(MOE_FORMAT_fp32, product)
                              : product);
}

/* x times the one slot's routing weight, if experts are given that. */
static void weigh_input(const work_t *w, double weight, double *x)
{
    const moe_format_t format = w->at[MOE_ROLE_hidden].format;

    for (int64_t i = 0; rounds(w, MOE_ROUNDING_weighted_in) && i < w->m->hidden;
         i++) {
        x[i] = oracle_rounded(format, weight * x[i]);
    }
}

/* Ranks, or the only one, have parts of I. */
static bool is_cut_up(const moe_chain_t *chain)
{
    return (chain->contract.points & MOE_ROUND(gemm2_part)) != 0;
}

static void run_expert(work_t *w, int64_t expert, double weight, int64_t at)
{
    const int64_t n = w->m->intermediate;
    const int64_t h = w->m->hidden;
    const piece_t up = {MOE_W13, MOE_ROUNDING_gemm1_out, h, 0, h};
    const moe_format_info_t *in =
        moe_format_info(w->at[MOE_ROLE_gemm2_in].format);
    const int scaled = in->block == MOE_BLOCK_ROW ? w->parts : 1; /* a rank's */
    double *y = w->y;

    memcpy(y, w->x, (size_t)h * sizeof(*y));
    store(w, y, h, MOE_ROUNDING_expert_in);
    linear(w, &up, expert, y, w->low);
    for (int64_t i = 0; i < n; i++) {
        y[i] = activate(w, i, n);
    }
    for (int64_t i = 0; rounds(w, MOE_ROUNDING_weighted_act) && i < n; i++) {
        y[i] = weighed(w, weight, y[i]);
    }
    for (int part = 0; part < scaled; part++) {
        const moe_range_t own = moe_layout_part(n, scaled, part);

        store(w, y + own.begin, own.end - own.begin, MOE_ROUNDING_gemm2_in);
    }
    for (int part = 0; part < w->parts; part++) {
        const moe_range_t own = moe_layout_part(n, w->parts, part);
        const piece_t down = {MOE_W2,
                              is_cut_up(w->oracle->chain)
                                  ? MOE_ROUNDING_gemm2_part
                                  : MOE_ROUNDING_gemm2_out,
                              n, own.begin, own.end - own.begin};
        const int64_t to = at + part * w->m->topk * h;

        linear(w, &down, expert, w->term + to, w->rest + to);
    }
}

/* Dispatch, run the experts, and sum up. */
static moe_status_t run_token(work_t *w, const moe_oracle_token_t *token)
{
    const int64_t h = w->m->hidden;
    const oracle_terms_t terms = {w->oracle, token,   w->parts,
                                  w->term,   w->rest, w->sum};

    if (!moe_contract_computes(&w->oracle->chain->contract)) {
        memset(token->output, 0, (size_t)h * sizeof(*token->output));
        return MOE_OK;
    }
    weigh_input(w, (double)token->weights[0], w->x);
    if (!moe_storage_equal(&w->at[MOE_ROLE_dispatch],
                           &w->at[MOE_ROLE_expert_in])) {
        store(w, w->x, h, MOE_ROUNDING_dispatch);
    }
    for (int s = 0; s < w->m->topk; s++) {
        if (token->ids[s] >= 0) { /* else dropped: terms of 0 */
            run_expert(w, token->ids[s], (double)token->weights[s], s * h);
        }
    }
    return w->status == MOE_OK ? oracle_combine(&terms) : w->status;
}

static bool is_place(const moe_storage_t *as, int64_t cols)
{
    return moe_format_fits(as->format, cols) &&
           (!moe_format_is_coded(as->format) || oracle_quantises(as->profile));
}

static bool is_supported(const moe_model_t *m, const moe_chain_t *chain)
{
    const moe_storage_t *in = &chain->at[MOE_ROLE_expert_in];
    const moe_storage_t *mid = &chain->at[MOE_ROLE_gemm2_in];
    const bool four = chain->weights == MOE_FORMAT_nvfp4;
    bool good = chain->at[MOE_ROLE_hidden].format == MOE_FORMAT_bf16 &&
                (four ? in->format == MOE_FORMAT_nvfp4 &&
                            mid->format == MOE_FORMAT_nvfp4
                      : moe_fill_rows_has(chain->weights));

    good = good && (!m->weight_on_input || m->topk == 1);
    return good && m->hidden % BLOCK == 0 && m->intermediate % BLOCK == 0 &&
           is_place(in, m->hidden) && is_place(mid, m->intermediate) &&
           is_place(&chain->at[MOE_ROLE_dispatch], m->hidden) &&
           is_place(&chain->at[MOE_ROLE_combine], m->hidden);
}

/* Arrays of a token, all in one piece of memory. */
static bool work_init(work_t *w, const moe_oracle_t *oracle)
{
    const moe_model_t *m = oracle->layer->model;
    const int64_t twice = 2 * m->intermediate;
    const int64_t wide = m->hidden > twice ? m->hidden : twice;
    /* also where they stay unrounded: ranks add them up */
    const bool cut = oracle->chain->numerics == MOE_NUMERICS_faithful &&
                     is_cut_up(oracle->chain);
    const int parts = cut ? oracle->layer->layout.tp : 1;
    const int64_t terms = (int64_t)parts * m->topk * wide;
    double *p = calloc((size_t)(2 * terms + 7 * wide), sizeof(*p));

    if (p == NULL) {
        return false;
    }
    *w = (work_t){.oracle = oracle, .m = m, .at = oracle->chain->at, .x = p};
    w->y = p + wide;
    w->parts = parts;
    w->plain = p + 2 * terms + 6 * wide;
    w->low = w->y + wide;
    w->term = w->low + wide;
    w->rest = w->term + terms;
    w->row.units = (int32_t *)(w->rest + terms);
    w->row.twice = w->row.units + wide;
    w->d = w->row.twice + wide;
    w->codes = (uint32_t *)(w->d + wide);
    w->scales = (uint8_t *)(w->codes + wide);
    for (int c = 0; c < 256; c++) {
        w->unit[c] = moe_e4m3_units((uint8_t)c);
    }
    mpfr_init2(w->sum, ORACLE_BITS);
    return true;
}

moe_status_t moe_oracle_token(const moe_oracle_t *oracle,
                              const uint16_t *hidden,
                              const int32_t *routing_ids,
                              const float *routing_weights,
                              moe_oracle_token_t *token)
{
    const moe_model_t *m = oracle->layer->model;
    moe_status_t status = MOE_OK;
    work_t w;

    if (!is_supported(m, oracle->chain)) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "oracle: formats or shapes");
    }
    if (routing_ids == NULL) {
        status = moe_oracle_route(oracle, hidden, token->ids, token->weights);
    }
    for (int s = 0; routing_ids != NULL && s < m->topk; s++) {
        token->ids[s] = routing_ids[s];
        token->weights[s] = routing_weights[s];
    }
    if (status == MOE_OK && !work_init(&w, oracle)) {
        status = moe_fail(MOE_ERR_NOMEM, "oracle: no memory for a token");
    }
    if (status != MOE_OK) {
        return status;
    }
    for (int64_t i = 0; i < m->hidden; i++) {
        w.x[i] = (double)moe_bf16_to_f32(hidden[i]);
    }
    status = run_token(&w, token);
    mpfr_clear(w.sum);
    free(w.x);
    return status;
}
