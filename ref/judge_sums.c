/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Room for partial sums that travel coded: which terms of an output share one
 * (those of a rank, or each its own), and whether it is weighed before or
 * after, is the method's. So it is bounded by what is linear in the terms: a
 * sum is no larger than its terms' magnitudes, a block's largest element no
 * larger than theirs. Weighed before, a sum's error is that of numbers up to
 * sum |w| |v|; after, |w| times that of v.
 */
#include "ref/judge_inside.h"

#include <math.h>
#include <stdlib.h>

/* How far a code may be from its number, which is rounded to bf16 before: a
 * part of the number, of its block's largest, and at least; numbers beyond
 * `most` are cut down to it. */
typedef struct {
    double own;
    double block;
    double least;
    double most;
} coding_t;

/* E4M3 and E2M1 have 3 and 1 digits behind the first, and steps of 2^-9 and
 * 1/2 below their smallest exponent; E4M3 scales of nvfp4 are within 2^-4, or
 * 2^-10. A code of int8_1x8 is rounded to fp16 first and goes with a scale in
 * bf16. A step of logfmt10 is 2^(32/510) at most, and nothing is smaller than
 * 2^-32 of the largest. */
static coding_t coding_of(const moe_storage_t *sums)
{
    const double decode = (double)moe_storage_decode(sums);

    switch ((int)sums->format) {
    case MOE_FORMAT_fp8_tensor:
        return (coding_t){0x1.1p-4, 0.0, 0x1p-10 * decode, 448.0 * decode};
    case MOE_FORMAT_nvfp4:
        return (coding_t){0.26, 0.045, 6.0 * 0x1p-10 * decode,
                          6.0 * 448.0 * decode};
    case MOE_FORMAT_int8_1x8:
        return (coding_t){0x1.1p-8, 0.0043, 0.0, HUGE_VAL};
    case MOE_FORMAT_logfmt10:
        return (coding_t){0.05, 0x1p-32, 0.0, HUGE_VAL};
    default:
        return (coding_t){1.0, 1.0, 0.0, 0.0}; /* unknown: anything */
    }
}

double moe_judge_sums_unit(const moe_judge_t *judge)
{
    return moe_format_is_coded(judge->sums.format) ? coding_of(&judge->sums).own
                                                   : 0.0;
}

/* Sum over a token's terms of |w| times the largest of a block of v; *sharp
 * grows to the largest v. */
static double block_of(const moe_judge_t *judge, int64_t token, int64_t col,
                       int64_t n, double *value, double *sharp)
{
    const moe_ref_index_t *index = &judge->layer.index;
    const float *weights = judge->layer.at[MOE_ROLE_topk_weights].codes;
    const bool once = judge->layer.about.model->weight_on_input;
    double sum = 0.0;

    for (int64_t p = token * index->topk; p < (token + 1) * index->topk; p++) {
        double most = 0.0;

        if (index->place[p] < 0) {
            continue;
        }
        moe_rows_values(&judge->layer.at[MOE_ROLE_gemm2_out], index->place[p],
                        col, n, value);
        for (int64_t c = 0; c < n; c++) {
            most = fabs(value[c]) > most ? fabs(value[c]) : most;
        }
        sum += (once ? 1.0 : fabs((double)weights[p])) * most;
        *sharp = most > *sharp ? most : *sharp;
    }
    return sum;
}

/* Sum of what each term's weight, at least 1, makes of the least error. */
static double weights_of(const moe_judge_t *judge, int64_t token)
{
    const moe_ref_index_t *index = &judge->layer.index;
    const float *weights = judge->layer.at[MOE_ROLE_topk_weights].codes;
    double sum = 0.0;

    for (int64_t p = token * index->topk; p < (token + 1) * index->topk; p++) {
        sum += index->place[p] < 0 ? 0.0 : fmax(1.0, fabs((double)weights[p]));
    }
    return sum;
}

void moe_judge_widen_sums(const moe_judge_t *judge, int64_t token,
                          moe_widths_t *widths)
{
    enum {
        BLOCK = 128
    };
    const coding_t coding = coding_of(&judge->sums);
    const int block = moe_format_info(judge->sums.format)->block;
    const int64_t step = block > 0 && block <= BLOCK ? block : 1;
    const int64_t n = judge->fine.cols;
    const double least = coding.least * weights_of(judge, token);
    double value[BLOCK];

    for (int64_t c = 0; c < n; c += step) {
        const int64_t cols = n - c < step ? n - c : step;
        double sharp = 0.0;
        const double sum = block_of(judge, token, c, cols, value, &sharp);
        const bool cut = sum > coding.most || sharp > coding.most;
        const double room = coding.block * sum + least + (cut ? sum : 0.0);

        for (int64_t i = token * n + c; i < token * n + c + cols; i++) {
            widths->at[MOE_WIDTH_hard][i] += (float)room;
            widths->at[MOE_WIDTH_likely][i] += (float)room;
            widths->energy[token] += room * room;
        }
    }
}
