/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a correct kernel may be from the exact result, before it rounds.
 *
 * Hard: any order of k additions, |error| <= gamma_k sum |a||b|.
 *
 * Likely: the partial sums of products in an order that knows nothing of
 * their signs are a random walk of k steps that ends at the known x. Each
 * addition errs by at most unit times the partial sum, evenly, which is
 * 0.42 unit in the root mean square (the last place is between one and two
 * units). Given the path, the sum of these errors is sub-Gaussian with
 * variance (0.42 unit)^2 Q, Q = sum of the squares of the path. A walk of
 * total variance V that is pinned at both ends has P(Q > q) < exp(-pi^2 q /
 * (2 k V)), and the straight line to x adds k x^2 at most; minimising over q,
 *     P(|error| > w) <= 2 exp(-L)  for  w = 0.42 unit (L / pi norm(a) norm(b)
 *                                           + sqrt(2 L k) |x|),
 * where V = sum (a b)^2 ~ norm(a)^2 norm(b)^2 / k: large elements of one
 * operand do not meet those of the other at the same places.
 */
#include "ref/judge_inside.h"

#include "ref/formats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PI        3.14159265358979
#define RMS_UNIT  0.42 /* of an addition's error, in units */
#define UNIT_FP32 0x1p-24
#define SCALING   8.0 /* roundings in fp32 around a sum: scales, alpha */

static const struct {
    const char *name;
    const char *text;
    moe_accumulator_info_t info;
} accumulators[MOE_ACCUMULATOR_COUNT] = {
#define MOE_ACCUMULATOR(id, name, unit, wide, drift, text)                     \
    {name,                                                                     \
     text,                                                                     \
     {1.0 / (double)(UINT64_C(1) << unit), wide,                               \
      drift > 0 ? 1.0 / (drift + (drift == 0)) : 0.0}},
#include "ref/accumulator.def"
#undef MOE_ACCUMULATOR
};

const char *moe_accumulator_name(moe_accumulator_t accumulator)
{
    return (unsigned)accumulator < MOE_ACCUMULATOR_COUNT
               ? accumulators[accumulator].name
               : "?";
}

const char *moe_accumulator_text(moe_accumulator_t accumulator)
{
    return (unsigned)accumulator < MOE_ACCUMULATOR_COUNT
               ? accumulators[accumulator].text
               : "?";
}

bool moe_accumulator_find(const char *name, moe_accumulator_t *accumulator_p)
{
    for (int i = 0; i < MOE_ACCUMULATOR_COUNT; i++) {
        if (strcmp(accumulators[i].name, name) == 0) {
            *accumulator_p = (moe_accumulator_t)i;
            return true;
        }
    }
    return false;
}

moe_accumulator_info_t moe_accumulator_info(moe_accumulator_t accumulator)
{
    return accumulators[accumulator].info;
}

/* gamma_k, at most 1: beyond that nothing is known. */
static double gamma_of(double k, double unit)
{
    return k * unit < 0.5 ? k * unit / (1.0 - k * unit) : 1.0;
}

double moe_width_hard(const moe_judge_t *judge, int64_t k, double magnitudes,
                      double x)
{
    const moe_accumulator_info_t a = moe_accumulator_info(judge->accumulator);
    /* cutting off errs by two units where rounding errs by one */
    const double unit = a.unit * (a.drift > 0.0 ? 2.0 : 1.0);
    double gamma = gamma_of((double)k, unit);

    if (a.wide > 0 && k > a.wide) {
        gamma = gamma_of((double)a.wide, unit) +
                gamma_of((double)(k / a.wide + 1), UNIT_FP32);
    }
    return gamma * magnitudes + SCALING * UNIT_FP32 * fabs(x);
}

static double walk(const moe_judge_t *judge, double k, double unit,
                   double drift, double magnitudes, double x)
{
    const double tail = judge->log_tail;

    return RMS_UNIT * unit *
               (tail / PI * magnitudes + sqrt(2.0 * tail * k) * fabs(x)) +
           drift * unit * sqrt(k) * magnitudes;
}

double moe_width_likely(const moe_judge_t *judge, int64_t k, double magnitudes,
                        double x)
{
    const moe_accumulator_info_t a = moe_accumulator_info(judge->accumulator);
    const double hard = moe_width_hard(judge, k, magnitudes, x);
    double width = walk(judge, (double)k, a.unit, a.drift, magnitudes, x);

    if (a.wide > 0 && k > a.wide) {
        /* walks of `wide` steps, each of its share of the magnitudes */
        double parts = (double)k / (double)a.wide;

        width = walk(judge, (double)a.wide, a.unit, a.drift,
                     magnitudes / sqrt(parts), x / sqrt(parts)) +
                walk(judge, parts, UNIT_FP32, 0.0, magnitudes, x);
    }
    width += SCALING * UNIT_FP32 * fabs(x);
    return width < hard ? width : hard;
}

moe_status_t moe_widths_alloc(moe_widths_t *widths, int64_t rows, int64_t cols)
{
    const size_t n = (size_t)(rows * cols) + 1;

    widths->at[MOE_WIDTH_hard] = calloc(n, sizeof(float));
    widths->at[MOE_WIDTH_likely] = calloc(n, sizeof(float));
    widths->energy = calloc((size_t)rows + 1, sizeof(double));
    if (widths->at[MOE_WIDTH_hard] == NULL ||
        widths->at[MOE_WIDTH_likely] == NULL || widths->energy == NULL) {
        moe_widths_free(widths);
        return moe_fail(MOE_ERR_NOMEM, "no memory for bounds of %lld x %lld",
                        (long long)rows, (long long)cols);
    }
    return MOE_OK;
}

void moe_widths_free(moe_widths_t *widths)
{
    free(widths->at[MOE_WIDTH_hard]);
    free(widths->at[MOE_WIDTH_likely]);
    free(widths->energy);
    free(widths->flips);
    *widths = (moe_widths_t){0};
}

void moe_norms_add(moe_norms_t *norms, const moe_norms_t *more)
{
    norms->one += more->one;
    norms->two += more->two;
    norms->count += more->count;
}

static moe_norms_t norms_of(const float *width, int64_t n)
{
    moe_norms_t norms = {0.0, 0.0, 0};

    for (int64_t i = 0; i < n; i++) {
        norms.one += (double)width[i];
        norms.two += (double)width[i] * (double)width[i];
        norms.count += width[i] > 0.0f;
    }
    norms.two = sqrt(norms.two);
    return norms;
}

/* What doubts about its inputs add to a sum: by Hoelder either way. */
static double added(const moe_norms_t *in, const moe_ref_norms_t *weights,
                    int64_t col)
{
    double by_two = in->two * (double)weights->norm[col];
    double by_one = in->one * (double)weights->most[col];

    return by_two < by_one ? by_two : by_one;
}

/* Energy that `count` doubtful inputs make in n outputs: random columns of
 * weights are nearly orthogonal; the factor is the largest singular value of
 * n x count random numbers (Marchenko, Pastur). */
static double spread(const moe_norms_t *in, const moe_ref_norms_t *weights,
                     int64_t n, int64_t k, bool drawn)
{
    double factor = sqrt((double)n) + sqrt((double)in->count);

    if (!drawn) { /* columns may be alike: all that the norm allows */
        factor = sqrt((double)n * (double)k);
    }
    return in->two * in->two * weights->square * factor * factor;
}

static void widen_row(const moe_judge_t *judge, const moe_ref_norms_t *weights,
                      const moe_norms_t in[MOE_WIDTHS], int64_t k, int64_t row,
                      moe_widths_t *widths)
{
    const int64_t n = judge->fine.cols;
    const double unit = moe_accumulator_info(judge->accumulator).unit;
    const bool drawn = judge->layer.weights[MOE_W13].given == NULL;
    const float *x = (const float *)judge->fine.codes + row * n;
    float *hard = widths->at[MOE_WIDTH_hard] + row * n;
    float *likely = widths->at[MOE_WIDTH_likely] + row * n;
    double energy = 0.0;

    for (int64_t c = 0; c < n; c++) {
        double magnitudes = (double)hard[c]; /* as moe_ref_layer_abs left it */
        double value = (double)x[c];

        energy += magnitudes * magnitudes;
        hard[c] = (float)(moe_width_hard(judge, k, magnitudes, value) +
                          added(&in[MOE_WIDTH_hard], weights, c));
        likely[c] = (float)(moe_width_likely(judge, k, magnitudes, value) +
                            added(&in[MOE_WIDTH_likely], weights, c));
    }
    widths->energy[row] = RMS_UNIT * RMS_UNIT * unit * unit * energy +
                          spread(&in[MOE_WIDTH_likely], weights, n, k, drawn);
}

static moe_status_t widen_matmul(moe_judge_t *judge, moe_weight_t weight,
                                 const moe_widths_t *from, moe_widths_t *widths)
{
    const moe_ref_index_t *index = &judge->layer.index;
    const int64_t k = moe_weight_cols(judge->layer.about.model, weight);

    for (int64_t e = 0; e < index->n_experts; e++) {
        const moe_ref_norms_t *norms;

        if (index->offset[e] == index->offset[e + 1]) {
            continue;
        }
        if (moe_ref_layer_norms(&judge->layer, weight, e, &norms) != MOE_OK) {
            return MOE_ERR_UNSUPPORTED;
        }
        for (int64_t i = index->offset[e]; i < index->offset[e + 1]; i++) {
            moe_norms_t in[MOE_WIDTHS] = {{0.0, 0.0, 0}, {0.0, 0.0, 0}};

            for (int w = 0; w < MOE_WIDTHS && from->at[w] != NULL; w++) {
                in[w] = norms_of(from->at[w] + i * k, k);
            }
            for (int w = 0; w < MOE_WIDTHS && from->flips != NULL; w++) {
                moe_norms_add(&in[w], &from->flips[i]);
            }
            widen_row(judge, norms, in, k, i, widths);
        }
    }
    return MOE_OK;
}

static void widen_logits(const moe_judge_t *judge, moe_widths_t *widths)
{
    const int64_t k = judge->layer.about.model->hidden;
    const int64_t n = judge->fine.rows * judge->fine.cols;
    const float *x = judge->fine.codes;

    for (int64_t i = 0; i < n; i++) {
        double magnitudes = (double)widths->at[MOE_WIDTH_hard][i];

        widths->at[MOE_WIDTH_hard][i] =
            (float)moe_width_hard(judge, k, magnitudes, (double)x[i]);
        widths->at[MOE_WIDTH_likely][i] =
            (float)moe_width_likely(judge, k, magnitudes, (double)x[i]);
        widths->energy[i / judge->fine.cols] +=
            (double)widths->at[MOE_WIDTH_likely][i] *
            (double)widths->at[MOE_WIDTH_likely][i];
    }
}

/* One term of a sum over experts: weight times a row of gemm2_out. */
static void add_term(const moe_widths_t *from, int64_t place, double weight,
                     int64_t n, int64_t row, moe_widths_t *widths)
{
    for (int w = 0; w < MOE_WIDTHS && from->at[w] != NULL; w++) {
        const float *in = from->at[w] + place * n;
        float *out = widths->at[w] + row * n;

        for (int64_t c = 0; c < n; c++) {
            out[c] = (float)((double)out[c] + weight * (double)in[c]);
        }
    }
    if (from->energy != NULL) {
        widths->energy[row] += weight * weight * from->energy[place];
    }
}

/* Roundings of the sum itself: fp32, or partials in their own format. */
static double sum_unit(const moe_judge_t *judge)
{
    const moe_chain_t *chain = &judge->layer.about.chain;
    const double k = (double)judge->layer.about.model->topk + 1.0;
    double unit = k * UNIT_FP32;

    if (chain->numerics == MOE_NUMERICS_faithful && judge->partials > 1) {
        moe_format_t format = chain->at[MOE_ROLE_combine].format;

        unit += judge->partials * (format == MOE_FORMAT_bf16   ? 0x1p-8
                                   : format == MOE_FORMAT_fp16 ? 0x1p-11
                                                               : UNIT_FP32);
    }
    return unit;
}

static void widen_sum(const moe_judge_t *judge, moe_role_t role,
                      const moe_widths_t *from, moe_widths_t *widths)
{
    const moe_ref_index_t *index = &judge->layer.index;
    const float *weights = judge->layer.at[MOE_ROLE_topk_weights].codes;
    const bool once = judge->layer.about.model->weight_on_input;
    const int64_t n = judge->fine.cols;
    const bool coded =
        role == MOE_ROLE_output && moe_format_is_coded(judge->sums.format);
    const double unit =
        sum_unit(judge) + (coded ? moe_judge_sums_unit(judge) : 0.0);

    for (int64_t i = 0; i < judge->fine.rows * n; i++) {
        double own = unit * (double)widths->at[MOE_WIDTH_hard][i];

        widths->at[MOE_WIDTH_hard][i] = (float)own;
        widths->at[MOE_WIDTH_likely][i] = (float)own;
        widths->energy[i / n] += own * own;
    }
    for (int64_t i = 0; coded && i < judge->fine.rows; i++) {
        moe_judge_widen_sums(judge, i, widths);
    }
    for (int64_t p = 0; p < judge->fine.rows * index->topk; p++) {
        if (index->place[p] >= 0) {
            add_term(from, index->place[p],
                     once ? 1.0 : fabs((double)weights[p]), n, p / index->topk,
                     widths);
        }
    }
}

moe_status_t moe_judge_widen(moe_judge_t *judge, moe_role_t role,
                             moe_widths_t *widths)
{
    const moe_widths_t *all = judge->widths;
    moe_status_t status;

    if (role == MOE_ROLE_act_out) {
        return moe_judge_widen_activation(judge, &all[MOE_ROLE_gemm1_out],
                                          widths);
    }
    status = moe_ref_layer_abs(&judge->layer, role, widths->at[MOE_WIDTH_hard]);
    if (status != MOE_OK) {
        return status;
    }
    switch (role) {
    case MOE_ROLE_gemm1_out:
        return widen_matmul(judge, MOE_W13, &all[MOE_ROLE_expert_in], widths);
    case MOE_ROLE_gemm2_out:
        return widen_matmul(judge, MOE_W2, &all[MOE_ROLE_gemm2_in], widths);
    case MOE_ROLE_logits:
        widen_logits(judge, widths);
        return MOE_OK;
    default:
        widen_sum(judge, role, &all[MOE_ROLE_gemm2_out], widths);
        return MOE_OK;
    }
}
