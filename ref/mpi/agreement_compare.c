/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "ref/mpi/agreement_wire.h"

#include <stdio.h>
#include <string.h>

#define COUNTS 80  /* text of counts */
#define LAST   160 /* of the last call */
#define SIDE   384 /* of what one rank does */

int moe_tellings_failed(const moe_tellings_t *all)
{
    for (int r = 0; r < all->ranks; r++) {
        if (all->told[r].kind == MOE_TOLD_failed) {
            return r;
        }
    }
    return -1;
}

/* What a rank is at, in words. */
static void describe(const moe_tellings_t *all, const moe_told_t *t, char *out,
                     size_t size)
{
    const int rank = (int)(t - all->told);
    char counts[COUNTS];
    char last[LAST] = "";

    (void)snprintf(counts, sizeof(counts),
                   "rank %d sends %lld rows, expects %lld", rank,
                   (long long)t->send_rows, (long long)t->recv_rows);
    if (t->kind == MOE_TOLD_enter) {
        (void)snprintf(out, size,
                       "%s (call %lld of %s, stage %s, group %s of %lld, %s, "
                       "rows of %lld bytes; %s)",
                       moe_op_name((moe_op_t)t->op), (long long)t->call,
                       t->label, moe_stage_name((moe_stage_t)t->stage),
                       moe_group_name((moe_group_t)t->group), (long long)t->n,
                       moe_dtype_name((moe_dtype_t)t->dtype),
                       (long long)t->row_bytes, counts);
        return;
    }
    if (t->call > 0) {
        (void)snprintf(last, sizeof(last), " (%s, stage %s; %s)",
                       moe_op_name((moe_op_t)t->op),
                       moe_stage_name((moe_stage_t)t->stage), counts);
    }
    if (t->kind == MOE_TOLD_finish) {
        (void)snprintf(out, size, "the end of %s, after call %lld%s", t->label,
                       (long long)t->call, last);
    } else {
        (void)snprintf(out, size, "a failure after call %lld of %s%s",
                       (long long)t->call, t->label, last);
    }
}

/* A rank can only be past a call that another is at by leaving it out. */
static bool went_by(const moe_told_t *gone, const moe_told_t *t)
{
    return gone->kind == MOE_TOLD_enter
               ? t->kind == MOE_TOLD_enter && gone->method == t->method &&
                     gone->call > t->call
               : t->kind == MOE_TOLD_enter &&
                     (gone->method > t->method ||
                      (gone->method == t->method && gone->call >= t->call));
}

static bool same(const moe_told_t *a, const moe_told_t *b)
{
    if (a->kind == MOE_TOLD_failed || b->kind == MOE_TOLD_failed) {
        return !went_by(a, b) && !went_by(b, a);
    }
    if (a->kind != b->kind || a->method != b->method || a->call != b->call) {
        return false;
    }
    if (a->kind == MOE_TOLD_finish) {
        return strcmp(a->label, b->label) == 0;
    }
    return a->op == b->op && a->stage == b->stage && a->group == b->group &&
           a->dtype == b->dtype && a->row_bytes == b->row_bytes &&
           a->root == b->root && strcmp(a->label, b->label) == 0;
}

/* The rank that most ranks are the same as: one odd rank is named as such. */
static int usual(const moe_tellings_t *all)
{
    int best = 0;
    int most = 0;

    for (int a = 0; a < all->ranks; a++) {
        int n = 0;

        for (int b = 0; b < all->ranks; b++) {
            n += same(&all->told[a], &all->told[b]);
        }
        if (n > most) {
            most = n;
            best = a;
        }
    }
    return best;
}

static void list_ranks(const moe_tellings_t *all, const moe_told_t *like,
                       char *out, size_t size)
{
    size_t used = 0;
    const char *between = "";

    out[0] = '\0';
    for (int r = 0; r < all->ranks && used + 16 < size; r++) {
        if (same(like, &all->told[r])) {
            used +=
                (size_t)snprintf(out + used, size - used, "%s%d", between, r);
            between = ",";
        }
    }
}

/* True if every rank is the same as the first that did not fail: the usual
 * case, in one pass. */
static bool all_same(const moe_tellings_t *all)
{
    int first = 0;

    while (first < all->ranks - 1 && all->told[first].kind == MOE_TOLD_failed) {
        first++;
    }
    for (int r = 0; r < all->ranks; r++) {
        if (!same(&all->told[first], &all->told[r])) {
            return false;
        }
    }
    return true;
}

static void tell_left_out(const moe_tellings_t *all, const moe_told_t *gone,
                          const moe_told_t *at, char *text, size_t size)
{
    char who[SIDE];
    char ranks[SIDE];
    char what[SIDE];
    char next[SIDE];

    describe(all, gone, next, sizeof(next));
    list_ranks(all, gone, who, sizeof(who));
    list_ranks(all, at, ranks, sizeof(ranks));
    describe(all, at, what, sizeof(what));
    (void)snprintf(text, size,
                   "ranks disagree: rank%s %s left out %s, which "
                   "rank%s %s entered; it is at %s",
                   strchr(who, ',') != NULL ? "s" : "", who, what,
                   strchr(ranks, ',') != NULL ? "s" : "", ranks, next);
}

bool moe_tellings_agree(const moe_tellings_t *all, char *text, size_t size)
{
    const moe_told_t *a;
    char a_text[SIDE];
    char b_text[SIDE];
    char ranks[SIDE];

    if (all_same(all)) {
        return true;
    }
    a = &all->told[usual(all)];
    for (int r = 0; r < all->ranks; r++) {
        const moe_told_t *b = &all->told[r];

        if (same(a, b)) {
            continue;
        }
        if (went_by(b, a) || went_by(a, b)) {
            tell_left_out(all, went_by(b, a) ? b : a, went_by(b, a) ? a : b,
                          text, size);
            return false;
        }
        describe(all, a, a_text, sizeof(a_text));
        describe(all, b, b_text, sizeof(b_text));
        list_ranks(all, a, ranks, sizeof(ranks));
        (void)snprintf(
            text, size, "ranks disagree: rank %d is at %s; rank%s %s at %s", r,
            b_text, strchr(ranks, ',') != NULL ? "s" : "", ranks, a_text);
        return false;
    }
    return true;
}

static int64_t sent(const moe_tellings_t *all, int rank, int64_t to)
{
    return all->counts[rank * 2 * all->width + to];
}

static int64_t received(const moe_tellings_t *all, int rank, int64_t from)
{
    return all->counts[rank * 2 * all->width + all->width + from];
}

static void list_counts(const moe_tellings_t *all, int rank, int64_t n,
                        bool are_sent, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (int64_t i = 0; i < n && used + 32 < size; i++) {
        int64_t rows = are_sent ? sent(all, rank, i) : received(all, rank, i);

        used += (size_t)snprintf(out + used, size - used, "%s%lld",
                                 i > 0 ? "," : "", (long long)rows);
    }
}

static void describe_pair(const moe_tellings_t *all, int s, int d, char *text,
                          size_t size)
{
    const moe_told_t *a = &all->told[s];
    const moe_told_t *b = &all->told[d];
    char a_counts[SIDE];
    char b_counts[SIDE];
    char what[SIDE];

    describe(all, a, what, sizeof(what));
    list_counts(all, s, a->n, true, a_counts, sizeof(a_counts));
    list_counts(all, d, b->n, false, b_counts, sizeof(b_counts));
    (void)snprintf(text, size,
                   "ranks disagree about the counts of %s: rank %d sends %lld "
                   "rows to rank %d, which expects %lld; rank %d sends [%s], "
                   "rank %d expects [%s]",
                   what, s, (long long)sent(all, s, b->me), d,
                   (long long)received(all, d, a->me), s, a_counts, d,
                   b_counts);
}

bool moe_tellings_fit(const moe_tellings_t *all, char *text, size_t size)
{
    for (int s = 0; s < all->ranks; s++) {
        const moe_told_t *a = &all->told[s];
        bool sends = a->op != MOE_OP_broadcast || a->me == a->root;

        for (int d = 0; sends && d < all->ranks; d++) {
            const moe_told_t *b = &all->told[d];

            if (a->leader == b->leader &&
                sent(all, s, b->me) != received(all, d, a->me)) {
                describe_pair(all, s, d, text, size);
                return false;
            }
        }
    }
    return true;
}
