/* SPDX-License-Identifier: Apache-2.0 */
/* Ids and weights of a rank: GOT's, REF's, or what REF's gate leaves. */
#include "sim/check/part.h"

#include "sim/check/gate.h"
#include "sim/check/told.h"

#include <stdlib.h>
#include <string.h>

static moe_status_t read_ref(moe_check_part_t *part, moe_role_t role)
{
    moe_check_tensor_t *tensor = &part->trusted[role];
    moe_status_t status =
        part->ref != NULL && moe_check_has(part->ref, role) &&
                tensor->rows.codes == NULL
            ? moe_check_read_place(part, part->ref, part->ref_path, role,
                                   tensor)
            : MOE_OK;

    return status == MOE_OK && role == MOE_ROLE_topk_weights &&
                   tensor->rows.codes != NULL
               ? moe_check_widen(tensor)
               : status;
}

static moe_status_t copy_rows(const moe_rows_t *from, moe_rows_t *to_p)
{
    moe_status_t status =
        moe_ref_rows_alloc(&from->storage, from->rows, from->cols, to_p);

    if (status == MOE_OK) {
        memcpy(to_p->codes, from->codes,
               (size_t)(from->rows * moe_rows_code_bytes(from)));
    }
    return status;
}

/* What the gate leaves, by GOT's logits where it has them. */
static moe_status_t use_gate(moe_check_part_t *part, const bool *wanted)
{
    moe_check_tensor_t *logits = &part->tensor[MOE_ROLE_logits];
    moe_rows_t ids;
    moe_rows_t weights;
    moe_status_t status = MOE_OK;

    if (!moe_check_gate_drops(part->check)) {
        return MOE_OK;
    }
    if (wanted[MOE_ROLE_logits] && moe_check_has(part->file, MOE_ROLE_logits)) {
        status = moe_check_read_place(part, part->file, part->path,
                                      MOE_ROLE_logits, logits);
    }
    if (status == MOE_OK && logits->rows.codes != NULL) {
        status = moe_check_gate_by(part->check, part->rank, &logits->rows);
    }
    moe_check_gate_rows(part->check, part->judge.layer.about.tokens, &ids,
                        &weights);
    if (status == MOE_OK) {
        status = copy_rows(&ids, &part->gated[0]);
    }
    if (status == MOE_OK) {
        status = copy_rows(&weights, &part->gated[1]);
    }
    part->judge.gate_ids = part->gated[0];
    part->judge.gate_weights = part->gated[1];
    return status;
}

static moe_status_t trust(moe_check_part_t *part, moe_role_t role)
{
    const moe_rows_t *rows = role == MOE_ROLE_topk_ids
                                 ? &part->judge.gate_ids
                                 : &part->judge.gate_weights;
    moe_status_t status = MOE_OK;

    if (!moe_check_gate_drops(part->check)) {
        rows = &part->trusted[role].rows;
        status = part->judge.layer.held[role] ? MOE_OK : read_ref(part, role);
    }
    return status == MOE_OK && rows->codes != NULL
               ? moe_judge_trust(&part->judge, role, rows)
               : status;
}

moe_status_t moe_check_trust(moe_check_part_t *part, const bool *wanted)
{
    moe_status_t status = use_gate(part, wanted);

    for (int r = MOE_ROLE_topk_ids;
         status == MOE_OK && r <= MOE_ROLE_topk_weights; r++) {
        if (!wanted[r] || !moe_check_has(part->file, (moe_role_t)r)) {
            status = trust(part, (moe_role_t)r);
        }
    }
    return status;
}

bool moe_check_is_told(const moe_check_part_t *part, moe_role_t role)
{
    return (role == MOE_ROLE_topk_ids || role == MOE_ROLE_topk_weights) &&
           part->check->scenario->router != MOE_ROUTER_data &&
           !moe_check_gate_drops(part->check);
}

moe_status_t moe_check_give_told(moe_check_part_t *part, moe_role_t role)
{
    moe_status_t status = read_ref(part, role);

    return status == MOE_OK
               ? moe_judge_trust(&part->judge, role, &part->tensor[role].rows)
               : status;
}

moe_status_t moe_check_compare_told(moe_check_part_t *part)
{
    const moe_rows_t *ids = &part->tensor[MOE_ROLE_topk_ids].rows;
    const moe_rows_t *weights = &part->tensor[MOE_ROLE_topk_weights].rows;
    moe_check_told_t told = {
        .file = part->file, .ids = *ids, .weights = *weights};
    moe_status_t status;

    if (!moe_check_is_told(part, MOE_ROLE_topk_ids) ||
        (ids->codes == NULL && weights->codes == NULL)) {
        return MOE_OK;
    }
    status = read_ref(part, MOE_ROLE_topk_ids);
    if (status == MOE_OK) {
        status = read_ref(part, MOE_ROLE_topk_weights);
    }
    told.ref_ids = part->trusted[MOE_ROLE_topk_ids].rows;
    told.ref_weights = part->trusted[MOE_ROLE_topk_weights].rows;
    return status == MOE_OK
               ? moe_check_told(part->check, part->rank,
                                part->judge.layer.about.model, &told)
               : status;
}

/* The gate once more, by logits that speak for GOT's ids. */
static moe_status_t gate_again(moe_check_part_t *part, float *logits)
{
    moe_judge_t *judge = &part->judge;
    const moe_rows_t moved = {.storage = {.format = MOE_FORMAT_fp32},
                              .rows = judge->gate_ids.rows,
                              .cols = part->check->scenario->model.experts,
                              .codes = logits};
    moe_status_t status;

    moe_judge_gate_moved(judge, logits);
    status = moe_check_gate_by(part->check, part->rank, &moved);
    if (status == MOE_OK) {
        moe_check_gate_rows(part->check, judge->layer.about.tokens,
                            &judge->near_ids, &judge->near_weights);
        status = moe_judge_gate_again(judge);
    }
    return status;
}

moe_status_t moe_check_near_gate(moe_check_part_t *part)
{
    const moe_verdict_t *v = &part->judge.verdict[MOE_ROLE_topk_ids];
    const int64_t n =
        part->judge.gate_ids.rows * part->check->scenario->model.experts;
    float *logits;
    moe_status_t status;

    if (!moe_check_gate_drops(part->check) ||
        part->judge.gate_ids.codes == NULL) {
        return MOE_OK;
    }
    status = moe_check_gate_doubt(part->check, &part->judge);
    if (status != MOE_OK || !v->judged || v->good) {
        return status;
    }
    logits = malloc((size_t)n * sizeof(*logits) + 1);
    status = logits == NULL ? moe_fail(MOE_ERR_NOMEM, "no memory for logits")
                            : gate_again(part, logits);
    free(logits);
    return status;
}
