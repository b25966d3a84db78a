/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers with rounding errors against the exact ones.
 *
 * A code stands for all numbers that round to it: what counts is the distance
 * d from the exact result to that cell, so that the rounding which every
 * kernel makes hides nothing. Elements: d against both widths. Rows and
 * experts: the sum of d^2 against the energy that a random walk has.
 */
#include "ref/judge_inside.h"

#include "ref/formats.h"

#include <math.h>
#include <stdlib.h>

#define ROW_SLACK 1.2 /* over the expected energy */
#define ROW_JUMP  2.0 /* times the square of one element's width */

enum {
    SAMPLE = 4096 /* elements whose width is compared with them */
};

/* Place of a code among its format's numbers, in order of value. */
static int64_t order_of(moe_format_t format, uint32_t code)
{
    const uint32_t sign = format == MOE_FORMAT_fp32 ? 0x80000000u : 0x8000u;

    return (code & sign) != 0 ? -(int64_t)(code & ~sign) : (int64_t)code;
}

static double value_at(moe_format_t format, int64_t order)
{
    const uint32_t sign = format == MOE_FORMAT_fp32 ? 0x80000000u : 0x8000u;

    return order < 0 ? moe_float_value(format, (uint32_t)-order | sign)
                     : moe_float_value(format, (uint32_t)order);
}

/* Distance from x to the numbers that round to a code. */
static double distance(moe_format_t format, uint32_t code, double x)
{
    const int64_t at = order_of(format, code);
    const double v = moe_float_value(format, code);
    double low = (v + value_at(format, at - 1)) / 2.0;
    double high = (v + value_at(format, at + 1)) / 2.0;

    if (isinf(v)) { /* all beyond the largest number and half a place */
        return (v > 0.0) == (x > 0.0) && fabs(x) > 3.38e38 ? 0.0 : HUGE_VAL;
    }
    low = isfinite(low) ? low : -HUGE_VAL;
    high = isfinite(high) ? high : HUGE_VAL;
    return x < low ? low - x : x > high ? x - high : 0.0;
}

void moe_judge_name_row(const moe_judge_t *judge, moe_role_t role, int64_t row,
                        moe_judge_spot_t *spot)
{
    const bool paired = moe_ref_layer_is_paired(role);

    spot->row = row;
    spot->token = paired ? judge->layer.pairs.token[row]
                         : judge->layer.about.tokens.begin + row;
    spot->expert = paired ? judge->layer.pairs.expert[row] : -1;
    spot->physical = paired && judge->layer.about.placed != NULL
                         ? judge->layer.pairs.physical[row]
                         : -1;
}

/* What a row adds up to. */
typedef struct {
    double energy; /* of d */
    double allowed;
    double widest;
} row_t;

void moe_judge_count_ulps(moe_verdict_t *v, moe_format_t format, uint32_t code,
                          uint32_t want)
{
    int64_t ulps = order_of(format, code) - order_of(format, want);

    ulps = ulps < 0 ? -ulps : ulps;
    v->max_ulp = ulps > v->max_ulp ? ulps : v->max_ulp;
}

static void add_sums(moe_verdict_t *v, double got, double want)
{
    v->sum_diff2 += (got - want) * (got - want);
    v->sum_ref2 += want * want;
    v->sum_got2 += got * got;
    v->sum_product += got * want;
}

double moe_judge_ratio(double d, double width)
{
    if (isinf(d)) {
        return HUGE_VAL;
    }
    return d <= 0.0 ? 0.0 : width > 0.0 ? d / width : HUGE_VAL;
}

/* Of a mistake that leaves zeros: what is none. */
static bool is_excluded(const moe_judge_t *judge, double x, double value)
{
    return judge->only_zeros && !(fabs(x) > 0.0) && fabs(value) > 0.0;
}

/* An element's code, in the format that it was rounded to. */
static uint32_t code_at(const moe_judge_t *judge, moe_role_t role, int64_t at,
                        moe_format_t *format_p)
{
    const moe_rows_t *got = &judge->got[role];
    const moe_format_t own = got->storage.format;
    const moe_format_t chain =
        moe_ref_layer_storage(&judge->layer, role).format;
    const uint32_t code = moe_float_load(own, got->codes, at);
    uint32_t rounded;
    double value;

    *format_p = own;
    if (!judge->mostly[role]) {
        return code;
    }
    value = moe_float_value(own, code);
    rounded = moe_round_f64(chain, value);
    if (moe_float_value(chain, rounded) < value ||
        moe_float_value(chain, rounded) > value) {
        return code;
    }
    *format_p = chain;
    return rounded;
}

static void judge_element(moe_judge_t *judge, moe_role_t role,
                          const moe_widths_t *widths, int64_t row, int64_t col,
                          row_t *sum)
{
    const moe_rows_t *got = &judge->got[role];
    const int64_t at = row * got->cols + col;
    moe_format_t format;
    const uint32_t code = code_at(judge, role, at, &format);
    const double x = (double)((const float *)judge->fine.codes)[at];
    const double value = moe_float_value(format, code);
    const uint32_t rounded = moe_round_f64(format, x);
    moe_verdict_t *v = &judge->verdict[role];
    const double hard = (double)widths->at[MOE_WIDTH_hard][at];
    const double likely = (double)widths->at[MOE_WIDTH_likely][at];
    double d = HUGE_VAL;
    double ratio;

    if (code == rounded) { /* nearly always */
        d = 0.0;
        if (isfinite(value)) {
            add_sums(v, value, value);
        }
    } else if (isnan(value) || isnan(x)) {
        v->nans += isnan(value) && !isnan(x);
        d = isnan(value) && isnan(x) ? 0.0 : HUGE_VAL;
    } else {
        v->infinities += isinf(value) && isfinite(x);
        d = distance(format, code, x);
        if (isfinite(value) && isfinite(x)) {
            /* a midpoint in fp32 may be either's */
            add_sums(v, value,
                     d > 0.0 ? moe_float_value(format, rounded) : value);
            moe_judge_count_ulps(v, format, code, d > 0.0 ? rounded : code);
        }
    }
    ratio =
        moe_judge_ratio(is_excluded(judge, x, value) ? HUGE_VAL : d, likely);
    v->beyond[MOE_WIDTH_hard] += d > hard || isinf(d);
    v->beyond[MOE_WIDTH_likely] += ratio > 1.0;
    if (ratio > 1.0) {
        moe_judge_site(judge, row, col);
    }
    sum->energy += d * d;
    sum->widest = likely > sum->widest ? likely : sum->widest;
    if (ratio > v->worst.ratio || (v->worst.col < 0 && ratio > 1.0)) {
        v->worst = (moe_judge_spot_t){
            .col = col, .got = value, .want = x, .ratio = ratio};
        moe_judge_name_row(judge, role, row, &v->worst);
    }
}

/* Ratio of an energy to what is allowed. */
static double energy_ratio(const row_t *sum)
{
    return moe_judge_ratio(sum->energy,
                           ROW_SLACK * sum->allowed +
                               ROW_JUMP * sum->widest * sum->widest);
}

static void join(row_t *expert, const row_t *row)
{
    expert->energy += row->energy;
    expert->allowed += row->allowed;
    expert->widest =
        row->widest > expert->widest ? row->widest : expert->widest;
}

static void end_row(moe_judge_t *judge, moe_role_t role, int64_t row,
                    const row_t *sum)
{
    moe_verdict_t *v = &judge->verdict[role];
    double ratio = energy_ratio(sum);

    v->rows_beyond += ratio > 1.0;
    if (ratio > 1.0) {
        moe_judge_site(judge, row, -1);
    }
    v->row_ratio = ratio > v->row_ratio ? ratio : v->row_ratio;
    /* an element says more than a row */
    if (ratio > 1.0 && (v->worst.ratio <= 1.0 ||
                        (v->worst.col < 0 && ratio > v->worst.ratio))) {
        v->worst = (moe_judge_spot_t){.col = -1, .ratio = ratio};
        moe_judge_name_row(judge, role, row, &v->worst);
    }
}

static void end_expert(moe_verdict_t *v, row_t *expert)
{
    double ratio = energy_ratio(expert);

    v->experts_beyond += ratio > 1.0;
    v->expert_ratio = ratio > v->expert_ratio ? ratio : v->expert_ratio;
    *expert = (row_t){0.0, 0.0, 0.0};
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return x < y ? -1 : x > y;
}

/* Median of hard width over magnitude, of a sample of the elements. */
static double weakness_of(const moe_judge_t *judge, const moe_widths_t *widths)
{
    const int64_t n = judge->fine.rows * judge->fine.cols;
    const int64_t step = n / SAMPLE + 1;
    const float *x = judge->fine.codes;
    double *share = malloc(SAMPLE * sizeof(*share));
    double median = 0.0;
    size_t found = 0;

    for (int64_t i = 0; share != NULL && i < n && found < SAMPLE; i += step) {
        double magnitude = fabs((double)x[i]);

        if (magnitude > 0.0) {
            share[found++] = (double)widths->at[MOE_WIDTH_hard][i] / magnitude;
        }
    }
    if (found > 0) {
        qsort(share, found, sizeof(*share), compare_doubles);
        median = share[found / 2];
    }
    free(share);
    return median;
}

moe_status_t moe_judge_numbers(moe_judge_t *judge, moe_role_t role,
                               const moe_widths_t *widths)
{
    const moe_rows_t *got = &judge->got[role];
    const bool paired = moe_ref_layer_is_paired(role);
    moe_verdict_t *v = &judge->verdict[role];
    row_t expert = {0.0, 0.0, 0.0};

    for (int64_t i = 0; i < got->rows; i++) {
        row_t row = {0.0, widths->energy[i], 0.0};

        for (int64_t c = 0; c < got->cols; c++) {
            judge_element(judge, role, widths, i, c, &row);
        }
        end_row(judge, role, i, &row);
        join(&expert, &row);
        if (paired &&
            (i + 1 == got->rows || judge->layer.pairs.physical[i] !=
                                       judge->layer.pairs.physical[i + 1])) {
            end_expert(v, &expert);
        }
    }
    v->judged = true;
    v->elements = got->rows * got->cols;
    v->weakness = weakness_of(judge, widths);
    v->good = v->beyond[MOE_WIDTH_hard] == 0 &&
              v->beyond[MOE_WIDTH_likely] == 0 && v->rows_beyond == 0 &&
              v->experts_beyond == 0;
    return MOE_OK;
}
