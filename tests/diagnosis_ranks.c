/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/diagnosis_ranks.h"

#include "ref/layer_inside.h"
#include "tests/support.h"

#include <string.h>

enum {
    SECOND = 1 /* rank that is kept */
};

/* All ranks: what each makes of its tokens, what its experts make of all
 * tokens, and all that meets in the output. */
typedef struct {
    int n;
    moe_ref_layer_t own[DIAGNOSIS_MOST_RANKS];
    moe_ref_layer_t experts[DIAGNOSIS_MOST_RANKS];
    moe_ref_layer_t all;
    moe_rows_t joined[MOE_ROLE_COUNT]; /* rows of all ranks */
} world_t;

static moe_range_t part_of(moe_range_t whole, int rank, int ranks)
{
    const int64_t n = whole.end - whole.begin;

    return (moe_range_t){whole.begin + n * rank / ranks,
                         whole.begin + n * (rank + 1) / ranks};
}

static void start(const moe_ref_case_t *about, moe_fault_t fault,
                  moe_ref_layer_t *layer)
{
    ck_assert_int_eq(moe_ref_layer_init(about, layer), MOE_OK);
    layer->fault = fault;
}

static void world_init(const case_t *c, int ranks, moe_fault_t fault,
                       world_t *w)
{
    const moe_ref_case_t about = diagnosis_about(c);

    *w = (world_t){.n = ranks};
    ck_assert_int_le(ranks, DIAGNOSIS_MOST_RANKS);
    for (int i = 0; i < ranks; i++) {
        moe_ref_case_t part = about;

        part.tokens = part_of(about.tokens, i, ranks);
        start(&part, fault, &w->own[i]);
        part = about;
        part.experts = part_of(about.experts, i, ranks);
        start(&part, fault, &w->experts[i]);
    }
    start(&about, fault, &w->all);
}

static void world_fini(world_t *w)
{
    for (int i = 0; i < w->n; i++) {
        moe_ref_layer_fini(&w->own[i]);
        moe_ref_layer_fini(&w->experts[i]);
    }
    moe_ref_layer_fini(&w->all);
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        moe_ref_rows_free(&w->joined[r]);
    }
}

/* False if the mistake means nothing. */
static bool make(moe_ref_layer_t *layer, moe_role_t role)
{
    const moe_status_t status = moe_ref_layer_make(layer, role);

    if (status == MOE_ERR_UNSUPPORTED && layer->fault.kind != MOE_FAULT_none) {
        moe_error_clear();
        return false;
    }
    ck_assert_msg(status == MOE_OK, "%s: %s", moe_role_name(role),
                  moe_error_text());
    return true;
}

/* Rows of the ranks' tensors, one rank behind the other. */
static void join(const moe_ref_layer_t *part, int n, moe_role_t role,
                 moe_rows_t *out)
{
    const moe_rows_t *first = &part[0].at[role];
    int64_t rows = 0;
    char *codes;
    char *scales;

    for (int i = 0; i < n; i++) {
        rows += part[i].at[role].rows;
    }
    ck_assert_int_eq(
        moe_ref_rows_alloc(&first->storage, rows, first->cols, out), MOE_OK);
    codes = out->codes;
    scales = out->scales;
    for (int i = 0; i < n; i++) {
        const moe_rows_t *from = &part[i].at[role];
        const size_t bytes = (size_t)(from->rows * moe_rows_code_bytes(from));

        memcpy(codes, from->codes, bytes);
        codes += bytes;
        if (scales != NULL) {
            const int64_t n_scales = from->rows * moe_rows_scale_bytes(from);

            memcpy(scales, from->scales, (size_t)n_scales);
            scales += n_scales;
        }
    }
}

/* Each rank routes and quantises its tokens. */
static bool dispatch(world_t *w)
{
    static const moe_role_t sent[] = {MOE_ROLE_topk_ids, MOE_ROLE_topk_weights,
                                      MOE_ROLE_dispatch};

    for (int i = 0; i < w->n; i++) {
        for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_dispatch; r++) {
            if (!make(&w->own[i], (moe_role_t)r)) {
                return false;
            }
        }
    }
    for (size_t s = 0; s < sizeof(sent) / sizeof(sent[0]); s++) {
        moe_rows_t *rows = &w->joined[sent[s]];

        join(w->own, w->n, sent[s], rows);
        for (int i = 0; i <= w->n; i++) {
            moe_ref_layer_t *to = i < w->n ? &w->experts[i] : &w->all;

            ck_assert_int_eq(moe_ref_layer_give(to, sent[s], rows), MOE_OK);
        }
    }
    return true;
}

static bool compute(world_t *w)
{
    for (int i = 0; i < w->n; i++) {
        for (int r = MOE_ROLE_expert_in; r <= MOE_ROLE_combine; r++) {
            if (!make(&w->experts[i], (moe_role_t)r)) {
                return false;
            }
        }
    }
    return true;
}

/* The sum of the ranks' sums, which are rounded to fp32. */
static void sum_ranks(world_t *w, moe_rows_t *out)
{
    const moe_storage_t fp32 = {.format = MOE_FORMAT_fp32};
    moe_rows_t partial[DIAGNOSIS_MOST_RANKS];

    for (int i = 0; i < w->n; i++) {
        ck_assert_int_eq(
            moe_ref_rows_alloc(&fp32, out->rows, out->cols, &partial[i]),
            MOE_OK);
        ck_assert_int_eq(moe_ref_layer_compute(&w->experts[i], MOE_ROLE_combine,
                                               &partial[i]),
                         MOE_OK);
    }
    for (int64_t i = 0; i < out->rows * out->cols; i++) {
        double sum = 0.0;

        for (int p = 0; p < w->n; p++) {
            sum += (double)((const float *)partial[p].codes)[i];
        }
        moe_rows_round(out, i / out->cols, i % out->cols, 1, &sum);
    }
    for (int i = 0; i < w->n; i++) {
        moe_ref_rows_free(&partial[i]);
    }
}

/* What travels are sums that are not rounded: `combine` is a copy that is. */
static bool is_of_sums(moe_fault_t fault)
{
    return fault.role == MOE_ROLE_combine &&
           (fault.kind < MOE_FAULT_half_away ||
            fault.kind > MOE_FAULT_double_rounding);
}

/* The output of all tokens: exact, but where the ranks' sums are wrong. */
static bool combine(world_t *w)
{
    moe_rows_t *rows = &w->joined[MOE_ROLE_gemm2_out];

    join(w->experts, w->n, MOE_ROLE_gemm2_out, rows);
    ck_assert_int_eq(moe_ref_layer_give(&w->all, MOE_ROLE_gemm2_out, rows),
                     MOE_OK);
    if (!make(&w->all, MOE_ROLE_output)) {
        return false;
    }
    if (is_of_sums(w->all.fault)) {
        sum_ranks(w, &w->all.at[MOE_ROLE_output]);
    }
    return true;
}

/* Row of a pair of one layer in another one, of the same choices and all
 * tokens. */
static int64_t row_in(const moe_ref_layer_t *all, const moe_ref_layer_t *own,
                      int64_t pair)
{
    return all->index.place[own->pairs.token[pair] * own->about.model->topk +
                            own->pairs.slot[pair]];
}

/* A rank's rows of a place of all tokens. */
static void cut_out(const moe_ref_layer_t *all, moe_role_t role,
                    moe_ref_layer_t *own)
{
    const moe_rows_t *from = &all->at[role];
    int64_t rows;
    int64_t cols;
    moe_rows_t out;

    ck_assert(moe_ref_layer_shape(own, role, &rows, &cols));
    ck_assert_int_eq(moe_ref_rows_alloc(&from->storage, rows, cols, &out),
                     MOE_OK);
    for (int64_t i = 0; i < rows; i++) {
        const int64_t row = moe_ref_layer_is_paired(role)
                                ? row_in(all, own, i)
                                : own->about.tokens.begin + i;

        memcpy(moe_rows_codes(&out, i), moe_rows_codes(from, row),
               (size_t)moe_rows_code_bytes(&out));
    }
    ck_assert_int_eq(moe_ref_layer_hold(own, role, &out, true), MOE_OK);
}

/* Hand the second rank's layers over, with its rows of what all made. */
static void take(world_t *w, diagnosis_rank_t *rank)
{
    rank->own = w->own[SECOND];
    w->own[SECOND] = (moe_ref_layer_t){0};
    cut_out(&w->all, MOE_ROLE_gemm2_out, &rank->own);
    cut_out(&w->all, MOE_ROLE_output, &rank->own);

    rank->experts = w->experts[SECOND];
    w->experts[SECOND] = (moe_ref_layer_t){0};
    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_dispatch; r++) {
        moe_rows_t *joined = &w->joined[r];

        if (joined->codes != NULL) { /* keeps what it was given */
            rank->experts.owned[r] = true;
            *joined = (moe_rows_t){0};
        }
    }
}

bool diagnosis_rank_make(const case_t *c, int ranks, moe_fault_t fault,
                         diagnosis_rank_t *rank_p)
{
    world_t w;
    bool made;

    *rank_p = (diagnosis_rank_t){0};
    world_init(c, ranks, fault, &w);
    made = dispatch(&w) && compute(&w) && combine(&w);
    if (made) {
        take(&w, rank_p);
    }
    world_fini(&w);
    return made;
}

void diagnosis_rank_fini(diagnosis_rank_t *rank)
{
    moe_ref_layer_fini(&rank->own);
    moe_ref_layer_fini(&rank->experts);
}

void diagnosis_rank_examine(const diagnosis_rank_t *rank, bool stages,
                            moe_diagnosis_t *d)
{
    moe_diagnosis_t experts;

    diagnosis_judge(&rank->own.about, &rank->own,
                    stages ? MOE_ROLE_hidden : MOE_ROLE_output, MOE_ROLE_output,
                    MOE_ROLE_gemm2_out, MOE_DIAGNOSIS_WORK, d);
    if (!stages || (!d->good && d->role < MOE_ROLE_expert_in)) {
        return;
    }
    diagnosis_judge(&rank->experts.about, &rank->experts, MOE_ROLE_expert_in,
                    MOE_ROLE_combine, MOE_ROLE_none, MOE_DIAGNOSIS_WORK,
                    &experts);
    if (!experts.good) {
        *d = experts;
    }
}
