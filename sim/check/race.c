/* SPDX-License-Identifier: Apache-2.0 */
/* Two runs of one kernel. Rows of pairs are compared by who they are, where
 * the files say so, and those past valid_rows not at all; all else byte by
 * byte. */
#include "sim/check/names.h"
#include "sim/check/race_inside.h"

#include <stdlib.h>
#include <string.h>

enum {
    PIECE = 1 << 16
};

/* What differs: so many bytes, the first of them where the first run has it. */
typedef struct {
    int64_t bytes;
    int64_t first;             /* byte of the tensor */
    const moe_race_row_t *row; /* of pairs */
} differ_t;

/* Two pieces, byte by byte. */
static moe_status_t compare_bytes(const moe_race_run_t run[2],
                                  const moe_safetensor_t *const t[2],
                                  const int64_t at[2], int64_t n, differ_t *d)
{
    static uint8_t bytes[2][PIECE];
    moe_status_t status = MOE_OK;

    for (int64_t done = 0; status == MOE_OK && done < n; done += PIECE) {
        const int64_t some = n - done < PIECE ? n - done : PIECE;

        for (int i = 0; status == MOE_OK && i < 2; i++) {
            status = moe_safetensors_read(run[i].file, t[i], at[i] + done, some,
                                          bytes[i]);
        }
        for (int64_t i = 0; status == MOE_OK && i < some; i++) {
            if (bytes[0][i] != bytes[1][i]) {
                d->first = d->bytes == 0 ? at[0] + done + i : d->first;
                d->bytes++;
            }
        }
    }
    return status;
}

/* Row by row, in order of who they are. */
static moe_status_t compare_pairs(const moe_race_run_t run[2],
                                  const moe_safetensor_t *const t[2],
                                  differ_t *d)
{
    const int64_t row = t[0]->size_bytes / run[0].rows;
    moe_status_t status = MOE_OK;

    for (int64_t i = 0; status == MOE_OK && i < run[0].n; i++) {
        const int64_t at[2] = {run[0].row[i].at * row, run[1].row[i].at * row};

        status = compare_bytes(run, t, at, row, d);
        if (d->bytes > 0 && d->row == NULL) {
            d->row = &run[0].row[i];
        }
    }
    return status;
}

static moe_status_t add_race(moe_check_t *check, const moe_golden_rank_t *rank,
                             const char *name, int64_t differ, json_t *first,
                             const char *what)
{
    json_t *finding =
        moe_check_finding(name, rank != NULL ? rank->rank : -1, false, "race");

    if (finding != NULL) {
        (void)json_object_set_new(finding, "differ",
                                  json_integer((json_int_t)differ));
        (void)json_object_set_new(finding, "what", json_string(what));
        if (first != NULL) {
            (void)json_object_set(finding, "first", first);
        }
    }
    json_decref(first);
    return moe_check_add(check, finding);
}

static void put(json_t *to, const char *key, int64_t value)
{
    (void)json_object_set_new(to, key, json_integer((json_int_t)value));
}

/* True of tensors that have a row for each of a place: its own, its scales and
 * its bounds; not of what is one number for all. */
static bool has_rows(const char *suffix)
{
    return *suffix == '\0' || strcmp(suffix, ".abs") == 0 ||
           strcmp(suffix, ".scale") == 0;
}

/* Global number of the first token whose rows a tensor has; -1: of none. */
static int64_t first_token(const moe_golden_rank_t *rank, const char *name)
{
    const size_t stem = strcspn(name, ".");

    if (!has_rows(name + stem)) {
        return -1;
    }

    for (int r = MOE_ROLE_hidden; rank != NULL && r <= MOE_ROLE_output; r++) {
        const char *role = moe_role_name((moe_role_t)r);

        if (!moe_ref_layer_is_paired((moe_role_t)r) && strlen(role) == stem &&
            strncmp(name, role, stem) == 0) {
            return r == MOE_ROLE_combine ? rank->all_tokens.begin
                                         : rank->tokens.begin;
        }
    }
    return -1;
}

/* Where the first difference is, as far as the file says. */
static json_t *place_of(const moe_golden_rank_t *rank,
                        const moe_race_run_t *run, const moe_safetensor_t *t,
                        const differ_t *d)
{
    const int64_t cols = t->ndim > 0 ? t->dim[t->ndim - 1] : 1;
    const int bits = moe_dtype_bits(t->dtype);
    const int64_t row = d->first * 8 / bits / cols;
    const int64_t token = first_token(rank, t->name);
    json_t *first = json_object();

    put(first, "row", row);
    put(first, "column", d->first * 8 / bits % cols);
    if (d->row == NULL && token >= 0) {
        put(first, "token", token + row);
    }
    for (int i = 0; d->row != NULL && i < MOE_RACE_NAMES; i++) {
        if (run->named[i]) {
            put(first, moe_race_names[i], d->row->who[i]);
        }
    }
    return first;
}

/* True if a tensor has a row for each pair of its run. */
static bool has_pairs(const moe_race_run_t *run, const moe_safetensor_t *t)
{
    return run->rows > 0 && t->size_bytes > 0 &&
           moe_race_is_of_pairs(t->name) &&
           (t->dim[0] == run->rows || moe_race_rows_of(t, true) == run->rows) &&
           t->size_bytes % run->rows == 0;
}

static moe_status_t compare(moe_check_t *check, const moe_golden_rank_t *rank,
                            const moe_race_run_t run[2],
                            const moe_safetensor_t *const t[2])
{
    static const int64_t begin[2] = {0, 0};
    const bool pairs =
        has_pairs(&run[0], t[0]) && has_pairs(&run[1], t[1]) &&
        t[0]->size_bytes / run[0].rows == t[1]->size_bytes / run[1].rows;
    differ_t differ = {0};
    moe_status_t status;

    if (!moe_check_same_type(t[0], t[1]) ||
        (!pairs && t[0]->size_bytes != t[1]->size_bytes)) {
        return moe_check_add_shape(check, rank, t[0], "GOT2", t[1]);
    }
    status = pairs ? compare_pairs(run, t, &differ)
                   : compare_bytes(run, t, begin, t[0]->size_bytes, &differ);
    return status != MOE_OK || differ.bytes == 0
               ? status
               : add_race(check, rank, t[0]->name, differ.bytes,
                          place_of(rank, &run[0], t[0], &differ),
                          "two runs of the same kernel differ: a race, or an "
                          "order of additions that changes");
}

static moe_status_t compare_runs(moe_check_t *check,
                                 const moe_golden_rank_t *rank,
                                 const moe_race_run_t run[2])
{
    moe_status_t status = MOE_OK;

    if (run[0].rows > 0 && run[1].rows > 0 && run[0].n != run[1].n) {
        return add_race(check, rank, "rows", run[0].n - run[1].n, NULL,
                        "two runs of the same kernel have other numbers of "
                        "rows that count");
    }
    for (size_t i = 0;
         status == MOE_OK && i < moe_safetensors_count(run[0].file); i++) {
        const moe_safetensor_t *t[2] = {moe_safetensors_get(run[0].file, i)};

        t[1] = moe_safetensors_find(run[1].file, t[0]->name);
        if (t[1] == NULL && moe_race_is_name(t[0]->name)) {
            continue; /* what one run says of its rows is no result */
        }
        if (t[1] == NULL) {
            status = add_race(check, rank, t[0]->name, t[0]->size_bytes, NULL,
                              "the second run does not have this tensor");
        } else {
            status = compare(check, rank, run, t);
        }
    }
    return status;
}

moe_status_t moe_check_race(moe_check_t *check, const moe_golden_rank_t *rank,
                            const char *first, const char *second)
{
    moe_race_run_t run[2] = {{0}, {0}};
    moe_status_t status = moe_race_open(check, rank, first, second, run);

    if (status == MOE_OK) {
        status = compare_runs(check, rank, run);
    }
    moe_race_close(run);
    return status;
}
