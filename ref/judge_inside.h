/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the files of ref/judge*.c share.
 */
#ifndef REF_JUDGE_INSIDE_H
#define REF_JUDGE_INSIDE_H

#include "ref/judge.h"

/** Facts of an accumulator. */
typedef struct {
    double unit;  /* roundoff of an addition */
    int64_t wide; /* terms before fp32; 0: never */
    double drift; /* share of additions that cut off */
} moe_accumulator_info_t;

moe_accumulator_info_t moe_accumulator_info(moe_accumulator_t accumulator);

/** Half-widths of a sum of k products about its exact value x, magnitudes
 * being sum |a||b|. */
double moe_width_hard(const moe_judge_t *judge, int64_t k, double magnitudes,
                      double x);
double moe_width_likely(const moe_judge_t *judge, int64_t k, double magnitudes,
                        double x);

/** Storage of both widths and of the rows' energies, zeroed. */
moe_status_t moe_widths_alloc(moe_widths_t *widths, int64_t rows, int64_t cols);
void moe_widths_free(moe_widths_t *widths);

/** Norms of both together. */
void moe_norms_add(moe_norms_t *norms, const moe_norms_t *more);

/** Widths of judge->fine, the unrounded result of a place: its own errors,
 * and what the place before it hands on. */
moe_status_t moe_judge_widen(moe_judge_t *judge, moe_role_t role,
                             moe_widths_t *widths);

/** The same of act_out. */
moe_status_t moe_judge_widen_activation(const moe_judge_t *judge,
                                        const moe_widths_t *from,
                                        moe_widths_t *widths);

/** Partial sums that travel coded: the part of an output's magnitudes that
 * their codes may be wrong by, 0 if they do not; and room for what goes by the
 * blocks of a token's terms, added to its widths. */
double moe_judge_sums_unit(const moe_judge_t *judge);
void moe_judge_widen_sums(const moe_judge_t *judge, int64_t token,
                          moe_widths_t *widths);

/** Round judge->fine to the place, in the layer, and its widths with it. */
moe_status_t moe_judge_round(moe_judge_t *judge, moe_role_t role,
                             moe_widths_t *widths);

enum {
    MOE_VARIANTS = 4 /* lower, upper, and the two mixed */
};

/** A row's variants, [MOE_VARIANTS + 1][cols] fp32, the last as it is. */
typedef struct {
    moe_rows_t in;
    moe_rows_t out;
    double *value[MOE_VARIANTS + 1];
} moe_trial_t;

moe_status_t moe_trial_init(const moe_storage_t *storage, int64_t cols,
                            moe_trial_t *trial);
void moe_trial_fini(moe_trial_t *trial);

/** Widths of the codes of a row x whose numbers have widths. */
moe_status_t moe_trial_run(moe_trial_t *trial, const double *x,
                           const float *width, float *out);

/** Codes between the scales of a block in the variants. */
int moe_trial_scale_moves(const moe_trial_t *trial, int64_t block);

/** Widths of a quantised place from those of its source, and from what
 * machines of its profile may do where GOT has not its codes; none without. */
moe_status_t moe_judge_carry_codes(moe_judge_t *judge, moe_role_t role);

/** Hold what was given against judge->fine, and against codes. */
moe_status_t moe_judge_numbers(moe_judge_t *judge, moe_role_t role,
                               const moe_widths_t *widths);
moe_status_t moe_judge_codes(moe_judge_t *judge, moe_role_t role,
                             const moe_widths_t *widths);
moe_status_t moe_judge_route(moe_judge_t *judge);

/** Element i of packed codes of a type. */
uint32_t moe_judge_code_of(moe_dtype_t type, const void *codes, int64_t i);

/** Steps between two codes. */
int64_t moe_judge_steps(moe_dtype_t type, uint32_t a, uint32_t b);

/** What a budget is meant for. */
typedef enum {
    MOE_EXCUSE_none,
    MOE_EXCUSE_scale, /* any code of a block whose scale is off by one step */
    MOE_EXCUSE_code   /* off by one, its number next to the midpoint */
} moe_excuse_t;

/** Whether a budget is meant for a code that is off by so many steps, and lies
 * about this midpoint. */
moe_excuse_t moe_judge_excuse(const moe_judge_t *judge, moe_role_t role,
                              int64_t row, int64_t col, int64_t steps,
                              double midpoint);

/** True if a budget excuses all that near ties do not. */
bool moe_judge_in_budget(const moe_judge_t *judge, moe_role_t role);

/** Place whose numbers a place was quantised from; none for what is copied from
 * GOT's dispatch, or is no quantised place. Of an expert_in that is a copy of a
 * dispatch that nobody gave: hidden. */
moe_role_t moe_judge_quantised_from(const moe_judge_t *judge, moe_role_t role);

/** Row of it that a row was made of; -1: none. */
int64_t moe_judge_source_row(const moe_judge_t *judge, moe_role_t role,
                             int64_t row);

/** Its numbers as a quantiser reads them: hidden in its routing weights where
 * the model has them on input. */
void moe_judge_source_values(const moe_judge_t *judge, moe_role_t source,
                             int64_t row, int64_t col, int64_t n,
                             double *value);

/** The first row of the same token; row itself where rows are tokens. */
int64_t moe_judge_first_row(const moe_judge_t *judge, moe_role_t role,
                            int64_t row);

/** Rare events of a share among n that a right machine has at most, but for
 * the chance of one element. */
int64_t moe_judge_most_events(const moe_judge_t *judge, double share,
                              int64_t n);

/** False for a row of GOT that is as that first one: chance chose both. */
bool moe_judge_counts(const moe_judge_t *judge, moe_role_t role, int64_t row);

/** Let gemm1's rows be quantised by division, which is what budgets are about,
 * where neither GOT nor anyone else has them.
 * @return false where nothing changes. */
bool moe_judge_try_exact(moe_judge_t *judge);

/** Judge one place, those before it being judged. */
moe_status_t moe_judge_role(moe_judge_t *judge, moe_role_t role);

/** Note a faulty element of the place at work; col -1: of a row. */
void moe_judge_site(moe_judge_t *judge, int64_t row, int64_t col);

/** Who a row is. */
void moe_judge_name_row(const moe_judge_t *judge, moe_role_t role, int64_t row,
                        moe_judge_spot_t *spot);

/** Let max_ulp be no less than the steps between two finite codes. */
void moe_judge_count_ulps(moe_verdict_t *v, moe_format_t format, uint32_t code,
                          uint32_t want);

/** d over a width; a width of 0 allows none, and none what is infinitely far:
 * a number where there is none, or the other way round. */
double moe_judge_ratio(double d, double width);

#endif
