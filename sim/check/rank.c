/* SPDX-License-Identifier: Apache-2.0 */
/* One rank's tensors, in two parts: what belongs to its own tokens, and what
 * its experts made of all tokens. They are one where there is one rank. */
#include "sim/check/check.h"
#include "sim/check/names.h"
#include "sim/check/placed.h"

#include "base/text.h"
#include "sim/inputs/layer_feed.h"

#include <stdlib.h>
#include <string.h>

/* A part at work. */
typedef struct {
    moe_check_t *check;
    const moe_golden_rank_t *rank;
    const moe_safetensors_t *file; /* GOT's */
    const char *path;
    const moe_safetensors_t *ref; /* REF's; NULL: of other tokens */
    const char *ref_path;
    moe_judge_t judge;
    moe_layer_feed_t feed;
    moe_check_tensor_t tensor[MOE_ROLE_COUNT];
    moe_check_tensor_t trusted[MOE_ROLE_COUNT]; /* REF's */
    moe_check_match_t match;
    int64_t match_rows; /* of GOT, that the match is for */
    bool faulty;        /* rows could not be matched */
} part_t;

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

static bool has(const moe_safetensors_t *file, moe_role_t role)
{
    return moe_safetensors_find(file, moe_role_name(role)) != NULL;
}

/* Read a place's tensor of tokens. */
static moe_status_t read_place(part_t *part, const moe_safetensors_t *file,
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

static moe_status_t read_ref(part_t *part, moe_role_t role)
{
    moe_check_tensor_t *tensor = &part->trusted[role];
    moe_status_t status =
        part->ref != NULL && has(part->ref, role) && tensor->rows.codes == NULL
            ? read_place(part, part->ref, part->ref_path, role, tensor)
            : MOE_OK;

    return status == MOE_OK && role == MOE_ROLE_topk_weights &&
                   tensor->rows.codes != NULL
               ? moe_check_widen(tensor)
               : status;
}

/* Ids and weights of REF, where GOT has none: inputs of the kernel. */
static moe_status_t trust(part_t *part, moe_role_t role)
{
    moe_status_t status =
        part->judge.layer.held[role] ? MOE_OK : read_ref(part, role);

    return status == MOE_OK && part->trusted[role].rows.codes != NULL
               ? moe_judge_trust(&part->judge, role, &part->trusted[role].rows)
               : status;
}

/* Ids and weights that no logits made: inputs of the kernel. */
static bool is_told(const part_t *part, moe_role_t role)
{
    return (role == MOE_ROLE_topk_ids || role == MOE_ROLE_topk_weights) &&
           part->check->scenario->router != MOE_ROUTER_data;
}

/* What comes after them is judged from GOT's own, right or not. */
static moe_status_t give_told(part_t *part, moe_role_t role)
{
    moe_status_t status = read_ref(part, role);

    return status == MOE_OK
               ? moe_judge_trust(&part->judge, role, &part->tensor[role].rows)
               : status;
}

/* GOT's against REF's. */
static moe_status_t compare_told(part_t *part)
{
    const moe_rows_t *ids = &part->tensor[MOE_ROLE_topk_ids].rows;
    const moe_rows_t *weights = &part->tensor[MOE_ROLE_topk_weights].rows;
    moe_check_told_t told = {
        .file = part->file, .ids = *ids, .weights = *weights};
    moe_status_t status;

    if (!is_told(part, MOE_ROLE_topk_ids) ||
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

/* Tensors of tokens, which lie as they are. */
static moe_status_t give_plain(part_t *part, moe_role_t role)
{
    moe_check_tensor_t *tensor = &part->tensor[role];
    moe_status_t status =
        read_place(part, part->file, part->path, role, tensor);

    if (status == MOE_OK && role == MOE_ROLE_topk_weights &&
        tensor->rows.codes != NULL) {
        status = moe_check_widen(tensor);
    }
    if (status != MOE_OK || tensor->rows.codes == NULL) {
        return status;
    }
    return is_told(part, role)
               ? give_told(part, role)
               : moe_judge_give(&part->judge, role, &tensor->rows);
}

static moe_status_t match_rows(part_t *part, int64_t rows, int64_t per_expert)
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

/* Tensors of pairs, read in the layer's order: those of another number of rows
 * are known by their header. */
static moe_status_t give_pairs(part_t *part, moe_role_t role)
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
        status = match_rows(part, rows, per_expert);
    }
    if (status == MOE_OK && !part->faulty) {
        status = moe_check_tensor_gather(part->file, part->path, name, &storage,
                                         cols, &part->match, tensor);
    }
    if (status == MOE_OK && !part->faulty) {
        status = moe_check_narrow(storage.format, tensor);
    }
    return status == MOE_OK && !part->faulty
               ? moe_judge_give(&part->judge, role, &tensor->rows)
               : status;
}

static moe_status_t give_all(part_t *part, const bool *wanted)
{
    moe_status_t status = MOE_OK;

    for (int r = MOE_ROLE_hidden; status == MOE_OK && r <= MOE_ROLE_output;
         r++) {
        const moe_role_t role = (moe_role_t)r;

        if (!wanted[r] || !has(part->file, role)) {
            continue;
        }
        if (moe_ref_layer_is_paired(role)) {
            status = moe_ref_layer_make(&part->judge.layer, MOE_ROLE_topk_ids);
            status = status == MOE_OK ? give_pairs(part, role) : status;
        } else {
            status = give_plain(part, role);
        }
    }
    return status;
}

static void part_fini(part_t *part)
{
    moe_judge_fini(&part->judge);
    moe_layer_feed_fini(&part->feed);
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        moe_check_tensor_free(&part->tensor[r]);
        moe_check_tensor_free(&part->trusted[r]);
    }
    free(part->match.from);
}

static moe_status_t add_findings(part_t *part)
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

/* Judge those of the wanted places that GOT has. */
static moe_status_t
judge_part(moe_check_t *check, const moe_golden_rank_t *rank,
           const moe_safetensors_t *ref, const char *ref_path,
           const moe_safetensors_t *got, const char *path, moe_range_t tokens,
           moe_range_t experts, const bool *wanted)
{
    const moe_ref_case_t about = moe_layer_case(
        check->scenario, check->golden.dispatch, tokens, experts);
    part_t part = {.check = check,
                   .rank = rank,
                   .file = got,
                   .path = path,
                   .ref = ref,
                   .ref_path = ref_path};
    moe_status_t status = moe_judge_init(&about, check->accumulator,
                                         check->elements, &part.judge);

    part.judge.partials = moe_layout_world(&check->scenario->layer.layout);
    if (status == MOE_OK) {
        status = moe_layer_feed(check->scenario, &part.judge.layer, &part.feed);
    }
    for (int r = MOE_ROLE_topk_ids;
         status == MOE_OK && r <= MOE_ROLE_topk_weights; r++) {
        if (!wanted[r] || !has(got, (moe_role_t)r)) {
            status = trust(&part, (moe_role_t)r);
        }
    }
    if (status == MOE_OK) {
        status = give_all(&part, wanted);
    }
    if (status == MOE_OK) {
        status = compare_told(&part);
    }
    if (status == MOE_OK && wanted[MOE_ROLE_topk_ids]) {
        status =
            moe_check_physical_ids(check, rank, &part.judge.layer, got, path);
    }
    if (status == MOE_OK && !part.faulty) {
        status = moe_judge_run(&part.judge);
    }
    if (status == MOE_OK) {
        status = add_findings(&part);
    }
    if (status == MOE_OK && !part.faulty) {
        status = moe_check_diagnose(check, &part.judge, rank->rank);
    }
    part_fini(&part);
    return status;
}

static bool has_any(const moe_safetensors_t *file, const bool *wanted)
{
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        if (wanted[r] && has(file, (moe_role_t)r)) {
            return true;
        }
    }
    return false;
}

static bool same_range(moe_range_t a, moe_range_t b)
{
    return a.begin == b.begin && a.end == b.end;
}

/* Both parts, or all at once where a rank has all tokens and experts. */
static moe_status_t judge_parts(moe_check_t *check,
                                const moe_golden_rank_t *rank,
                                const moe_safetensors_t *ref,
                                const char *ref_path,
                                const moe_safetensors_t *got, const char *path)
{
    const moe_range_t all = {0, check->scenario->layer.model->experts};
    const bool own_is_all = same_range(rank->tokens, rank->all_tokens);
    bool own[MOE_ROLE_COUNT] = {false};
    bool experts[MOE_ROLE_COUNT] = {false};
    moe_status_t status = MOE_OK;

    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_output; r++) {
        experts[r] = r >= MOE_ROLE_expert_in && r <= MOE_ROLE_combine;
        own[r] = !experts[r];
        if (own_is_all && same_range(rank->experts, all)) {
            own[r] = true;
            experts[r] = false;
        }
    }
    if (has_any(got, own)) {
        status =
            judge_part(check, rank, ref, ref_path, got, path, rank->tokens,
                       has(got, MOE_ROLE_output) ? all : rank->experts, own);
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
        if (!has(got, (moe_role_t)r) && used < sizeof(names)) {
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
