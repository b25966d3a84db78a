/* SPDX-License-Identifier: Apache-2.0 */
/* The judge of a rank's layer, as libmoeref exports it. */
#include "config.h"

#include "ref/formats.h"
#include "ref/diagnose.h"
#include "ref/moeref_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Rows of a place as somebody has them: its codes, or floats of any type. */
static moe_status_t read_got(const moe_ref_layer_t *layer, const char *name,
                             const moeref_tensor_t *got, moe_role_t *role_p,
                             moe_rows_t *rows)
{
    moe_role_t role = moe_moeref_role(name, strlen(name));
    moe_storage_t storage;
    moe_format_t format;

    if (role == MOE_ROLE_none) {
        return moe_fail(MOE_ERR_INPUT, "'%s' is no stage that is judged", name);
    }
    storage = moe_ref_layer_storage(layer, role);
    if (strcmp(got->dtype,
               moe_dtype_name(moe_format_info(storage.format)->code)) != 0) {
        if (moe_ref_layer_is_code(layer, role) ||
            !moe_format_find(got->dtype, &format) ||
            !moe_format_is_float(format)) {
            return moe_fail(
                MOE_ERR_INPUT, "%s: elements are %s, expected %s", name,
                got->dtype,
                moe_dtype_name(moe_format_info(storage.format)->code));
        }
        storage = (moe_storage_t){.format = format};
    }
    *role_p = role;
    *rows = (moe_rows_t){.storage = storage,
                         .rows = got->rows,
                         .cols = got->cols,
                         .codes = got->data,
                         .scales = got->scales};
    return moe_format_info(storage.format)->block != 0 && got->scales == NULL
               ? moe_fail(MOE_ERR_INPUT, "%s: has no scales", name)
               : MOE_OK;
}

/* Text that grows as long as there is room. */
typedef struct {
    char *text;
    size_t size;
    size_t used;
} page_t;

__attribute__((format(printf, 2, 3))) static void say(page_t *p,
                                                      const char *format, ...)
{
    va_list args;
    int n;

    if (p->used >= p->size) {
        return;
    }
    va_start(args, format);
    n = vsnprintf(p->text + p->used, p->size - p->used, format, args);
    va_end(args);
    p->used += n > 0 ? (size_t)n : 0;
}

/* Ids came in 32 bits: at an end of these they may have been beyond it. */
static void say_id(page_t *p, double id)
{
    say(p, "%lld%s", (long long)id,
        id >= (double)INT32_MAX   ? " or more"
        : id <= (double)INT32_MIN ? " or less"
                                  : "");
}

static void say_spot(page_t *p, const moe_judge_spot_t *spot, bool ids)
{
    if (spot->row < 0 || spot->ratio <= 0.0) {
        return;
    }
    say(p, "; worst: row %lld", (long long)spot->row);
    if (spot->token >= 0) {
        say(p, ", token %lld", (long long)spot->token);
    }
    if (spot->expert >= 0) {
        say(p, ", expert %lld", (long long)spot->expert);
    }
    if (spot->col >= 0 && ids) {
        say(p, ", column %lld: ", (long long)spot->col);
        say_id(p, spot->got);
        say(p, ", exact %lld", (long long)spot->want);
    } else if (spot->col >= 0) {
        say(p, ", column %lld: %.9g, exact %.9g", (long long)spot->col,
            spot->got, spot->want);
    }
}

static void say_verdict(page_t *p, const moe_verdict_t *v,
                        const char *diagnosis)
{
    say(p, "%s: %s: ", moe_role_name(v->role), v->good ? "good" : "wrong");
    if (diagnosis[0] != '\0') {
        say(p, "%s; ", diagnosis);
    }
    if (v->codes) {
        say(p, "%lld of %lld codes differ, %lld by more than a step",
            (long long)v->differ, (long long)v->elements,
            (long long)v->more_steps);
        if (v->scales > 0) {
            say(p, ", %lld of %lld scales, %lld by more than a step",
                (long long)v->scales_differ, (long long)v->scales,
                (long long)v->scales_more_steps);
        }
    } else {
        say(p,
            "of %lld elements %lld outside the hard bound, %lld outside the "
            "likely one, %lld rows and %lld experts beyond chance, %lld NaN, "
            "%lld infinite, at most %lld ulp",
            (long long)v->elements, (long long)v->beyond[MOE_WIDTH_hard],
            (long long)v->beyond[MOE_WIDTH_likely], (long long)v->rows_beyond,
            (long long)v->experts_beyond, (long long)v->nans,
            (long long)v->infinities, (long long)v->max_ulp);
    }
    say_spot(p, &v->worst, v->role == MOE_ROLE_topk_ids);
    say(p, "\n");
}

/* Wrong ones first. */
static void say_verdicts(page_t *p, const moe_judge_t *judge,
                         const char *diagnosis)
{
    /* the first that is wrong is what was diagnosed */
    for (int good = 0; good < 2; good++) {
        for (int r = 0; r < MOE_ROLE_COUNT; r++) {
            const moe_verdict_t *v = &judge->verdict[r];

            if (v->judged && v->good == (good == 1)) {
                say_verdict(p, v, diagnosis);
                diagnosis = "";
            }
        }
    }
}

static moe_status_t read_all(const moe_ref_layer_t *layer,
                             const char *const *names,
                             const moeref_tensor_t *tensors, int n,
                             moe_moeref_got_t *got)
{
    moe_status_t status = MOE_OK;

    for (int i = 0; status == MOE_OK && i < n; i++) {
        moe_role_t role = MOE_ROLE_none;
        moe_rows_t rows;

        status = read_got(layer, names[i], &tensors[i], &role, &rows);
        if (status == MOE_OK) {
            got->rows[role] = rows;
            got->has[role] = true;
        }
    }
    return status;
}

/* Ids first: they say what the rows of pairs are. */
static moe_status_t give(moe_judge_t *judge, const moe_moeref_got_t *got)
{
    moe_status_t status = MOE_OK;

    if (got->has[MOE_ROLE_topk_ids]) {
        status = moe_judge_give(judge, MOE_ROLE_topk_ids,
                                &got->rows[MOE_ROLE_topk_ids]);
    }
    for (int r = 0; status == MOE_OK && r < MOE_ROLE_COUNT; r++) {
        if (got->has[r] && r != MOE_ROLE_topk_ids) {
            status = moe_judge_give(judge, (moe_role_t)r, &got->rows[r]);
        }
    }
    return status;
}

static moe_status_t judge_all(const moeref_case_t *c, moe_judge_t *judge,
                              moe_moeref_got_t *got, moe_ref_layer_t *wrong)
{
    moe_status_t status = MOE_OK;

    if (c->settings.inject != MOE_FAULT_none) {
        status = moe_moeref_inject(c, got, wrong);
    }
    status = status == MOE_OK ? give(judge, got) : status;
    return status == MOE_OK ? moe_judge_run(judge) : status;
}

moeref_status_t moeref_case_check(const moeref_case_t *c,
                                  const char *const *names,
                                  const moeref_tensor_t *got, int n, char *text,
                                  size_t size)
{
    const moe_ref_case_t case_of = moe_moeref_about(c);
    page_t page = {text, size, 0};
    moe_judge_t judge = {0};
    moe_moeref_got_t all = {0};
    moe_ref_layer_t wrong = {0};
    int64_t elements = 0;
    moe_status_t status;
    char diagnosis[1024] = "";
    bool good;

    moe_error_clear();
    for (int i = 0; i < n; i++) {
        elements += got[i].rows * got[i].cols;
    }
    status = moe_judge_init(&case_of, MOE_ACCUMULATOR_fp32, elements, &judge);
    if (status == MOE_OK) {
        status = read_all(&judge.layer, names, got, n, &all);
    }
    status = status == MOE_OK ? judge_all(c, &judge, &all, &wrong) : status;
    if (status == MOE_OK) {
        status = moe_diagnose(&judge, diagnosis, sizeof(diagnosis));
    }
    if (status == MOE_OK) {
        say_verdicts(&page, &judge, diagnosis);
    }
    good = moe_judge_is_good(&judge);
    moe_judge_fini(&judge);
    moe_ref_layer_fini(&wrong);
    return status != MOE_OK ? moe_moeref_status(status)
           : good           ? MOEREF_OK
                            : MOEREF_ERR_WRONG;
}
