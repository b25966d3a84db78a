/* SPDX-License-Identifier: Apache-2.0 */
/* Experts' rows of a rank's tokens, which lie in the files of all ranks. */
#include "sim/check/part.h"

#include "base/infile.h"

#include <stdlib.h>
#include <string.h>

/* Where the choice of a token was computed. */
typedef struct {
    int32_t physical; /* -1: nowhere */
    int32_t rank;     /* number in the manifest's list */
    int64_t row;      /* of gemm2_out in GOT's file of that rank */
} choice_t;

/* All choices of the tokens of a group of ranks that share the experts. */
struct moe_check_places {
    moe_range_t tokens;
    int group;
    int k;
    choice_t *at; /* [tokens][k]; NULL: not all ranks have their rows */
};

void moe_check_places_free(struct moe_check_places *places)
{
    if (places != NULL) {
        free(places->at);
        free(places);
    }
}

/* Number of the group of ranks that share the experts among them: others may
 * have the same ones, of the same tokens. */
static int group_of(const moe_check_t *check, const moe_golden_rank_t *rank)
{
    return rank->rank / moe_check_layer(check).layout.ep;
}

static void note_rows(const moe_check_part_t *part, int32_t rank,
                      struct moe_check_places *places)
{
    const moe_ref_layer_t *layer = &part->judge.layer;

    for (int64_t p = 0; p < part->match.n; p++) {
        const int64_t token = layer->pairs.token[p] - places->tokens.begin;

        places->at[token * places->k + layer->pairs.slot[p]] =
            (choice_t){layer->pairs.physical[p], rank, part->match.from[p]};
    }
}

/* Rows of a rank's experts. *found_p: GOT has all. */
static moe_status_t find_rows(moe_check_part_t *part, int32_t rank,
                              struct moe_check_places *places, bool *found_p)
{
    const bool wanted[MOE_ROLE_COUNT] = {false};
    const moe_role_t role = MOE_ROLE_gemm2_out;
    moe_status_t status = moe_check_part_start(part, part->rank->all_tokens,
                                               part->rank->experts, wanted);
    moe_ref_layer_t *layer = &part->judge.layer;
    moe_storage_t storage;
    int64_t rows = 0;
    int64_t per_expert = 0;

    if (status == MOE_OK) {
        status = moe_ref_layer_make(layer, MOE_ROLE_topk_ids);
    }
    if (status == MOE_OK) {
        storage = moe_ref_layer_storage(layer, role);
        status = moe_check_tensor_look(
            part->file, part->path, moe_role_name(role), &storage,
            layer->about.model->hidden, &rows, &per_expert);
    }
    if (status == MOE_OK) {
        status = moe_check_part_match(part, rows, per_expert);
    }
    *found_p = status == MOE_OK && !part->faulty;
    if (*found_p) {
        note_rows(part, rank, places);
    }
    return status;
}

/* A check of the same folders, whose findings nobody reads: what is wrong with
 * a rank's rows is told where they are judged. */
static moe_status_t look_in(const moe_check_t *check, size_t rank,
                            struct moe_check_places *places, bool *found_p)
{
    moe_check_t aside = *check;
    moe_check_part_t part = {.check = &aside,
                             .rank = &check->golden.rank[rank]};
    moe_safetensors_t *file = NULL;
    char *path = NULL;
    moe_status_t status = moe_check_got_path(check->got, part.rank, &path);

    *found_p = false;
    aside.findings = json_array();
    if (status == MOE_OK && path != NULL) {
        status = moe_safetensors_open(path, &file);
    }
    part.file = file;
    part.path = path;
    if (status == MOE_OK && file != NULL &&
        moe_check_has(file, MOE_ROLE_gemm2_out)) {
        status = find_rows(&part, (int32_t)rank, places, found_p);
        moe_check_part_fini(&part);
    }
    moe_safetensors_close(file);
    json_decref(aside.findings);
    free(path);
    return status;
}

static moe_status_t places_make(const moe_check_t *check,
                                const moe_golden_rank_t *rank,
                                struct moe_check_places **places_p)
{
    const moe_range_t tokens = rank->all_tokens;
    const int k = check->scenario->model.topk;
    const int64_t n = (tokens.end - tokens.begin) * k;
    struct moe_check_places *places = calloc(1, sizeof(*places));
    bool found = true;
    moe_status_t status = MOE_OK;

    if (places != NULL) {
        *places = (struct moe_check_places){
            .tokens = tokens,
            .group = group_of(check, rank),
            .k = k,
            .at = malloc((size_t)n * sizeof(choice_t))};
    }
    if (places == NULL || (places->at == NULL && n > 0)) {
        free(places);
        return moe_fail(MOE_ERR_NOMEM, "no memory to find rows of experts");
    }
    *places_p = places;
    for (int64_t i = 0; i < n; i++) {
        places->at[i] = (choice_t){.physical = -1};
    }
    for (size_t i = 0; status == MOE_OK && found && i < check->golden.n_ranks;
         i++) {
        const moe_golden_rank_t *other = &check->golden.rank[i];

        if (moe_range_is(other->all_tokens, tokens) &&
            group_of(check, other) == places->group) {
            status = look_in(check, i, places, &found);
        }
    }
    if (!found) {
        free(places->at);
        places->at = NULL;
    }
    return status;
}

/* The choice of a token that went to a slot; NULL if none did. */
static const choice_t *choice_of(const struct moe_check_places *places,
                                 int64_t token, int32_t physical)
{
    const choice_t *at =
        places->at + (token - places->tokens.begin) * places->k;

    for (int s = 0; s < places->k; s++) {
        if (at[s].physical == physical) {
            return at + s;
        }
    }
    return NULL;
}

/* Rows of the part's pairs that are in one rank's file; which pairs they are
 * of. */
typedef struct {
    moe_check_match_t match;
    int64_t *pair;
} share_t;

static void share_free(share_t *share)
{
    free(share->match.from);
    free(share->pair);
}

/* *all_p: each pair of the part is somewhere. */
static moe_status_t share_of(const moe_check_part_t *part, size_t rank,
                             share_t *share, bool *all_p)
{
    const moe_ref_layer_t *layer = &part->judge.layer;
    const size_t bytes = (size_t)layer->index.n * sizeof(int64_t) + 1;

    *share = (share_t){.match = {.from = malloc(bytes)}, .pair = malloc(bytes)};
    if (share->match.from == NULL || share->pair == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory to gather rows of experts");
    }
    for (int64_t p = 0; p < layer->index.n; p++) {
        const choice_t *choice =
            choice_of(part->check->places, layer->pairs.token[p],
                      layer->pairs.physical[p]);

        *all_p = *all_p && choice != NULL;
        if (choice != NULL && choice->rank == (int32_t)rank) {
            share->pair[share->match.n] = p;
            share->match.from[share->match.n++] = choice->row;
        }
    }
    return MOE_OK;
}

/* Copy rows to where their pairs lie: as fp32, which holds what any float type
 * has, for ranks may have theirs in different ones. */
static moe_status_t scatter(const moe_check_part_t *part,
                            const moe_rows_t *from, const int64_t *pair,
                            moe_rows_t *to)
{
    const moe_storage_t fp32 = {.format = MOE_FORMAT_fp32};
    moe_status_t status = MOE_OK;

    if (to->codes == NULL) {
        status = moe_ref_rows_alloc(&fp32, part->judge.layer.index.n,
                                    from->cols, to);
    }
    for (int64_t i = 0; status == MOE_OK && i < from->rows; i++) {
        float *row = (float *)moe_rows_codes(to, pair[i]);

        for (int64_t c = 0; c < from->cols; c++) {
            row[c] = (float)moe_rows_value(from, i, c);
        }
    }
    return status;
}

/* What a rank's file has of the part's pairs. */
static moe_status_t gather_of(moe_check_part_t *part, size_t rank,
                              const share_t *share)
{
    const moe_role_t role = MOE_ROLE_gemm2_out;
    const moe_storage_t storage =
        moe_ref_layer_storage(&part->judge.layer, role);
    const moe_check_t *check = part->check;
    moe_check_tensor_t tensor = {0};
    moe_safetensors_t *file = NULL;
    char *path = NULL;
    moe_status_t status;

    if (share->match.n == 0) {
        return MOE_OK;
    }
    status = moe_check_got_path(check->got, &check->golden.rank[rank], &path);
    if (status == MOE_OK) {
        status = moe_safetensors_open(path, &file);
    }
    if (status == MOE_OK) {
        status = moe_check_tensor_gather(
            file, path, moe_role_name(role), &storage,
            part->judge.layer.about.model->hidden, &share->match, &tensor);
    }
    if (status == MOE_OK) {
        status =
            scatter(part, &tensor.rows, share->pair, &part->trusted[role].rows);
    }
    moe_check_tensor_free(&tensor);
    moe_safetensors_close(file);
    free(path);
    return status;
}

static moe_status_t gather_all(moe_check_part_t *part)
{
    const moe_role_t role = MOE_ROLE_gemm2_out;
    const moe_golden_t *golden = &part->check->golden;
    bool good = true; /* all rows are there */
    moe_status_t status = MOE_OK;

    for (size_t i = 0; status == MOE_OK && good && i < golden->n_ranks; i++) {
        share_t share = {0};

        if (!moe_range_is(golden->rank[i].all_tokens, part->rank->all_tokens)) {
            continue;
        }
        status = share_of(part, i, &share, &good);
        if (status == MOE_OK && good) {
            status = gather_of(part, i, &share);
        }
        share_free(&share);
    }
    return status == MOE_OK && good && part->trusted[role].rows.codes != NULL
               ? moe_judge_trust(&part->judge, role, &part->trusted[role].rows)
               : status;
}

moe_status_t moe_check_gather(moe_check_part_t *part)
{
    moe_check_t *check = part->check;
    moe_status_t status = MOE_OK;

    if (check->golden.n_ranks < 2 || !moe_is_folder(check->got) ||
        check->command->only_rank >= 0 || /* others' rows are not judged */
        !moe_check_has(part->file, MOE_ROLE_output)) {
        return MOE_OK;
    }
    if (check->places == NULL ||
        !moe_range_is(check->places->tokens, part->rank->all_tokens) ||
        check->places->group != group_of(check, part->rank)) {
        moe_check_places_free(check->places);
        check->places = NULL;
        status = places_make(check, part->rank, &check->places);
    }
    if (status == MOE_OK && check->places->at != NULL) {
        status = moe_check_part_ids(part);
    }
    return status == MOE_OK && check->places->at != NULL ? gather_all(part)
                                                         : status;
}
