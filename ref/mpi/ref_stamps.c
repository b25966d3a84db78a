/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of data `stamp` say which token they are: each that an expert is given
 * must be one that chose it, and no token may come twice. Rows of zeros are
 * pads. */
#include "config.h"

#include "moe/grid.h"
#include "ref/mpi/backend_inside.h"

#include <stdlib.h>

typedef struct {
    const moe_ref_backend_t *be;
    const moe_call_t *call;
    double *row;    /* [H] */
    int64_t *token; /* [rows] of one expert */
} stamps_t;

static int by_number(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Whether a token chose an expert; true if its routing is not known here. */
static bool chose(const moe_routing_t *routing, int64_t token, int64_t expert)
{
    const int64_t i = token - routing->first;

    if (i < 0 || i >= routing->n) {
        return true;
    }
    for (int s = 0; s < routing->topk; s++) {
        if (routing->ids[i * routing->topk + s] == expert) {
            return true;
        }
    }
    return false;
}

static moe_status_t misplaced(const stamps_t *s, int64_t row, int64_t expert,
                              const char *what)
{
    return moe_fail(MOE_ERR_CHECK,
                    "rank %d: row %lld of those that %s gives to expert %lld "
                    "%s",
                    moe_world_rank(s->be->in.world), (long long)row,
                    s->be->use->label, (long long)expert, what);
}

static moe_status_t check_row(const stamps_t *s, int64_t row, int64_t expert,
                              int64_t *token_p)
{
    const moe_rows_t rows = moe_ref_rows(s->call->in[0]);
    char what[96];

    moe_rows_values(&rows, row, 0, rows.cols, s->row);
    *token_p = moe_stamp_read(s->row, rows.cols);
    if (*token_p == -2) {
        return misplaced(s, row, expert, "is no token's");
    }
    if (*token_p >= 0 && !chose(s->be->in.routing, *token_p, expert)) {
        (void)snprintf(what, sizeof(what),
                       "is token %lld, which did not choose it",
                       (long long)*token_p);
        return misplaced(s, row, expert, what);
    }
    return MOE_OK;
}

static moe_status_t check_expert(const stamps_t *s, int64_t begin, int64_t end,
                                 int64_t expert)
{
    moe_status_t status = MOE_OK;

    for (int64_t i = begin; status == MOE_OK && i < end; i++) {
        status = check_row(s, i, expert, &s->token[i - begin]);
    }
    if (status != MOE_OK) {
        return status;
    }
    qsort(s->token, (size_t)(end - begin), sizeof(*s->token), by_number);
    for (int64_t i = 1; i < end - begin; i++) {
        if (s->token[i] >= 0 && s->token[i] == s->token[i - 1]) {
            return misplaced(s, begin + i, expert, "is a token's second");
        }
    }
    return MOE_OK;
}

moe_status_t moe_ref_check_stamps(const moe_ref_backend_t *be,
                                  const moe_call_t *call,
                                  const moe_ref_index_t *index)
{
    stamps_t s = {.be = be, .call = call};
    moe_status_t status = MOE_OK;

    s.row = malloc((size_t)call->in[0]->dim[1] * sizeof(*s.row) + 1);
    s.token = malloc((size_t)index->n * sizeof(*s.token) + 1);
    if (s.row == NULL || s.token == NULL) {
        status = moe_fail(MOE_ERR_NOMEM, "no memory to read stamps");
    }
    for (int64_t e = 0; status == MOE_OK && e < index->n_experts; e++) {
        status = check_expert(&s, index->offset[e], index->offset[e + 1],
                              call->in[1]->first_expert + e);
    }
    free(s.row);
    free(s.token);
    return status;
}
