/* SPDX-License-Identifier: Apache-2.0 */
/* Ids and weights where the router is data: no logits made them and nothing is
 * near a tie, so GOT's are REF's, in any order of the columns. */
#include "sim/check/told.h"

#include <math.h>

/* Tokens' rows, side by side. */
typedef struct {
    const moe_check_told_t *told;
    int64_t experts;
    int k;
} sides_t;

/* What is at fault: how many, and the first. */
typedef struct {
    int64_t n;
    int64_t row;
    int slot;  /* of GOT */
    int other; /* the slot of REF that is held against it, or -1 */
} faults_t;

static void count(faults_t *f, int64_t row, int slot, int other)
{
    if (f->n++ == 0) {
        *f = (faults_t){1, row, slot, other};
    }
}

static int32_t id_at(const moe_rows_t *ids, int64_t row, int slot)
{
    return ((const int32_t *)ids->codes)[row * ids->cols + slot];
}

static double weight_at(const moe_rows_t *weights, int64_t row, int slot)
{
    return (double)((const float *)weights->codes)[row * weights->cols + slot];
}

/* True for experts; and for none, -1, where REF's token has one, too. */
static bool is_known(const sides_t *s, int64_t row, int32_t id)
{
    bool known = id >= 0 && id < s->experts;

    for (int i = 0; id == -1 && s->told->ref_ids.codes != NULL && i < s->k;
         i++) {
        known = known || id_at(&s->told->ref_ids, row, i) == -1;
    }
    return known;
}

/* Nobody reads the weight of no expert. */
static bool same_weights(const sides_t *s, int64_t row, int32_t id, int slot,
                         int other)
{
    double a;
    double b;

    if (s->told->weights.codes == NULL || s->told->ref_weights.codes == NULL ||
        id < 0) {
        return true;
    }
    a = weight_at(&s->told->weights, row, slot);
    b = weight_at(&s->told->ref_weights, row, other);
    return !(a < b) && !(a > b) && isnan(a) == isnan(b);
}

/* Slots of GOT to slots of REF, each taken once: first those that have the
 * same weight, then those that have the same expert. */
static void match(const sides_t *s, int64_t row, int to[MOE_TOPK_MAX])
{
    const moe_rows_t *ids =
        s->told->ids.codes != NULL ? &s->told->ids : &s->told->ref_ids;
    bool used[MOE_TOPK_MAX] = {false};

    for (int i = 0; i < s->k; i++) {
        to[i] = -1;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < s->k; i++) {
            const int32_t id = id_at(ids, row, i);

            for (int j = 0; to[i] < 0 && j < s->k; j++) {
                if (!used[j] && id_at(&s->told->ref_ids, row, j) == id &&
                    (pass == 1 || same_weights(s, row, id, i, j))) {
                    to[i] = j;
                    used[j] = true;
                }
            }
        }
    }
}

/* A slot of REF that none of GOT's has. */
static int missing(const sides_t *s, const int to[MOE_TOPK_MAX])
{
    for (int j = 0; j < s->k; j++) {
        bool used = false;

        for (int i = 0; i < s->k; i++) {
            used = used || to[i] == j;
        }
        if (!used) {
            return j;
        }
    }
    return 0;
}

static void compare_row(const sides_t *s, int64_t row, faults_t *ids,
                        faults_t *weights)
{
    const moe_check_told_t *told = s->told;
    int to[MOE_TOPK_MAX];

    match(s, row, to);
    for (int i = 0; i < s->k; i++) {
        const int32_t id = id_at(
            told->ids.codes != NULL ? &told->ids : &told->ref_ids, row, i);

        if (to[i] < 0 && is_known(s, row, id)) {
            count(ids, row, i, missing(s, to));
        } else if (to[i] >= 0 && !same_weights(s, row, id, i, to[i])) {
            count(weights, row, i, to[i]);
        }
    }
}

static moe_status_t say_as_told(moe_check_t *check,
                                const moe_golden_rank_t *rank, moe_role_t role,
                                int64_t elements)
{
    json_t *finding =
        moe_check_finding(moe_role_name(role), rank->rank, true, "as told");

    if (finding != NULL) {
        (void)json_object_set_new(finding, "elements",
                                  json_integer((json_int_t)elements));
    }
    return moe_check_add(check, finding);
}

static moe_status_t say_ids(moe_check_t *check, const moe_golden_rank_t *rank,
                            const sides_t *s, const faults_t *f)
{
    const moe_check_told_t *told = s->told;

    return moe_check_fault(
        check, rank, MOE_ROLE_topk_ids, "not as told",
        "%lld of %lld ids are not REF's; token %lld, slot %d: got %d, want %d",
        (long long)f->n, (long long)(told->ids.rows * s->k),
        (long long)(rank->tokens.begin + f->row), f->slot,
        (int)id_at(&told->ids, f->row, f->slot),
        (int)id_at(&told->ref_ids, f->row, f->other));
}

static moe_status_t say_weights(moe_check_t *check,
                                const moe_golden_rank_t *rank, const sides_t *s,
                                const faults_t *f)
{
    const moe_check_told_t *told = s->told;

    return moe_check_fault(
        check, rank, MOE_ROLE_topk_weights, "not as told",
        "%lld of %lld weights are not REF's; token %lld, slot %d, expert %d: "
        "got %.9g, want %.9g",
        (long long)f->n, (long long)(told->weights.rows * s->k),
        (long long)(rank->tokens.begin + f->row), f->slot,
        (int)id_at(&told->ref_ids, f->row, f->other),
        weight_at(&told->weights, f->row, f->slot),
        weight_at(&told->ref_weights, f->row, f->other));
}

static moe_status_t compare(moe_check_t *check, const moe_golden_rank_t *rank,
                            const sides_t *s, bool ids_known)
{
    const moe_check_told_t *told = s->told;
    const int64_t elements = told->ref_ids.rows * s->k;
    faults_t ids = {0};
    faults_t weights = {0};
    moe_status_t status = MOE_OK;

    for (int64_t row = 0; row < told->ref_ids.rows; row++) {
        compare_row(s, row, &ids, &weights);
    }
    if (ids.n > 0) {
        status = say_ids(check, rank, s, &ids);
    } else if (told->ids.codes != NULL && ids_known) {
        status = say_as_told(check, rank, MOE_ROLE_topk_ids, elements);
    }
    if (status == MOE_OK && weights.n > 0) {
        status = say_weights(check, rank, s, &weights);
    } else if (status == MOE_OK && told->weights.codes != NULL &&
               told->ref_weights.codes != NULL) {
        status = say_as_told(check, rank, MOE_ROLE_topk_weights, elements);
    }
    return status;
}

/* Ids that are no expert's. */
static moe_status_t find_unknown(moe_check_t *check,
                                 const moe_golden_rank_t *rank,
                                 const sides_t *s, int64_t *n_p)
{
    const moe_rows_t *ids = &s->told->ids;
    faults_t unknown = {0};

    for (int64_t row = 0; row < ids->rows; row++) {
        for (int i = 0; i < s->k; i++) {
            if (!is_known(s, row, id_at(ids, row, i))) {
                count(&unknown, row, i, -1);
            }
        }
    }
    *n_p = unknown.n;
    return unknown.n == 0
               ? MOE_OK
               : moe_check_fault(
                     check, rank, MOE_ROLE_topk_ids, "unknown expert",
                     "%lld of %lld ids are no expert's; token %lld, slot %d: "
                     "%lld of %lld experts",
                     (long long)unknown.n, (long long)(ids->rows * ids->cols),
                     (long long)(rank->tokens.begin + unknown.row),
                     unknown.slot,
                     (long long)moe_check_id(
                         s->told->file, unknown.row * s->k + unknown.slot,
                         id_at(ids, unknown.row, unknown.slot)),
                     (long long)s->experts);
}

int64_t moe_check_id(const moe_safetensors_t *file, int64_t at, int32_t narrow)
{
    const moe_safetensor_t *t =
        moe_safetensors_find(file, moe_role_name(MOE_ROLE_topk_ids));
    int64_t wide = narrow;

    if (t != NULL && t->dtype == MOE_DTYPE_i64 && at >= 0 &&
        at < t->size_bytes / 8 &&
        moe_safetensors_read(file, t, at * 8, 8, &wide) != MOE_OK) {
        moe_error_clear();
        wide = narrow;
    }
    return wide;
}

moe_status_t moe_check_widen(moe_check_tensor_t *tensor)
{
    const moe_storage_t fp32 = {.format = MOE_FORMAT_fp32};
    moe_rows_t wide;
    moe_status_t status;
    double value;

    if (tensor->rows.storage.format == MOE_FORMAT_fp32) {
        return MOE_OK;
    }
    status =
        moe_ref_rows_alloc(&fp32, tensor->rows.rows, tensor->rows.cols, &wide);
    for (int64_t i = 0;
         status == MOE_OK && i < tensor->rows.rows * tensor->rows.cols; i++) {
        value = moe_rows_value(&tensor->rows, i / tensor->rows.cols,
                               i % tensor->rows.cols);
        ((float *)wide.codes)[i] = (float)value;
    }
    if (status == MOE_OK) {
        moe_check_tensor_free(tensor);
        tensor->rows = wide;
    }
    return status;
}

moe_status_t moe_check_told(moe_check_t *check, const moe_golden_rank_t *rank,
                            const moe_model_t *model,
                            const moe_check_told_t *told)
{
    const sides_t s = {told, model->experts, model->topk};
    moe_status_t status = MOE_OK;
    int64_t unknown = 0;

    if (told->ids.codes != NULL) {
        status = find_unknown(check, rank, &s, &unknown);
    }
    return status == MOE_OK && told->ref_ids.codes != NULL
               ? compare(check, rank, &s, unknown == 0)
               : status;
}
