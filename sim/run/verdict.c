/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/run/gating.h"
#include "sim/run/output.h"
#include "sim/run/verdict.h"

#include "sim/report/head.h"

#include <math.h>
#include <string.h>

static moe_status_t no_memory(void)
{
    return moe_fail(MOE_ERR_NOMEM, "no memory for the report");
}

static moe_status_t unequal(const moe_job_t *job, size_t m, int rank, int stage,
                            int64_t got, const char *what, int64_t want)
{
    return moe_fail(MOE_ERR_INTERNAL,
                    "method %s, rank %d, stage %s: %lld bytes were executed, "
                    "%s says %lld",
                    job->scenario->method[m].label, rank,
                    moe_stage_name((moe_stage_t)stage), (long long)got, what,
                    (long long)want);
}

/* Payload of a rank as executed, as meta planned it and as the method's
 * closed formula says: equal to the byte, of all stages that ran. */
static moe_status_t check_rank(const moe_job_t *job, const moe_joined_t *j,
                               size_t m, const json_t *stages, int rank)
{
    const moe_method_use_t *use = &job->scenario->method[m];
    const moe_layer_t layer = moe_method_layer(&job->scenario->layer, use);
    moe_formula_t f = {.layer = &layer,
                       .options = use->options,
                       .rank = rank,
                       .routing = &job->routing};
    int64_t formula[MOE_STAGE_COUNT] = {0};

    use->method->payload(&f, formula);
    for (int s = 0; s < MOE_STAGE_COUNT; s++) {
        size_t at =
            ((size_t)rank * job->scenario->n_methods + m) * MOE_STAGE_COUNT +
            (size_t)s;
        int64_t got = j->payload[at];
        int64_t meta = json_integer_value(json_array_get(
            json_object_get(
                json_object_get(stages, moe_stage_name((moe_stage_t)s)),
                "payload_bytes"),
            (size_t)rank));

        if (got != meta) {
            return unequal(job, m, rank, s, got, "meta", meta);
        }
        if ((moe_job_stages(job) >> s & 1) != 0 && got != formula[s]) {
            return unequal(job, m, rank, s, got, "the formula", formula[s]);
        }
    }
    return MOE_OK;
}

static moe_status_t check_payload(const moe_job_t *job, const moe_joined_t *j,
                                  size_t m)
{
    const json_t *stages =
        json_object_get(json_array_get(job->methods, m), "by_stage");
    moe_status_t status = MOE_OK;

    for (int r = 0; stages != NULL && status == MOE_OK && r < job->n_ranks;
         r++) {
        status = check_rank(job, j, m, stages, r);
    }
    return status;
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *ulp_or_null(const moe_compare_t *c)
{
    return c->elements == 0 || c->max_ulp == INT64_MAX
               ? json_null()
               : json_integer(c->max_ulp);
}

/* Label of the first method with the same output; null for none, and of
 * outputs without elements. */
static json_t *identical_to(const moe_job_t *job, const moe_joined_t *j,
                            size_t m)
{
    const char *digest = j->found[m].digest;

    for (size_t i = 0; i < m && digest[0] != '\0' && job->sample.n > 0; i++) {
        if (strcmp(j->found[i].digest, digest) == 0) {
            return json_string(job->scenario->method[i].label);
        }
    }
    return json_null();
}

/* How far `faithful` is from `exact`; null in `exact`, where they are one. */
static json_t *to_exact(const moe_compare_t *c)
{
    return c->elements == 0 ? json_null()
                            : json_pack("{s:I,s:o,s:o}", "elements_differing",
                                        (json_int_t)c->mismatching, "max_ulp",
                                        ulp_or_null(c), "relative_l2",
                                        number_or_null(moe_compare_l2(c)));
}

/* How far a method is from the first one that computes, over all tokens; null
 * for that one, and where nothing was compared. */
static json_t *to_first(const moe_job_t *job, const moe_compare_t *c)
{
    size_t first;

    if (c->elements == 0 || !moe_output_first(job, &first)) {
        return json_null();
    }
    return json_pack("{s:s,s:I,s:I,s:o,s:o}", "method",
                     job->scenario->method[first].label, "elements_compared",
                     (json_int_t)c->elements, "elements_differing",
                     (json_int_t)c->mismatching, "max_ulp", ulp_or_null(c),
                     "relative_l2", number_or_null(moe_compare_l2(c)));
}

static moe_status_t set_judged(const moe_job_t *job, const moe_joined_t *j,
                               size_t m, json_t *method)
{
    const moe_found_t *f = &j->found[m];
    const moe_compare_t *c = &f->oracle;
    bool judged = c->elements > 0;
    int bad = 0;

    bad |= json_object_set_new(method, "bit_identical_to_oracle",
                               judged ? json_boolean(c->mismatching == 0)
                                      : json_null());
    bad |= json_object_set_new(method, "elements_compared",
                               json_integer(c->elements));
    bad |= json_object_set_new(method, "elements_mismatching",
                               json_integer(c->mismatching));
    bad |= json_object_set_new(
        method, "tokens_checked",
        json_integer(c->elements / job->scenario->model.hidden));
    bad |= json_object_set_new(method, "max_ulp", ulp_or_null(c));
    bad |= json_object_set_new(method, "relative_l2",
                               judged ? number_or_null(moe_compare_l2(c))
                                      : json_null());
    bad |= json_object_set_new(method, "gating", moe_run_gating(job, j, m));
    bad |= json_object_set_new(method, "to_exact", to_exact(&f->exact));
    bad |= json_object_set_new(method, "to_first", to_first(job, &f->to_first));
    bad |= json_object_set_new(method, "output_digest",
                               f->digest[0] != '\0' ? json_string(f->digest)
                                                    : json_null());
    bad |= json_object_set_new(method, "identical_to", identical_to(job, j, m));
    bad |= json_object_set_new(
        method, "redone",
        json_pack("{s:I,s:I,s:I}", "elements", (json_int_t)f->stats.elements,
                  "sum2", (json_int_t)f->stats.redone_sum2, "exact",
                  (json_int_t)f->stats.redone_exact));
    bad |= json_object_set_new(method, "wall_s", json_real(f->wall_s));
    bad |= json_object_set_new(method, "cpu_s", json_real(f->cpu_s));
    bad |= json_object_set_new(method, "agree_s", json_real(f->agree_s));
    return bad != 0 ? no_memory() : MOE_OK;
}

moe_status_t moe_run_add_methods(const moe_job_t *job, const moe_joined_t *j,
                                 json_t *document)
{
    json_t *methods = json_object_get(document, "methods");

    for (size_t m = 0; m < job->scenario->n_methods; m++) {
        json_t *method = json_array_get(job->methods, m);
        moe_status_t status = check_payload(job, j, m);

        if (status == MOE_OK) {
            status = set_judged(job, j, m, method);
        }
        if (status == MOE_OK) {
            status =
                moe_report_add_method(document, methods, json_incref(method));
        }
        if (status != MOE_OK) {
            return status;
        }
    }
    return moe_report_add_left_out(job->scenario, methods);
}

/* True if a method's chain rounds like an earlier one's, whose output it
 * does not equal. */
static bool differs_from_equal(const moe_job_t *job, const moe_joined_t *j,
                               size_t m)
{
    const moe_method_use_t *use = job->scenario->method;

    for (size_t i = 0; i < m; i++) {
        if (moe_job_routes_alike(job, i, m) &&
            moe_chain_rounds_alike(&use[i].chain, &use[m].chain) &&
            strcmp(j->found[i].digest, j->found[m].digest) != 0) {
            return true;
        }
    }
    return false;
}

moe_status_t moe_run_verdict(const moe_job_t *job, const moe_joined_t *j)
{
    for (size_t m = 0; m < job->scenario->n_methods; m++) {
        const moe_method_use_t *use = &job->scenario->method[m];
        const moe_compare_t *c = &j->found[m].oracle;

        if (j->found[m].gate.wrong > 0) {
            return moe_fail(MOE_ERR_CHECK,
                            "method %s: %lld pairs, counts or numbers of its "
                            "gate are not the oracle's",
                            use->label, (long long)j->found[m].gate.wrong);
        }
        if (c->mismatching > 0) {
            return moe_fail(MOE_ERR_CHECK,
                            "method %s: %lld of %lld elements are not the "
                            "oracle's",
                            use->label, (long long)c->mismatching,
                            (long long)c->elements);
        }
        if (differs_from_equal(job, j, m)) {
            return moe_fail(MOE_ERR_CHECK,
                            "method %s: other bits than a method with the "
                            "same rounding points",
                            use->label);
        }
    }
    return MOE_OK;
}
