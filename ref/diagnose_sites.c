/* SPDX-License-Identifier: Apache-2.0 */
/* Where the faults of a place are, and whether its rows are only misplaced. */
#include "ref/diagnose_inside.h"

#include "ref/judge_inside.h"

#include <math.h>
#include <stdlib.h>

enum {
    COLUMNS = 16,    /* that rows are told apart by */
    MOST_ROWS = 4096 /* of which an order is looked for */
};

static void place_rows(const moe_judge_t *judge, const moe_judge_sites_t *sites,
                       int64_t rows, moe_diagnosis_t *d)
{
    int64_t faulty = 0;

    for (int64_t i = 0; i < rows; i++) {
        moe_judge_spot_t spot;

        if (sites->rows[i] == 0) {
            continue;
        }
        moe_judge_name_row(judge, d->role, i, &spot);
        if (faulty++ == 0) {
            d->token = spot.token;
            d->expert = spot.expert;
            d->tokens_from = d->tokens_to = spot.token;
            d->from_row = i;
        }
        d->token = spot.token == d->token ? d->token : -1;
        d->expert = spot.expert == d->expert ? d->expert : -1;
        d->tokens_from =
            spot.token < d->tokens_from ? spot.token : d->tokens_from;
        d->tokens_to = spot.token > d->tokens_to ? spot.token : d->tokens_to;
    }
    if (d->from_row <= 0 || 2 * faulty <= rows - d->from_row || faulty < 2) {
        d->from_row = -1;
    }
}

moe_status_t moe_diagnose_sites(moe_judge_t *judge, moe_diagnosis_t *d)
{
    const moe_fault_t none = {.role = d->role};
    moe_judge_sites_t sites = {0};
    int64_t rows;
    int64_t cols;
    int64_t faulty;
    moe_status_t status;

    d->token = d->expert = d->from_row = d->tokens_from = d->tokens_to = -1;
    (void)moe_ref_layer_shape(&judge->layer, d->role, &rows, &cols);
    sites.rows = calloc((size_t)rows + 1, sizeof(*sites.rows));
    if (sites.rows == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for %lld rows",
                        (long long)rows);
    }
    status = moe_diagnose_try(judge, none, d->role, &sites, 0, &faulty, NULL);
    if (status == MOE_OK) {
        place_rows(judge, &sites, rows, d);
    }
    for (int c = 0; c < 16; c++) {
        d->cols |= sites.cols[c] > 0 ? 1u << c : 0;
    }
    if (cols < 16 && d->cols == (1u << cols) - 1) {
        d->cols = 0; /* all that there are */
    }
    free(sites.rows);
    return status;
}

/* Columns of rows, spread over all. [rows][COLUMNS] */
static void sample(const moe_rows_t *rows, double *out)
{
    for (int64_t i = 0; i < rows->rows * COLUMNS; i++) {
        out[i] = moe_rows_value(rows, i / COLUMNS,
                                i % COLUMNS * rows->cols / COLUMNS);
    }
}

/* The row that is nearest; of those alike, as a token's at several experts are,
 * one that was not taken yet. */
static int64_t nearest(const double *got, const double *want, int64_t rows,
                       int64_t first, const bool *taken)
{
    int64_t best = first;
    double least = HUGE_VAL;

    for (int64_t k = 0; k < rows; k++) {
        const int64_t j = (first + k) % rows; /* its own place first */
        double sum = 0.0;

        for (int c = 0; c < COLUMNS; c++) {
            sum += fabs(got[c] - want[j * COLUMNS + c]);
        }
        if (sum < least || (!(sum > least) && taken[best] && !taken[j])) {
            least = sum;
            best = j;
        }
    }
    return best;
}

/* The row that each comes from. True if that is an order, and not the one that
 * it should be. */
static bool find_order(const double *got, const double *want, int64_t rows,
                       int64_t *order)
{
    bool *taken = calloc((size_t)rows + 1, sizeof(*taken));
    bool moved = false;
    bool good = taken != NULL;

    for (int64_t i = 0; good && i < rows; i++) {
        order[i] = nearest(got + i * COLUMNS, want, rows, i, taken);
        good = !taken[order[i]];
        taken[order[i]] = true;
        moved = moved || order[i] != i;
    }
    free(taken);
    return good && moved;
}

static moe_status_t right_rows(moe_judge_t *judge, moe_role_t seen, double *out)
{
    const moe_storage_t storage = moe_ref_layer_storage(&judge->layer, seen);
    const moe_rows_t *got = &judge->got[seen];
    moe_rows_t rows;
    moe_status_t status =
        moe_ref_rows_alloc(&storage, got->rows, got->cols, &rows);

    if (status == MOE_OK) {
        status = moe_ref_layer_compute(&judge->layer, seen, &rows);
    }
    if (status == MOE_OK) {
        sample(&rows, out);
    }
    moe_ref_rows_free(&rows);
    return status;
}

moe_status_t moe_diagnose_order(moe_judge_t *judge, moe_role_t seen,
                                int64_t **order_p)
{
    const int64_t n = judge->got[seen].rows;
    double *got = malloc((size_t)n * 2 * COLUMNS * sizeof(*got) + 1);
    int64_t *order = malloc((size_t)n * sizeof(*order) + 1);
    moe_status_t status = MOE_OK;

    *order_p = NULL;
    if (got == NULL || order == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory for an order of rows");
    }
    if (status == MOE_OK && n <= MOST_ROWS) {
        status = right_rows(judge, seen, got + n * COLUMNS);
    }
    if (status == MOE_OK && n <= MOST_ROWS) {
        sample(&judge->got[seen], got);
        if (find_order(got, got + n * COLUMNS, n, order)) {
            *order_p = order;
            order = NULL;
        }
    }
    free(order);
    free(got);
    return status;
}
