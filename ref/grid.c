/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sums. Terms of a sum that are multiples of a unit, and whose magnitudes add
 * up to at most 2^p units, have partial sums that are multiples of the unit of
 * at most that size, whatever the order: an adder of p digits rounds none. The
 * magnitudes: hidden and act_out at most 6; a row of weights has 1 element of
 * a column with 6, or GATE and UP elements of columns with 1 (moe/grid.h), or
 * moe_grid_ones() of act_out; routing weights are multiples of 2^-bits and
 * sum to 1.
 *
 * Quantisers. A code depends on its element and on the largest magnitude of
 * its block, or row (LogFMT's on the smallest too: it is refused). That is 6
 * wherever a block is not 0, so rows with every number, and zeros, show all
 * that can come: decoded, they must be what they were.
 */
#include "ref/grid.h"

#include "moe/grid.h"
#include "ref/layer_inside.h"

#include <stdio.h>

enum {
    ROWS = 3, /* numbers; zeros; blocks of either */
    COLS = 384,
    FP32_DIGITS = 24
};

static const char *const rounds_at[MOE_ROLE_COUNT] = {
#define MOE_ROLE(id, ...)                                                      \
    [MOE_ROLE_##id] = "these data are not exact: " #id " rounds them",
#include "moe/role.def"
#undef MOE_ROLE
};

/* Significant digits of an addition by the narrowest accumulator. */
static int accumulator_digits(void)
{
    static const int digits[] = {
#define MOE_ACCUMULATOR(id, name, unit, wide, drift, text) unit,
#include "ref/accumulator.def"
#undef MOE_ACCUMULATOR
    };
    int least = digits[0];

    for (size_t i = 1; i < sizeof(digits) / sizeof(digits[0]); i++) {
        least = digits[i] < least ? digits[i] : least;
    }
    return least;
}

static bool fits(int64_t units, int digits)
{
    return units <= INT64_C(1) << digits;
}

/* Largest sums of magnitudes, in their units. */
static int64_t gemm2_most(moe_data_t data, const moe_model_t *model)
{
    return MOE_GRID_MAX * (data == MOE_DATA_grid ? moe_grid_ones(model) : 1);
}

static int64_t combine_most(moe_data_t data, const moe_model_t *model)
{
    return gemm2_most(data, model) << moe_grid_weight_bits(model);
}

/* A bias adds at most 2, and a group's score is two of them. */
static int64_t logit_most(const moe_model_t *model)
{
    return 2 * (moe_grid_logit_most(model) + 2 * MOE_GRID_STEPS);
}

bool moe_grid_shape_is_exact(moe_data_t data, const moe_model_t *model,
                             char why[MOE_GRID_WHY])
{
    const char *refused = moe_data_refuses(data, model);
    const int digits = accumulator_digits();

    if (data == MOE_DATA_normal) {
        return true;
    }
    if (refused != NULL) {
        (void)snprintf(why, MOE_GRID_WHY, "%s", refused);
        return false;
    }
    if (data == MOE_DATA_grid && (moe_grid_logit_most(model) == 0 ||
                                  !fits(logit_most(model), FP32_DIGITS))) {
        (void)snprintf(why, MOE_GRID_WHY,
                       "router sums over hidden = %lld may pass 2^%d units, "
                       "which fp32 holds",
                       (long long)model->hidden, FP32_DIGITS);
        return false;
    }
    if (!fits(combine_most(data, model), digits)) {
        (void)snprintf(why, MOE_GRID_WHY,
                       "sums over topk = %d experts may pass %lld units, the "
                       "narrowest accumulator holds 2^%d",
                       model->topk, (long long)combine_most(data, model),
                       digits);
        return false;
    }
    return true;
}

/* Digits of a float format; 0 for others, which may round anything. */
static int format_digits(moe_format_t format)
{
    switch ((int)format) {
    case MOE_FORMAT_bf16:
        return 8;
    case MOE_FORMAT_fp16:
        return 11;
    case MOE_FORMAT_fp32:
        return FP32_DIGITS;
    case MOE_FORMAT_exact:
        return 62;
    default:
        return 0;
    }
}

static bool holds(const moe_chain_t *chain, moe_role_t role, int64_t most)
{
    const int digits = format_digits(chain->at[role].format);

    return digits > 0 && fits(most, digits);
}

/* Every number at every kind of place. */
static void write_row(const moe_rows_t *rows, int64_t row)
{
    static const int number[] = {0, 1, -1, 2, -2, 3, -3, 4, -4, 6, -6};
    double value[COLS];

    for (int64_t c = 0; c < COLS; c++) {
        const int64_t block = c / MOE_GRID_BLOCK;
        const int64_t i = c % MOE_GRID_BLOCK;
        const bool zero = row == 1 || (row == 2 && block % 3 != 0);

        value[c] = zero     ? 0.0
                   : i == 0 ? (block % 2 == 0 ? MOE_GRID_MAX : -MOE_GRID_MAX)
                            : (double)number[(c + row) % 11];
    }
    moe_rows_round(rows, row, 0, COLS, value);
}

static bool same(const moe_rows_t *a, const moe_rows_t *b)
{
    for (int64_t i = 0; i < ROWS * COLS; i++) {
        const double x = moe_rows_value(a, i / COLS, i % COLS);
        const double y = moe_rows_value(b, i / COLS, i % COLS);

        if (!(x >= y && x <= y)) {
            return false;
        }
    }
    return true;
}

/* Two storages one after the other give back the numbers. */
static bool passes(const moe_storage_t *first, const moe_storage_t *second)
{
    const moe_storage_t bf16 = {.format = MOE_FORMAT_bf16};
    moe_rows_t in = {0};
    moe_rows_t sent = {0};
    moe_rows_t got = {0};
    bool good = false;

    if (moe_ref_rows_alloc(&bf16, ROWS, COLS, &in) == MOE_OK &&
        moe_ref_rows_alloc(first, ROWS, COLS, &sent) == MOE_OK &&
        moe_ref_rows_alloc(second, ROWS, COLS, &got) == MOE_OK) {
        for (int64_t i = 0; i < ROWS; i++) {
            write_row(&in, i);
        }
        good = moe_ref_to_storage(&in, &sent) == MOE_OK &&
               (moe_storage_equal(first, second)
                    ? same(&in, &sent)
                    : moe_ref_to_storage(&sent, &got) == MOE_OK &&
                          same(&in, &got));
    }
    moe_ref_rows_free(&in);
    moe_ref_rows_free(&sent);
    moe_ref_rows_free(&got);
    moe_error_clear();
    return good;
}

static bool is_log(const moe_chain_t *chain, moe_role_t role)
{
    return chain->at[role].format == MOE_FORMAT_logfmt10;
}

const char *moe_grid_chain_refuses(moe_data_t data, const moe_model_t *model,
                                   const moe_chain_t *chain)
{
    const moe_storage_t *at = chain->at;
    const struct {
        moe_role_t role;
        int64_t most;
    } sums[] = {
        {MOE_ROLE_gemm1_out, MOE_GRID_MAX},
        {MOE_ROLE_act_out, MOE_GRID_MAX},
        {MOE_ROLE_gemm2_out, gemm2_most(data, model)},
        {MOE_ROLE_combine, combine_most(data, model)},
        {MOE_ROLE_output, combine_most(data, model)},
    };

    if (data == MOE_DATA_normal) {
        return NULL;
    }
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        if (!holds(chain, sums[i].role, sums[i].most)) {
            return rounds_at[sums[i].role];
        }
    }
    if (model->topk > 1 && moe_chain_rounds(chain, MOE_ROUNDING_weighted_in)) {
        return "these data are not exact with weights on the experts' input";
    }
    if (moe_chain_rounds(chain, MOE_ROUNDING_weighted_act)) {
        return "these data are not exact with weights on what the activation "
               "gives";
    }
    if (is_log(chain, MOE_ROLE_dispatch) ||
        !passes(&at[MOE_ROLE_dispatch], &at[MOE_ROLE_expert_in])) {
        return is_log(chain, MOE_ROLE_dispatch) ||
                       passes(&at[MOE_ROLE_expert_in], &at[MOE_ROLE_expert_in])
                   ? rounds_at[MOE_ROLE_dispatch]
                   : rounds_at[MOE_ROLE_expert_in];
    }
    if (is_log(chain, MOE_ROLE_gemm2_in) ||
        !passes(&at[MOE_ROLE_act_out], &at[MOE_ROLE_gemm2_in])) {
        return rounds_at[MOE_ROLE_gemm2_in];
    }
    return NULL;
}

moe_status_t moe_grid_check(moe_data_t data, const moe_model_t *model,
                            const moe_chain_t *chain)
{
    char why[MOE_GRID_WHY];
    const char *refused;

    if (!moe_data_has_model(data, model)) {
        return moe_fail(MOE_ERR_UNSUPPORTED,
                        "data %s need activation relu_glu, score dyadic, no "
                        "scaling, no renormalisation, no expert biases",
                        moe_data_name(data));
    }
    if (!moe_grid_shape_is_exact(data, model, why)) {
        return moe_fail(MOE_ERR_UNSUPPORTED, "data %s: %s", moe_data_name(data),
                        why);
    }
    refused = moe_grid_chain_refuses(data, model, chain);
    return refused == NULL ? MOE_OK
                           : moe_fail(MOE_ERR_UNSUPPORTED, "data %s: %s",
                                      moe_data_name(data), refused);
}
