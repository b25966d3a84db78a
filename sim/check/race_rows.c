/* SPDX-License-Identifier: Apache-2.0 */
/* Who the rows of two runs are, and in which order they are compared. */
#include "sim/check/race_inside.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

const char *const moe_race_names[MOE_RACE_NAMES] = {
    "src_rank", "src_token", "slot", "expert", "physical_expert"};

static int by_who(const void *a, const void *b)
{
    const moe_race_row_t *x = a;
    const moe_race_row_t *y = b;

    for (int i = 0; i < MOE_RACE_NAMES; i++) {
        if (x->who[i] != y->who[i]) {
            return x->who[i] < y->who[i] ? -1 : 1;
        }
    }
    return (x->at > y->at) - (x->at < y->at);
}

bool moe_race_is_name(const char *name)
{
    for (int i = 0; i < MOE_RACE_NAMES; i++) {
        if (strcmp(name, moe_race_names[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool moe_race_is_of_pairs(const char *name)
{
    const size_t stem = strcspn(name, ".");

    if (moe_race_is_name(name)) {
        return true;
    }
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        const char *role = moe_role_name((moe_role_t)r);

        if (moe_ref_layer_is_paired((moe_role_t)r) && strlen(role) == stem &&
            strncmp(name, role, stem) == 0) {
            return true;
        }
    }
    return false;
}

int64_t moe_race_rows_of(const moe_safetensor_t *t, bool by_expert)
{
    return t->ndim == 0               ? 0
           : by_expert && t->ndim > 2 ? t->dim[0] * t->dim[1]
                                      : t->dim[0];
}

/* Of a tensor that holds something: others may claim any number. */
static int64_t count_rows(const moe_safetensors_t *file, bool by_expert)
{
    for (size_t i = 0; i < moe_safetensors_count(file); i++) {
        const moe_safetensor_t *t = moe_safetensors_get(file, i);

        if (moe_race_is_of_pairs(t->name) && t->size_bytes > 0) {
            return moe_race_rows_of(t, by_expert);
        }
    }
    return 0;
}

/* The valid rows, as they lie; valid [n_valid] or NULL: all. */
static moe_status_t list_rows(moe_race_run_t *run, const char *path,
                              const int64_t *valid, int64_t n_valid)
{
    const int64_t part = n_valid > 1 ? run->rows / n_valid : run->rows;
    const int64_t each = part > 0 ? part : 1;

    run->row = calloc((size_t)run->rows + 1, sizeof(*run->row));
    if (run->row == NULL) {
        return moe_fail(MOE_ERR_NOMEM,
                        "%s: has %lld rows of pairs, expected as many as fit "
                        "in memory",
                        path, (long long)run->rows);
    }
    for (int64_t i = 0; i < run->rows; i++) {
        if (valid == NULL ||
            (i / each < n_valid && i % each < valid[i / each])) {
            run->row[run->n++].at = i;
        }
    }
    return MOE_OK;
}

/* Who the valid rows are, by lists of a file that has a number for each row of
 * the run's tensors, or, packed, for each of its valid ones. */
static moe_status_t name_rows(moe_race_run_t *run,
                              const moe_safetensors_t *file, const char *path,
                              bool packed)
{
    moe_status_t status = MOE_OK;

    for (int i = 0; status == MOE_OK && i < MOE_RACE_NAMES; i++) {
        int64_t *list = NULL;
        int64_t n = 0;

        status = moe_check_integers(file, path, moe_race_names[i], &list, &n);
        run->named[i] = packed ? n == run->n && n > 0 : n > 0;
        for (int64_t r = 0; status == MOE_OK && r < run->n; r++) {
            const int64_t at = packed ? r : run->row[r].at;

            run->row[r].who[i] = run->named[i] && at < n ? list[at] : 0;
        }
        free(list);
    }
    return status;
}

static bool is_named(const moe_race_run_t *run)
{
    bool named = false;

    for (int i = 0; i < MOE_RACE_NAMES; i++) {
        named = named || run->named[i];
    }
    return named;
}

/* Rows that do not say who they are lie as REF's. */
static moe_status_t name_as_ref(const moe_check_t *check,
                                const moe_golden_rank_t *rank,
                                moe_race_run_t *run)
{
    char *path = moe_strdup_printf("%s/%s", check->golden.folder, rank->file);
    moe_safetensors_t *ref = NULL;
    moe_status_t status =
        path == NULL ? moe_fail(MOE_ERR_NOMEM, "no memory for a file name")
                     : moe_safetensors_open(path, &ref);

    if (status == MOE_OK) {
        status = name_rows(run, ref, path, true);
    }
    moe_safetensors_close(ref);
    free(path);
    return status;
}

/* Both runs' rows in one order: of what both say, or REF says for one. */
static moe_status_t order_rows(const moe_check_t *check,
                               const moe_golden_rank_t *rank,
                               moe_race_run_t run[2])
{
    moe_status_t status = MOE_OK;

    for (int i = 0; status == MOE_OK && i < 2; i++) {
        if (rank != NULL && !is_named(&run[i]) && is_named(&run[1 - i])) {
            status = name_as_ref(check, rank, &run[i]);
        }
    }
    for (int n = 0; n < MOE_RACE_NAMES; n++) {
        for (int i = 0; i < 2 && run[0].named[n] != run[1].named[n]; i++) {
            run[i].named[n] = false;
            for (int64_t r = 0; r < run[i].n; r++) {
                run[i].row[r].who[n] = 0;
            }
        }
    }
    for (int i = 0; i < 2 && check->command->order != MOE_CHECK_exact; i++) {
        qsort(run[i].row, (size_t)run[i].n, sizeof(*run[i].row), by_who);
    }
    return status;
}

static moe_status_t open_run(const char *path, moe_race_run_t *run)
{
    int64_t *valid = NULL;
    int64_t n_valid = 0;
    moe_status_t status = moe_safetensors_open(path, &run->file);

    if (status == MOE_OK) {
        status =
            moe_check_integers(run->file, path, "valid_rows", &valid, &n_valid);
    }
    if (status == MOE_OK) {
        run->rows = count_rows(run->file, n_valid > 1);
        status = list_rows(run, path, valid, n_valid);
    }
    if (status == MOE_OK) {
        status = name_rows(run, run->file, path, false);
    }
    free(valid);
    return status;
}

moe_status_t moe_race_open(const moe_check_t *check,
                           const moe_golden_rank_t *rank, const char *first,
                           const char *second, moe_race_run_t run[2])
{
    moe_status_t status = open_run(first, &run[0]);

    if (status == MOE_OK) {
        status = open_run(second, &run[1]);
    }
    return status == MOE_OK ? order_rows(check, rank, run) : status;
}

void moe_race_close(moe_race_run_t run[2])
{
    for (int i = 0; i < 2; i++) {
        moe_safetensors_close(run[i].file);
        free(run[i].row);
    }
}
