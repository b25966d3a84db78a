/* SPDX-License-Identifier: Apache-2.0 */
/* A mistake made in what is given to the judge of a case. */
#include "config.h"

#include "ref/fault_inside.h"
#include "ref/moeref_inside.h"

/* True if a place has other bits; rows of pairs may be others with other
 * ids. */
static bool differs(const moe_rows_t *a, const moe_rows_t *b)
{
    return !moe_ref_fault_same(a, b);
}

/* Make what got has from a place on, by a layer. */
static moe_status_t make_from(moe_ref_layer_t *layer, int first,
                              const moe_moeref_got_t *got)
{
    moe_status_t status = MOE_OK;

    for (int r = first; status == MOE_OK && r < MOE_ROLE_COUNT; r++) {
        if (got->has[r]) {
            status = moe_ref_layer_make(layer, (moe_role_t)r);
        }
    }
    return status;
}

/* Put the wrong tensors where they differ; true if there are any. */
static bool replace(const moe_ref_layer_t *right, const moe_ref_layer_t *wrong,
                    int first, moe_moeref_got_t *got)
{
    bool any = false;

    for (int r = first; r < MOE_ROLE_COUNT; r++) {
        any |= got->has[r] && differs(&right->at[r], &wrong->at[r]);
    }
    for (int r = first; any && r < MOE_ROLE_COUNT; r++) {
        got->rows[r] = got->has[r] ? wrong->at[r] : got->rows[r];
    }
    return any;
}

/* Try a mistake; wrong is left for the caller to end if it has an effect. */
static moe_status_t try_one(const moe_ref_case_t *about, moe_ref_layer_t *right,
                            moe_fault_t fault, moe_moeref_got_t *got,
                            moe_ref_layer_t *wrong, bool *done)
{
    moe_status_t status = moe_ref_layer_init(about, wrong);

    *done = false;
    if (status == MOE_OK) {
        wrong->fault = fault;
        status = make_from(wrong, (int)fault.role, got);
    }
    if (status == MOE_ERR_UNSUPPORTED || status == MOE_ERR_RANGE) {
        moe_error_clear(); /* it means nothing here */
        moe_ref_layer_fini(wrong);
        return MOE_OK;
    }
    if (status == MOE_OK) {
        status = make_from(right, (int)fault.role, got);
    }
    *done = status == MOE_OK && replace(right, wrong, (int)fault.role, got);
    if (!*done) {
        moe_ref_layer_fini(wrong);
    }
    return status;
}

/* The first place, and form, in which the mistake changes what got has. */
static moe_status_t try_all(const moe_ref_case_t *about, moe_fault_kind_t kind,
                            moe_ref_layer_t *right, moe_moeref_got_t *got,
                            moe_ref_layer_t *wrong, bool *done)
{
    moe_status_t status = MOE_OK;

    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_output && !*done; r++) {
        if (!moe_fault_is_at(kind, (moe_role_t)r)) {
            continue;
        }
        for (int v = 0; v < moe_fault_variants(kind) && !*done; v++) {
            status =
                try_one(about, right,
                        (moe_fault_t){
                            .kind = kind, .role = (moe_role_t)r, .variant = v},
                        got, wrong, done);
            if (status != MOE_OK) {
                return status;
            }
        }
    }
    return MOE_OK;
}

moe_status_t moe_moeref_inject(const moeref_case_t *c, moe_moeref_got_t *got,
                               moe_ref_layer_t *wrong_p)
{
    const moe_ref_case_t about = moe_moeref_about(c);
    const moe_fault_kind_t kind = c->settings.inject;
    moe_ref_layer_t right;
    bool done = false;
    moe_status_t status = moe_ref_layer_init(&about, &right);

    if (status == MOE_OK) {
        status = try_all(&about, kind, &right, got, wrong_p, &done);
        moe_ref_layer_fini(&right);
    }
    return status != MOE_OK || done
               ? status
               : moe_fail(MOE_ERR_UNSUPPORTED,
                          "inject: %s changes nothing that is checked here",
                          moe_fault_name(kind));
}
