/* SPDX-License-Identifier: Apache-2.0 */
/* One rank's tensors, in two parts: what belongs to its own tokens, and what
 * its experts made of all tokens. They are one where there is one rank. */
#include "sim/check/part.h"

#include "base/text.h"
#include "sim/check/gate.h"
#include "sim/check/names.h"
#include "sim/check/placed.h"
#include "sim/check/told.h"

#include <stdlib.h>
#include <string.h>

int64_t moe_check_count(const moe_safetensors_t *file)
{
    int64_t n = 0;

    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_output; r++) {
        const moe_safetensor_t *t =
            moe_safetensors_find(file, moe_role_name((moe_role_t)r));

        n += t != NULL ? t->size_bytes : 0; /* no fewer than elements / 2 */
    }
    return 2 * n;
}

bool moe_check_has(const moe_safetensors_t *file, moe_role_t role)
{
    return moe_safetensors_find(file, moe_role_name(role)) != NULL;
}

moe_status_t moe_check_read_place(moe_check_part_t *part,
                                  const moe_safetensors_t *file,
                                  const char *path, moe_role_t role,
                                  moe_check_tensor_t *tensor)
{
    const moe_storage_t storage =
        moe_ref_layer_storage(&part->judge.layer, role);
    moe_status_t status;
    int64_t rows;
    int64_t cols;

    (void)moe_ref_layer_shape(&part->judge.layer, role, &rows, &cols);
    status = moe_check_tensor_read(file, path, moe_role_name(role), &storage,
                                   rows, cols, tensor);
    return status == MOE_OK ? moe_check_narrow(storage.format, tensor) : status;
}

/* Tensors of tokens, which lie as they are. */
static moe_status_t give_plain(moe_check_part_t *part, moe_role_t role)
{
    moe_check_tensor_t *tensor = &part->tensor[role];
    moe_status_t status = MOE_OK;

    if (tensor->rows.codes == NULL) { /* else it was wanted before */
        status =
            moe_check_read_place(part, part->file, part->path, role, tensor);
    }
    if (status == MOE_OK && role == MOE_ROLE_topk_weights &&
        tensor->rows.codes != NULL) {
        status = moe_check_widen(tensor);
    }
    if (status != MOE_OK || tensor->rows.codes == NULL) {
        return status;
    }
    part->judge.mostly[role] = tensor->mostly;
    return moe_check_is_told(part, role)
               ? moe_check_give_told(part, role)
               : moe_judge_give(&part->judge, role, &tensor->rows);
}

moe_status_t moe_check_part_match(moe_check_part_t *part, int64_t rows,
                                  int64_t per_expert)
{
    moe_status_t status;

    if (part->match.from != NULL && part->match_rows == rows) {
        return MOE_OK;
    }
    free(part->match.from);
    part->match_rows = rows;
    status =
        moe_check_match(part->check, part->rank, &part->judge.layer, part->file,
                        part->path, rows, per_expert, &part->match);
    part->faulty = part->match.from == NULL;
    return status;
}

moe_status_t moe_check_part_ids(moe_check_part_t *part)
{
    const moe_rows_t *logits = &part->tensor[MOE_ROLE_logits].rows;
    moe_ref_layer_t *layer = &part->judge.layer;
    moe_status_t status = MOE_OK;

    if (!layer->held[MOE_ROLE_topk_ids] && logits->codes != NULL &&
        moe_rows_are_finite(logits)) {
        status = moe_ref_layer_give(layer, MOE_ROLE_logits, logits);
    }
    return status == MOE_OK ? moe_ref_layer_make(layer, MOE_ROLE_topk_ids)
                            : status;
}

/* Tensors of pairs, read in the layer's order: those of another number of rows
 * are known by their header. */
static moe_status_t give_pairs(moe_check_part_t *part, moe_role_t role)
{
    const moe_storage_t storage =
        moe_ref_layer_storage(&part->judge.layer, role);
    const char *name = moe_role_name(role);
    moe_check_tensor_t *tensor = &part->tensor[role];
    int64_t rows;
    int64_t cols;
    int64_t per_expert;
    moe_status_t status;

    (void)moe_ref_layer_shape(&part->judge.layer, role, &rows, &cols);
    status = moe_check_tensor_look(part->file, part->path, name, &storage, cols,
                                   &rows, &per_expert);
    if (status == MOE_OK && !part->faulty) {
        status = moe_check_part_match(part, rows, per_expert);
    }
    if (status == MOE_OK && !part->faulty) {
        status = moe_check_tensor_gather(part->file, part->path, name, &storage,
                                         cols, &part->match, tensor);
    }
    if (status == MOE_OK && !part->faulty) {
        status = moe_check_narrow(storage.format, tensor);
        part->judge.mostly[role] = tensor->mostly;
    }
    return status == MOE_OK && !part->faulty
               ? moe_judge_give(&part->judge, role, &tensor->rows)
               : status;
}

static moe_status_t give_all(moe_check_part_t *part, const bool *wanted)
{
    moe_status_t status = MOE_OK;

    for (int r = MOE_ROLE_hidden; status == MOE_OK && r <= MOE_ROLE_output;
         r++) {
        const moe_role_t role = (moe_role_t)r;

        if (!wanted[r] || !moe_check_has(part->file, role)) {
            continue;
        }
        if (moe_ref_layer_is_paired(role)) {
            status = moe_check_part_ids(part);
            status = status == MOE_OK ? give_pairs(part, role) : status;
        } else {
            status = give_plain(part, role);
        }
    }
    return status;
}

void moe_check_part_fini(moe_check_part_t *part)
{
    moe_judge_fini(&part->judge);
    moe_layer_feed_fini(&part->feed);
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        moe_check_tensor_free(&part->tensor[r]);
        moe_check_tensor_free(&part->trusted[r]);
    }
    moe_ref_rows_free(&part->gated[0]);
    moe_ref_rows_free(&part->gated[1]);
    free(part->match.from);
}

static moe_status_t add_findings(moe_check_part_t *part)
{
    moe_status_t status = MOE_OK;

    for (int r = 0; status == MOE_OK && r < MOE_ROLE_COUNT; r++) {
        if (part->judge.verdict[r].judged) {
            status = moe_check_add(
                part->check, moe_check_verdict(&part->judge, (moe_role_t)r,
                                               part->rank->rank, part->file));
        }
    }
    return status;
}

moe_status_t moe_check_part_start(moe_check_part_t *part, moe_range_t tokens,
                                  moe_range_t experts, const bool *wanted)
{
    const moe_check_t *check = part->check;
    const moe_ref_case_t about = moe_layer_case(
        check->scenario, check->golden.dispatch, tokens, experts);
    moe_status_t status = moe_judge_init(&about, check->accumulator,
                                         check->elements, &part->judge);

    part->judge.partials = moe_layout_world(&check->scenario->layer.layout);
    part->judge.sums = check->golden.sums;
    if (status == MOE_OK) {
        status =
            moe_layer_feed(check->scenario, &part->judge.layer, &part->feed);
    }
    return status == MOE_OK ? moe_check_trust(part, wanted) : status;
}

/* Judge those of the wanted places that GOT has. */
static moe_status_t
judge_part(moe_check_t *check, const moe_golden_rank_t *rank,
           const moe_safetensors_t *ref, const char *ref_path,
           const moe_safetensors_t *got, const char *path, moe_range_t tokens,
           moe_range_t experts, const bool *wanted)
{
    moe_check_part_t part = {.check = check,
                             .rank = rank,
                             .file = got,
                             .path = path,
                             .ref = ref,
                             .ref_path = ref_path};
    moe_status_t status = moe_check_part_start(&part, tokens, experts, wanted);

    if (status == MOE_OK) {
        status = give_all(&part, wanted);
    }
    if (status == MOE_OK && !wanted[MOE_ROLE_gemm2_out]) {
        status = moe_check_gather(&part);
    }
    if (status == MOE_OK) {
        status = moe_check_compare_told(&part);
    }
    if (status == MOE_OK && wanted[MOE_ROLE_topk_ids]) {
        status =
            moe_check_physical_ids(check, rank, &part.judge.layer, got, path);
    }
    if (status == MOE_OK && !part.faulty) {
        status = moe_judge_run(&part.judge);
    }
    if (status == MOE_OK && !part.faulty && wanted[MOE_ROLE_topk_ids]) {
        status = moe_check_near_gate(&part);
    }
    if (status == MOE_OK) {
        status = add_findings(&part);
    }
    if (status == MOE_OK && !part.faulty) {
        status = moe_check_diagnose(check, &part.judge, rank->rank);
    }
    moe_check_part_fini(&part);
    return status;
}

static bool has_any(const moe_safetensors_t *file, const bool *wanted)
{
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        if (wanted[r] && moe_check_has(file, (moe_role_t)r)) {
            return true;
        }
    }
    return false;
}

/* Both parts, or all at once where a rank has all tokens and experts. */
static moe_status_t judge_parts(moe_check_t *check,
                                const moe_golden_rank_t *rank,
                                const moe_safetensors_t *ref,
                                const char *ref_path,
                                const moe_safetensors_t *got, const char *path)
{
    const moe_range_t all = {0, check->scenario->layer.model->experts};
    const bool own_is_all = moe_range_is(rank->tokens, rank->all_tokens);
    bool own[MOE_ROLE_COUNT] = {false};
    bool experts[MOE_ROLE_COUNT] = {false};
    moe_status_t status = MOE_OK;

    (void)moe_check_gate_doubt(check, NULL);
    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_output; r++) {
        experts[r] = r >= MOE_ROLE_expert_in && r <= MOE_ROLE_combine;
        own[r] = !experts[r];
        if (own_is_all && moe_range_is(rank->experts, all)) {
            own[r] = true;
            experts[r] = false;
        }
    }
    if (has_any(got, own) ||
        (check->scenario->layer.placed != NULL &&
         moe_safetensors_find(got, "physical_ids") != NULL)) {
        status = judge_part(
            check, rank, ref, ref_path, got, path, rank->tokens,
            moe_check_has(got, MOE_ROLE_output) ? all : rank->experts, own);
    }
    if (status == MOE_OK && has_any(got, experts)) {
        status = judge_part(check, rank, own_is_all ? ref : NULL, ref_path, got,
                            path, rank->all_tokens, rank->experts, experts);
    }
    return status;
}

/* What of the chain a file has not. */
static moe_status_t warn_absent(moe_check_t *check,
                                const moe_golden_rank_t *rank,
                                const moe_safetensors_t *got)
{
    char names[256] = "";
    size_t used = 0;

    for (int r = MOE_ROLE_logits; r <= MOE_ROLE_output; r++) {
        if (!moe_check_has(got, (moe_role_t)r) && used < sizeof(names)) {
            used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                     used > 0 ? ", " : "",
                                     moe_role_name((moe_role_t)r));
        }
    }
    return used > 0 ? moe_check_warn(check,
                                     "rank %d: not in GOT, not checked: "
                                     "%s",
                                     rank->rank, names)
                    : MOE_OK;
}

moe_status_t moe_check_rank(moe_check_t *check, const moe_golden_rank_t *rank,
                            const char *path)
{
    char *ref_path =
        moe_strdup_printf("%s/%s", check->golden.folder, rank->file);
    moe_safetensors_t *ref = NULL;
    moe_safetensors_t *got = NULL;
    moe_status_t status =
        ref_path == NULL ? moe_fail(MOE_ERR_NOMEM, "no memory for a file name")
                         : moe_safetensors_open(ref_path, &ref);

    if (status == MOE_OK) {
        status = moe_safetensors_open(path, &got);
    }
    if (status == MOE_OK) {
        status = judge_parts(check, rank, ref, ref_path, got, path);
    }
    if (status == MOE_OK) {
        status = moe_check_gate_given(check, rank, got, path);
    }
    if (status == MOE_OK) {
        status = moe_check_names(check, rank, ref, got);
    }
    if (status == MOE_OK) {
        status = warn_absent(check, rank, got);
    }
    moe_safetensors_close(got);
    moe_safetensors_close(ref);
    free(ref_path);
    return status;
}
