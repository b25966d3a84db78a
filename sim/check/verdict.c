/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/check/told.h"

#include <math.h>

#define WEAK 0.05 /* median of hard width over |ref| that is called weak */

/* JSON has no infinity. */
static json_t *number(double x)
{
    return json_real(isnan(x) ? 1e300 : x > 1e300 ? 1e300 : x);
}

/* Nor NaN: they are words. */
static json_t *value(double x)
{
    return isfinite(x) ? json_real(x)
                       : json_string(isnan(x)  ? "NaN"
                                     : x < 0.0 ? "-inf"
                                               : "inf");
}

static json_t *integer(int64_t n)
{
    return json_integer((json_int_t)n);
}

json_t *moe_check_finding(const char *tensor, int rank, bool good,
                          const char *kind)
{
    json_t *finding = json_pack("{s:s, s:s, s:s}", "tensor", tensor, "verdict",
                                good ? "good" : "bad", "kind", kind);

    if (finding != NULL && rank >= 0) {
        (void)json_object_set_new(finding, "rank", json_integer(rank));
    }
    return finding;
}

static double share(double part, double whole)
{
    return whole > 0.0 ? part / whole : part > 0.0 ? HUGE_VAL : 0.0;
}

static void set_codes(json_t *f, const moe_verdict_t *v)
{
    (void)json_object_set_new(f, "differ", integer(v->differ));
    (void)json_object_set_new(f, "near_ties", integer(v->near_ties));
    (void)json_object_set_new(f, "in_budget", integer(v->in_budget));
    (void)json_object_set_new(f, "one_step", integer(v->one_step));
    (void)json_object_set_new(f, "more_steps", integer(v->more_steps));
    if (v->scales > 0) {
        (void)json_object_set_new(f, "rescaled", integer(v->rescaled));
        (void)json_object_set_new(f, "scales", integer(v->scales));
        (void)json_object_set_new(f, "scales_differ",
                                  integer(v->scales_differ));
        (void)json_object_set_new(f, "scales_near_ties",
                                  integer(v->scales_near_ties));
        (void)json_object_set_new(
            f, "scales_one_step",
            integer(v->scales_differ - v->scales_more_steps));
        (void)json_object_set_new(f, "scales_more_steps",
                                  integer(v->scales_more_steps));
    }
}

static void set_numbers(json_t *f, const moe_verdict_t *v)
{
    const double squares = v->sum_ref2 + v->sum_got2;
    const double norms = sqrt(v->sum_ref2) * sqrt(v->sum_got2);

    (void)json_object_set_new(f, "max_ulp", integer(v->max_ulp));
    (void)json_object_set_new(f, "relative_l2",
                              number(sqrt(share(v->sum_diff2, v->sum_ref2))));
    (void)json_object_set_new(
        f, "cosine", number(norms > 0.0 ? v->sum_product / norms : 1.0));
    (void)json_object_set_new(
        f, "calc_diff",
        number(squares > 0.0 ? 1.0 - 2.0 * v->sum_product / squares : 0.0));
    (void)json_object_set_new(f, "nans", integer(v->nans));
    (void)json_object_set_new(f, "infinities", integer(v->infinities));
    (void)json_object_set_new(f, "rows_beyond", integer(v->rows_beyond));
    (void)json_object_set_new(f, "experts_beyond", integer(v->experts_beyond));
    (void)json_object_set_new(f, "row_ratio", number(v->row_ratio));
    (void)json_object_set_new(f, "expert_ratio", number(v->expert_ratio));
    (void)json_object_set_new(f, "bound_over_ref", number(v->weakness));
    (void)json_object_set_new(
        f, "bound", json_string(v->weakness > WEAK ? "weak" : "strong"));
}

static json_t *worst_of(const moe_judge_spot_t *spot)
{
    json_t *worst = json_pack("{s:I, s:o}", "row", (json_int_t)spot->row,
                              "ratio", number(spot->ratio));

    if (worst == NULL) {
        return NULL;
    }
    (void)json_object_set_new(worst, "token", integer(spot->token));
    if (spot->expert >= 0) {
        (void)json_object_set_new(worst, "expert", integer(spot->expert));
    }
    if (spot->expert >= 0 && spot->physical >= 0) {
        (void)json_object_set_new(worst, "physical_expert",
                                  integer(spot->physical));
    }
    if (spot->col >= 0) {
        (void)json_object_set_new(worst, "column", integer(spot->col));
        (void)json_object_set_new(worst, "got", value(spot->got));
        (void)json_object_set_new(worst, "want", value(spot->want));
    }
    return worst;
}

/* Ids are integers; one that does not fit 32 bits is told as the file has
 * it. */
static void set_ids(json_t *worst, const moe_judge_spot_t *spot, int k,
                    const moe_safetensors_t *got)
{
    if (worst != NULL && spot->col >= 0) {
        (void)json_object_set_new(
            worst, "got",
            integer(moe_check_id(got, spot->row * k + spot->col,
                                 (int32_t)spot->got)));
        (void)json_object_set_new(worst, "want", integer((int64_t)spot->want));
    }
}

json_t *moe_check_verdict(const moe_judge_t *judge, moe_role_t role, int rank,
                          const moe_safetensors_t *got)
{
    const moe_verdict_t *v = &judge->verdict[role];
    json_t *f = moe_check_finding(moe_role_name(role), rank, v->good,
                                  v->codes ? "codes" : "numbers");

    if (f == NULL) {
        return NULL;
    }
    (void)json_object_set_new(f, "elements", integer(v->elements));
    (void)json_object_set_new(f, "beyond_hard",
                              integer(v->beyond[MOE_WIDTH_hard]));
    (void)json_object_set_new(f, "beyond_likely",
                              integer(v->beyond[MOE_WIDTH_likely]));
    if (v->codes) {
        set_codes(f, v);
    } else {
        set_numbers(f, v);
    }
    if (role == MOE_ROLE_output && judge->trusted[MOE_ROLE_gemm2_out]) {
        (void)json_object_set_new(f, "gathered", json_true());
    }
    if (v->worst.ratio > 0.0) {
        json_t *worst = worst_of(&v->worst);

        if (role == MOE_ROLE_topk_ids) {
            set_ids(worst, &v->worst, judge->layer.about.model->topk, got);
        }
        (void)json_object_set_new(f, "worst", worst);
    }
    return f;
}
