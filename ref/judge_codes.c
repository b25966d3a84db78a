/* SPDX-License-Identifier: Apache-2.0 */
/* Codes and scales that a quantiser chose, one by one. A code that differs is
 * a near tie where the doubt about its source explains the difference. */
#include "ref/judge_inside.h"

#include "moe/profile.h"
#include "ref/formats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

uint32_t moe_judge_code_of(moe_dtype_t type, const void *codes, int64_t i)
{
    const uint8_t *bytes = codes;
    uint32_t word;
    uint16_t half;

    switch (moe_dtype_bits(type)) {
    case 4:
        return (uint32_t)bytes[i / 2] >> (4 * (i % 2)) & 15;
    case 8:
        return bytes[i];
    case 16:
        memcpy(&half, bytes + 2 * i, sizeof(half));
        return half;
    default:
        memcpy(&word, bytes + 4 * i, sizeof(word));
        return word;
    }
}

int64_t moe_judge_steps(moe_dtype_t type, uint32_t a, uint32_t b)
{
    const int bits = moe_dtype_bits(type);
    const uint32_t sign = UINT32_C(1) << (bits - 1);
    int64_t x = a;
    int64_t y = b;

    if (type == MOE_DTYPE_i8) {
        x = (int8_t)a;
        y = (int8_t)b;
    } else if (type != MOE_DTYPE_e8m0) {
        x = (a & sign) != 0 ? -(int64_t)(a & ~sign) : (int64_t)a;
        y = (b & sign) != 0 ? -(int64_t)(b & ~sign) : (int64_t)b;
    }
    return x > y ? x - y : y - x;
}

/* True if any element of a block was in doubt. */
static bool block_has_doubt(const moe_widths_t *widths, const moe_rows_t *ref,
                            int64_t scale)
{
    const int block = moe_format_info(ref->storage.format)->block;
    const int64_t blocks =
        moe_format_scale_cols(ref->storage.format, ref->cols);
    const float *width = widths->at[MOE_WIDTH_likely];
    const int64_t first = scale % blocks * block;

    for (int64_t c = first; width != NULL && c < first + block; c++) {
        if (c < ref->cols && width[scale / blocks * ref->cols + c] > 0.0f) {
            return true;
        }
    }
    return false;
}

/* True if a scale is no number. */
static bool is_nan_scale(moe_dtype_t type, uint32_t code)
{
    switch ((int)type) {
    case MOE_DTYPE_e4m3:
        return isnan(moe_e4m3_to_f32((uint8_t)code));
    case MOE_DTYPE_e8m0:
        return isnan(moe_e8m0_to_f32((uint8_t)code));
    case MOE_DTYPE_bf16:
        return isnan(moe_bf16_to_f32((uint16_t)code));
    default:
        return type == MOE_DTYPE_fp32 && isnan(moe_f32_of_bits(code));
    }
}

/* No doubt about a number makes it none. */
static bool is_near_scale(const moe_widths_t *widths, const moe_rows_t *ref,
                          const moe_rows_t *got, int64_t i)
{
    const moe_dtype_t type = moe_format_info(ref->storage.format)->scale;

    return is_nan_scale(type, moe_judge_code_of(type, ref->scales, i)) ==
               is_nan_scale(type, moe_judge_code_of(type, got->scales, i)) &&
           block_has_doubt(widths, ref, i);
}

/* How far two numbers are apart: as far as can be where one of them is none.
 */
static double apart(double a, double b)
{
    if (isnan(a) || isnan(b)) {
        return isnan(a) && isnan(b) ? 0.0 : HUGE_VAL;
    }
    return a < b || a > b ? fabs(a - b) : 0.0;
}

static void count_scales(moe_judge_t *judge, moe_role_t role,
                         const moe_widths_t *widths)
{
    const moe_rows_t *ref = &judge->layer.at[role];
    const moe_rows_t *got = &judge->got[role];
    const moe_format_info_t *info = moe_format_info(ref->storage.format);
    const int64_t cols = moe_format_scale_cols(ref->storage.format, ref->cols);
    moe_verdict_t *v = &judge->verdict[role];

    v->scales = ref->scales != NULL ? ref->rows * cols : 0;
    for (int64_t i = 0; i < v->scales; i++) {
        int64_t steps = moe_judge_steps(
            info->scale, moe_judge_code_of(info->scale, ref->scales, i),
            moe_judge_code_of(info->scale, got->scales, i));

        v->scales_differ += steps > 0;
        v->scales_more_steps += steps > 1;
        if (steps > 0) {
            const bool tie = is_near_scale(widths, ref, got, i);

            v->scales_near_ties += tie;
            v->scales_in_budget +=
                !tie && moe_judge_counts(judge, role, i / cols);
        }
    }
}

static void count_excuse(moe_judge_t *judge, moe_role_t role, int64_t row,
                         moe_excuse_t excuse)
{
    moe_verdict_t *v = &judge->verdict[role];

    v->in_budget += excuse != MOE_EXCUSE_none;
    v->in_code_budget +=
        excuse == MOE_EXCUSE_code && moe_judge_counts(judge, role, row);
}

/* One row: decoded values where anything differs, codes anyway. */
static void judge_row(moe_judge_t *judge, moe_role_t role, int64_t row,
                      const moe_widths_t *widths, double *want, double *have)
{
    const moe_rows_t *ref = &judge->layer.at[role];
    const moe_rows_t *got = &judge->got[role];
    const moe_dtype_t type = moe_format_info(ref->storage.format)->code;
    moe_verdict_t *v = &judge->verdict[role];

    moe_rows_values(ref, row, 0, ref->cols, want);
    moe_rows_values(got, row, 0, ref->cols, have);
    for (int64_t c = 0; c < ref->cols; c++) {
        int64_t at = row * ref->cols + c;
        int64_t steps =
            moe_judge_steps(type, moe_judge_code_of(type, ref->codes, at),
                            moe_judge_code_of(type, got->codes, at));
        double d = apart(want[c], have[c]);
        double ratio = 0.0;

        if (steps == 0 && !(d > 0.0)) {
            continue;
        }
        v->differ += steps > 0;
        v->one_step += steps == 1;
        v->more_steps += steps > 1;
        v->nans += isnan(have[c]) && !isnan(want[c]);
        for (int w = 0; w < MOE_WIDTHS; w++) {
            double width =
                widths->at[w] != NULL ? (double)widths->at[w][at] : 0.0;

            ratio = moe_judge_ratio(d, width);
            ratio = ratio > 1.0 ? ratio : 0.0; /* a near tie is no fault */
            v->beyond[w] += ratio > 1.0;
        }
        v->near_ties += steps > 0 && ratio <= 1.0;
        v->rescaled += steps == 0 && ratio > 1.0;
        if (ratio > 1.0) {
            moe_judge_site(judge, row, c);
            count_excuse(judge, role, row,
                         moe_judge_excuse(judge, role, row, c, steps,
                                          (want[c] + have[c]) / 2.0));
        }
        if (ratio > v->worst.ratio) {
            v->worst = (moe_judge_spot_t){
                .col = c, .got = have[c], .want = want[c], .ratio = ratio};
            moe_judge_name_row(judge, role, row, &v->worst);
        }
    }
}

moe_status_t moe_judge_codes(moe_judge_t *judge, moe_role_t role,
                             const moe_widths_t *widths)
{
    const moe_rows_t *ref = &judge->layer.at[role];
    moe_verdict_t *v = &judge->verdict[role];
    double *want = malloc((size_t)ref->cols * 2 * sizeof(*want) + 1);

    if (want == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for a row of codes");
    }
    for (int64_t i = 0; i < ref->rows; i++) {
        judge_row(judge, role, i, widths, want, want + ref->cols);
    }
    count_scales(judge, role, widths);
    free(want);
    v->judged = true;
    v->codes = true;
    v->elements = ref->rows * ref->cols;
    v->good = (moe_judge_wrong_codes(v) == 0 &&
               v->scales_differ == v->scales_near_ties) ||
              moe_judge_in_budget(judge, role);
    return MOE_OK;
}
