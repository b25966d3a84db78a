/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Judge of somebody else's tensors of a layer: which of them a correct kernel
 * can have made.
 *
 * Places are judged in the order of the chain. What is given is held against
 * the exact result of the place before it - somebody's own where that is
 * given too -, within two widths: `hard`, which no order of additions
 * exceeds, and `likely`, which the errors of a random walk exceed in one
 * check of a million, whatever its number of elements. A place that is not
 * given hands its widths on. doc/judging.md has the formulas.
 */
#ifndef REF_JUDGE_H
#define REF_JUDGE_H

#include "ref/layer.h"

typedef enum {
#define MOE_ACCUMULATOR(id, name, unit, wide, drift, text) MOE_ACCUMULATOR_##id,
#include "ref/accumulator.def"
#undef MOE_ACCUMULATOR
    MOE_ACCUMULATOR_COUNT
} moe_accumulator_t;

/** Name and text; "?" if out of range. */
const char *moe_accumulator_name(moe_accumulator_t accumulator);
const char *moe_accumulator_text(moe_accumulator_t accumulator);
bool moe_accumulator_find(const char *name, moe_accumulator_t *accumulator_p);

typedef enum {
    MOE_WIDTH_hard,
    MOE_WIDTH_likely,
    MOE_WIDTHS
} moe_width_t;

/** Where something is: -1 for what does not apply. */
typedef struct {
    int64_t row; /* of the tensor */
    int64_t col;
    int64_t token; /* global number */
    int64_t expert;
    int64_t physical; /* slot that holds it, where experts are placed */
    double got;
    double want; /* exact, up to fp32 */
    double ratio;
} moe_judge_spot_t;

/** What was found about a place. A ratio above 1 is a fault. */
typedef struct {
    moe_role_t role;
    bool judged;
    bool codes;       /* of a quantiser or the router */
    bool from_given;  /* the place before it was somebody's own */
    int64_t elements; /* compared */

    /* codes: those that differ, those that a near tie explains, by one step,
     * by more; those that are right and mean another number, for their scale
     * is wrong; and of scales */
    int64_t differ;
    int64_t near_ties;
    int64_t rescaled;
    int64_t in_budget;        /* not so, but other machines may miss these */
    int64_t in_code_budget;   /* of them, in blocks whose scale is right, copies
                               * of a token's row once */
    int64_t scales_in_budget; /* and scales that are no near ties, once too */
    int64_t one_step;
    int64_t more_steps;
    int64_t scales;
    int64_t scales_differ;
    int64_t scales_near_ties;
    int64_t scales_more_steps;

    /* numbers */
    int64_t max_ulp; /* from the exact result, rounded to got's format */
    int64_t nans;    /* in got, where there is none in ref */
    int64_t infinities;
    double sum_diff2; /* of finite elements and the rounded result */
    double sum_ref2;
    double sum_got2;
    double sum_product;
    double weakness; /* median of hard width over |exact| of the elements */
    int64_t beyond[MOE_WIDTHS]; /* elements outside */
    int64_t rows_beyond;        /* by the energy of a row */
    int64_t experts_beyond;     /* and of an expert's rows */
    double row_ratio;           /* the largest */
    double expert_ratio;
    moe_judge_spot_t worst; /* by the likely width, or of the worst row */

    bool good;
} moe_verdict_t;

/** Norms of a row of widths. */
typedef struct {
    double one;
    double two;
    int64_t count; /* elements in doubt */
} moe_norms_t;

/** Where numbers of a place may lie about those in the layer. */
typedef struct {
    float *at[MOE_WIDTHS]; /* [rows][cols]; NULL: no doubt */
    moe_norms_t *flips;    /* [rows] other codes that machines of a profile
                            * choose; NULL: none */
    double *energy;        /* [rows] likely sum of squares of a row */
} moe_widths_t;

/** Where the faults of a place lie. */
typedef struct {
    int64_t *rows;    /* [rows] faulty elements of each */
    int64_t cols[16]; /* and of the columns mod 16 */
} moe_judge_sites_t;

typedef struct {
    moe_ref_layer_t layer;
    moe_accumulator_t accumulator;
    int partials; /* that a sum over experts is made of and rounded; 1: none */
    moe_storage_t sums;             /* they travel coded so; in a float format
                                     * they do not */
    double log_tail;                /* -ln of the chance of one element */
    moe_rows_t got[MOE_ROLE_COUNT]; /* codes NULL: not given */
    bool trusted[MOE_ROLE_COUNT];   /* held, and not judged */
    bool mostly[MOE_ROLE_COUNT];    /* got is fp32 that was rounded to the
                                     * chain's format: its numbers of that are
                                     * judged so, others as they stand */
    moe_rows_t known_ids;           /* got's ids, -1 where no expert has one;
                                     * codes NULL: all are known */
    moe_rows_t gate_ids;            /* borrowed: what a gate with capacity
                                     * leaves; codes NULL: none drops */
    moe_rows_t gate_weights;        /* of these */
    moe_rows_t near_ids;            /* what it leaves by the logits that
                                     * moe_judge_gate_moved() gave, or NULL */
    moe_rows_t near_weights;        /* of these */
    moe_rows_t fine;                /* fp32 of the place at work */
    moe_widths_t widths[MOE_ROLE_COUNT];
    moe_verdict_t verdict[MOE_ROLE_COUNT];
    moe_judge_sites_t *sites; /* NULL: nobody asks */
    bool only_zeros; /* what is 0 explains zeros alone, whatever the doubt:
                      * for mistakes that leave zeros */
} moe_judge_t;

/**
 * Start.
 *
 * @param[in] elements  Of all tensors of the whole check together, other
 *                      ranks' too: shares of the one in a million.
 */
moe_status_t moe_judge_init(const moe_ref_case_t *about,
                            moe_accumulator_t accumulator, int64_t elements,
                            moe_judge_t *judge_p);
void moe_judge_fini(moe_judge_t *judge);

/** A tensor to be judged; borrowed. Ids first, then tensors of pairs, whose
 * rows are in the order of ref/layer.h for these ids; an id that no expert has
 * is a fault, and makes no pair.
 * @return MOE_OK; MOE_ERR_RANGE if the shape is not that of the place. */
moe_status_t moe_judge_give(moe_judge_t *judge, moe_role_t role,
                            const moe_rows_t *rows);

/** A tensor that is true: an input of the kernel, or rows of experts that were
 * judged elsewhere, after which nothing is made of what lies before and was not
 * given. Ids that no expert has make no pair. */
moe_status_t moe_judge_trust(moe_judge_t *judge, moe_role_t role,
                             const moe_rows_t *rows);

/** Judge all that was given. */
moe_status_t moe_judge_run(moe_judge_t *judge);

/** Logits of a judge that has run, [tokens][E], moved by their widths: those of
 * tokens whose ids are not the gate's up for got's experts, down for the gate's
 * others, up for the rest where got has fewer, which it may have dropped. */
void moe_judge_gate_moved(const moe_judge_t *judge, float *out);

/** Choices that the gate dropped which may be other experts', by the widths of
 * the logits of a judge that has run; all that it dropped, where a bias or
 * groups choose, or nothing is known of logits.
 * @param[out] room  [E] how many of them may or may not be an expert's. */
int64_t moe_judge_gate_doubt(const moe_judge_t *judge, int64_t *room);

/** Judge ids and weights again, near_ids and near_weights being set: a token
 * that has those is a near tie. */
moe_status_t moe_judge_gate_again(moe_judge_t *judge);

/** Codes that are no near tie, and those whose scale makes them wrong. */
static inline int64_t moe_judge_wrong_codes(const moe_verdict_t *v)
{
    return v->differ - v->near_ties + v->rescaled;
}

/** True if all that was judged is good. */
bool moe_judge_is_good(const moe_judge_t *judge);

#endif
