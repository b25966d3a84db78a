/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What kind of mistake a failed check looks like.
 *
 * The first place that failed is judged again under each mistake of
 * ref/fault.def, made there or in a place before it that nobody gave. A
 * mistake explains the failure if at most one in a hundred of the faulty
 * elements stays faulty, those that were right counted too. It is named if it
 * alone does so, or all that do are the same here, to the bit.
 */
#ifndef REF_DIAGNOSE_H
#define REF_DIAGNOSE_H

#include "ref/judge.h"

/** Multiplications and what is as dear, for all mistakes together. A core with
 * AVX-512 VNNI does 7e9 of them a second: a rank's 32 experts of DeepSeek-V3
 * and 64 tokens of all 8 ranks take 3e11. */
#define MOE_DIAGNOSIS_WORK 6e11

/** A mistake that explains. */
typedef struct {
    moe_fault_kind_t kind;
    moe_role_t made;     /* the place that it is made in */
    uint64_t variants;   /* its forms that explain, a bit each */
    uint64_t digest[40]; /* of the place that failed, in several ways */
    int n_digests;
} moe_suspect_t;

typedef struct {
    bool good;        /* nothing failed: there is nothing to say */
    moe_role_t role;  /* the first that failed */
    int64_t faulty;   /* its elements, rows and experts at fault */
    int64_t elements; /* of these */
    bool fits;        /* the right rows of experts would explain it, where it
                       * was judged from others that are trusted */
    moe_suspect_t suspect[MOE_FAULT_COUNT];
    int n_suspects;
    bool same;                     /* all of them give the same bits */
    double most;                   /* work that it may cost */
    double work;                   /* done */
    double wanted;                 /* by all mistakes that apply here */
    bool untried[MOE_FAULT_COUNT]; /* it would have cost more; if any is, no
                                    * mistake is named */
    int64_t token;                 /* the only one at fault, or -1 */
    int64_t expert;
    int64_t tokens_from; /* global numbers of the tokens at fault */
    int64_t tokens_to;
    int64_t from_row; /* most rows from here on are faulty, none before; -1 */
    unsigned cols;    /* the faulty columns mod 16, a bit each */
} moe_diagnosis_t;

/** Diagnose a judge that has run; it stays as it is but for what it holds to
 * save work. Mistakes that mean nothing here, by model and formats, are neither
 * tried nor counted.
 * @param[in] most  Work that it may cost: MOE_DIAGNOSIS_WORK.
 * @return MOE_OK; MOE_ERR_NOMEM. */
moe_status_t moe_diagnosis_make(moe_judge_t *judge, double most,
                                moe_diagnosis_t *d);

/** Mistakes that were not tried. */
int moe_diagnosis_untried(const moe_diagnosis_t *d);

/** True if a mistake is named: the first suspect. */
bool moe_diagnosis_is_named(const moe_diagnosis_t *d);

/** One line without its end; "" if nothing failed. */
void moe_diagnosis_words(const moe_diagnosis_t *d, char *text, size_t size);

/** All of it. */
moe_status_t moe_diagnose(moe_judge_t *judge, char *text, size_t size);

#endif
