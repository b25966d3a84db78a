/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue against a failed check. */
#include "ref/diagnose_inside.h"

#include "base/status.h"
#include "ref/fault_inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXPLAINED = 100, /* one in so many may stay at fault */
    SAID = 8         /* names of those that were not tried */
};

static moe_role_t first_bad(const moe_judge_t *judge)
{
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        if (judge->verdict[r].judged && !judge->verdict[r].good) {
            return (moe_role_t)r;
        }
    }
    return MOE_ROLE_none;
}

static void suspect(moe_diagnosis_t *d, const moe_fault_t *fault,
                    uint64_t digest)
{
    moe_suspect_t *s = d->suspect + (d->n_suspects > 0 ? d->n_suspects - 1 : 0);

    if (d->n_suspects == 0 || s->kind != fault->kind) {
        s = &d->suspect[d->n_suspects++];
        *s = (moe_suspect_t){.kind = fault->kind, .made = fault->role};
    }
    if (s->made != fault->role) {
        s->variants = 0;
    }
    s->made = fault->role; /* the last place: the nearest to what is seen */
    s->variants |= UINT64_C(1) << fault->variant;
    for (int i = 0; i < s->n_digests; i++) {
        if (s->digest[i] == digest) {
            return;
        }
    }
    if (s->n_digests < (int)(sizeof(s->digest) / sizeof(s->digest[0]))) {
        s->digest[s->n_digests++] = digest;
    }
}

static moe_status_t try_one(moe_judge_t *judge, moe_fault_t fault,
                            moe_diagnosis_t *d)
{
    const int64_t most = d->faulty / EXPLAINED;
    const double work = moe_diagnose_work(judge, fault, d->role);
    int64_t faulty = 0;
    uint64_t digest = 0;
    moe_status_t status;

    if (d->fits && moe_diagnose_has_twin(fault.kind)) {
        return MOE_OK; /* nor does it explain what is right without it */
    }
    d->wanted += work;
    if (d->work + work > d->most) {
        d->untried[fault.kind] = true; /* cheaper ones may still be tried */
        return MOE_OK;
    }
    d->work += work;
    status =
        moe_diagnose_try(judge, fault, d->role, NULL, most, &faulty, &digest);
    if (status == MOE_OK && faulty <= most) {
        suspect(d, &fault, digest);
    }
    if (status == MOE_ERR_UNSUPPORTED || status == MOE_ERR_RANGE) {
        moe_error_clear();
        d->work -= work;
        d->wanted -= work;
        return MOE_OK; /* it means nothing here */
    }
    return status;
}

static moe_status_t try_order(moe_judge_t *judge, moe_diagnosis_t *d)
{
    moe_fault_t fault = {.kind = MOE_FAULT_rows_permuted, .role = d->role};
    int64_t *order;
    moe_status_t status = moe_diagnose_order(judge, d->role, &order);

    fault.order = order;
    if (status == MOE_OK && order != NULL) {
        status = try_one(judge, fault, d);
    }
    free(order);
    return status;
}

/* True if a rounding that is not nearest, ties to even, explains. */
static bool has_rounding(const moe_diagnosis_t *d)
{
    for (int i = 0; i < d->n_suspects; i++) {
        if (d->suspect[i].kind >= MOE_FAULT_half_away &&
            d->suspect[i].kind <= MOE_FAULT_double_rounding) {
            return true;
        }
    }
    return false;
}

/* Many other ways to quantise, for codes that are seen; behind them only where
 * a rounding would be named that may be one of them. */
static bool is_asked(moe_fault_kind_t kind, moe_role_t made,
                     const moe_diagnosis_t *d)
{
    return kind != MOE_FAULT_other_profile || made == d->role ||
           has_rounding(d);
}

/* A kind, at all places that lead to what is seen. */
static moe_status_t try_kind(moe_judge_t *judge, moe_fault_kind_t kind,
                             moe_diagnosis_t *d)
{
    moe_status_t status = MOE_OK;

    for (int r = MOE_ROLE_hidden; r <= (int)d->role; r++) {
        if (!moe_fault_is_at(kind, (moe_role_t)r) ||
            !is_asked(kind, (moe_role_t)r, d) ||
            !moe_diagnose_leads(judge, (moe_role_t)r, d->role)) {
            continue;
        }
        for (int v = 0; status == MOE_OK && v < moe_fault_variants(kind); v++) {
            const moe_fault_t fault = {
                .kind = kind, .role = (moe_role_t)r, .variant = v};

            if (moe_ref_fault_applies(&judge->layer, fault) &&
                !moe_ref_fault_repeats(&judge->layer, fault)) {
                status = try_one(judge, fault, d);
            }
        }
    }
    if (status == MOE_OK && kind == MOE_FAULT_rows_permuted &&
        moe_fault_is_at(kind, d->role)) {
        status = try_order(judge, d);
    }
    return status;
}

static bool shares_digest(const moe_suspect_t *a, const moe_suspect_t *b)
{
    for (int i = 0; i < a->n_digests; i++) {
        for (int j = 0; j < b->n_digests; j++) {
            if (a->digest[i] == b->digest[j]) {
                return true;
            }
        }
    }
    return false;
}

static bool all_same(const moe_diagnosis_t *d)
{
    for (int i = 0; i < d->n_suspects; i++) {
        for (int j = 0; j < i; j++) {
            if (!shares_digest(&d->suspect[i], &d->suspect[j])) {
                return false;
            }
        }
    }
    return true;
}

/* Of those that are the same here the likeliest is told first: zeros are an
 * output that was not written, halves that go one way another multiplier. */
static void put_first(moe_diagnosis_t *d, moe_fault_kind_t kind)
{
    for (int i = 1; i < d->n_suspects; i++) {
        if (d->suspect[i].kind == kind) {
            const moe_suspect_t first = d->suspect[i];

            memmove(d->suspect + 1, d->suspect, (size_t)i * sizeof(first));
            d->suspect[0] = first;
        }
    }
}

moe_status_t moe_diagnosis_make(moe_judge_t *judge, double most,
                                moe_diagnosis_t *d)
{
    moe_status_t status;

    *d = (moe_diagnosis_t){.role = first_bad(judge), .most = most};
    if (d->role == MOE_ROLE_none) {
        d->good = true;
        return MOE_OK;
    }
    d->faulty = moe_diagnose_faulty(&judge->verdict[d->role]);
    d->elements =
        d->faulty - moe_diagnose_faulty_sums(&judge->verdict[d->role]);
    status = moe_diagnose_sites(judge, d);
    if (status == MOE_OK) {
        status = moe_diagnose_fits(judge, d->faulty / EXPLAINED, d);
    }
    for (int k = MOE_FAULT_none + 1; status == MOE_OK && k < MOE_FAULT_COUNT;
         k++) {
        status = try_kind(judge, (moe_fault_kind_t)k, d);
    }
    put_first(d, MOE_FAULT_other_profile);
    put_first(d, MOE_FAULT_not_run);
    d->same = all_same(d);
    return status;
}

int moe_diagnosis_untried(const moe_diagnosis_t *d)
{
    int n = 0;

    for (int k = 0; k < MOE_FAULT_COUNT; k++) {
        n += d->untried[k];
    }
    return n;
}

bool moe_diagnosis_is_named(const moe_diagnosis_t *d)
{
    return !d->good && moe_diagnosis_untried(d) == 0 && d->n_suspects > 0 &&
           d->same;
}

/* Text that grows as long as there is room. */
typedef struct {
    char *text;
    size_t size;
    size_t used;
} line_t;

__attribute__((format(printf, 2, 3))) static void say(line_t *t,
                                                      const char *format, ...)
{
    va_list args;
    int n;

    if (t->used >= t->size) {
        return;
    }
    va_start(args, format);
    n = vsnprintf(t->text + t->used, t->size - t->used, format, args);
    va_end(args);
    t->used += n > 0 ? (size_t)n : 0;
}

static void say_suspects(line_t *t, const moe_diagnosis_t *d, int from)
{
    for (int i = from; i < d->n_suspects; i++) {
        say(t, "%s%s", i > from ? ", " : "",
            moe_fault_name(d->suspect[i].kind));
    }
}

/* Forms that have words: profiles, else ways to multiply. */
static void say_variants(line_t *t, const moe_suspect_t *s)
{
    const uint64_t others = s->variants >> MOE_FAULT_MULTIPLIERS;
    const int first = others != 0 ? MOE_FAULT_MULTIPLIERS : 0;
    const char *comma = "; as ";

    for (int v = first; v < 64; v++) {
        if ((s->variants >> v & 1) != 0 &&
            moe_fault_variant_text(s->kind, v)[0] != '\0') {
            say(t, "%s%s", comma, moe_fault_variant_text(s->kind, v));
            comma = ", ";
        }
    }
}

static int count_bits(unsigned bits)
{
    int n = 0;

    for (; bits != 0; bits &= bits - 1) {
        n++;
    }
    return n;
}

static void say_columns(line_t *t, unsigned cols)
{
    const char *comma = "";

    say(t, "; only columns that are ");
    for (int c = 0; c < 16; c++) {
        if ((cols >> c & 1) != 0) {
            say(t, "%s%d", comma, c);
            comma = ", ";
        }
    }
    say(t, " mod 16");
}

static void say_where(line_t *t, const moe_diagnosis_t *d)
{
    if (d->elements > 0) {
        say(t, "%s: %lld at fault", moe_role_name(d->role),
            (long long)d->elements);
    } else {
        say(t, "%s: %lld rows and experts at fault", moe_role_name(d->role),
            (long long)d->faulty);
    }
    if (d->token >= 0) {
        say(t, "; only token %lld", (long long)d->token);
    } else if (d->from_row >= 0) {
        say(t, "; only rows >= %lld", (long long)d->from_row);
    } else if (d->tokens_from >= 0) {
        say(t, "; tokens %lld to %lld", (long long)d->tokens_from,
            (long long)d->tokens_to);
    }
    if (d->expert >= 0) {
        say(t, "; only expert %lld", (long long)d->expert);
    }
    if (count_bits(d->cols) > 0 && count_bits(d->cols) <= 8) {
        say_columns(t, d->cols);
    }
}

static void say_untried(line_t *t, const moe_diagnosis_t *d)
{
    int said = 0;

    say(t, "; too dear to be tried: ");
    for (int k = 0; k < MOE_FAULT_COUNT && said < SAID; k++) {
        if (d->untried[k]) {
            say(t, "%s%s", said++ > 0 ? ", " : "",
                moe_fault_name((moe_fault_kind_t)k));
        }
    }
    if (moe_diagnosis_untried(d) > said) {
        say(t, " and %d more", moe_diagnosis_untried(d) - said);
    }
    if (d->n_suspects > 0) {
        say(t, "; of the others would explain it: ");
        say_suspects(t, d, 0);
    }
}

void moe_diagnosis_words(const moe_diagnosis_t *d, char *text, size_t size)
{
    line_t t = {text, size, 0};

    text[0] = '\0';
    if (d->good) {
        return;
    }
    if (moe_diagnosis_is_named(d)) {
        say(&t, "%s: %s", moe_fault_name(d->suspect[0].kind),
            moe_fault_text(d->suspect[0].kind));
        say(&t, " (%s %s", d->suspect[0].made == d->role ? "in" : "seen in",
            moe_role_name(d->role));
        say_variants(&t, &d->suspect[0]);
        say(&t, ")");
        if (d->n_suspects > 1) {
            say(&t, "; the same here: ");
            say_suspects(&t, d, 1);
        }
        return;
    }
    say(&t, "no known mistake (");
    say_where(&t, d);
    if (d->fits) {
        say(&t, "; it may be the sum of the right gemm2_out, not of GOT's");
    }
    if (moe_diagnosis_untried(d) > 0) {
        say_untried(&t, d);
    } else if (d->n_suspects > 1) {
        say(&t, "; each of these would explain it: ");
        say_suspects(&t, d, 0);
    }
    say(&t, ")");
}

moe_status_t moe_diagnose(moe_judge_t *judge, char *text, size_t size)
{
    moe_diagnosis_t d;
    moe_status_t status = moe_diagnosis_make(judge, MOE_DIAGNOSIS_WORK, &d);

    text[0] = '\0';
    if (status == MOE_OK) {
        moe_diagnosis_words(&d, text, size);
    }
    return status;
}
