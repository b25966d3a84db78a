/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What the files of ref/diagnose*.c share.
 */
#ifndef REF_DIAGNOSE_INSIDE_H
#define REF_DIAGNOSE_INSIDE_H

#include "ref/diagnose.h"

/** True if a mistake made in `made` could be what is seen in `seen`, the
 * first place that failed: nothing given lies between. */
bool moe_diagnose_leads(const moe_judge_t *judge, moe_role_t made,
                        moe_role_t seen);

/**
 * Judge `seen` again under a mistake.
 * @param[in]  sites     To be filled, or NULL.
 * @param[out] digest_p  Of the tensor that the mistake gives, if at most
 *                       `most` are at fault; NULL: nobody asks.
 * @return MOE_OK; MOE_ERR_UNSUPPORTED if the mistake means nothing here.
 */
moe_status_t moe_diagnose_try(moe_judge_t *judge, moe_fault_t fault,
                              moe_role_t seen, moe_judge_sites_t *sites,
                              int64_t most, int64_t *faulty_p,
                              uint64_t *digest_p);

/** Set d->fits: an output that is not the sum of the rows that are trusted may
 * be that of the right ones, but for at most so many faults. */
moe_status_t moe_diagnose_fits(moe_judge_t *judge, int64_t most,
                               moe_diagnosis_t *d);

/** Multiplications, and what is as dear, to try a mistake: the same on every
 * machine. */
double moe_diagnose_work(const moe_judge_t *judge, moe_fault_t fault,
                         moe_role_t seen);

/** True of mistakes that are made from another layer's tensors, which are made
 * from the first on: not from rows that are trusted. */
bool moe_diagnose_has_twin(moe_fault_kind_t kind);

/** What of a verdict is at fault: elements, rows and experts. */
int64_t moe_diagnose_faulty(const moe_verdict_t *v);

/* Of these the rows and experts whose sums are at fault. */
int64_t moe_diagnose_faulty_sums(const moe_verdict_t *v);

/** Fill in where the faults are. */
moe_status_t moe_diagnose_sites(moe_judge_t *judge, moe_diagnosis_t *d);

/** Rows of `seen` in the order that explains what was given: an allocated
 * list, or NULL if there is none or it is as it should be. */
moe_status_t moe_diagnose_order(moe_judge_t *judge, moe_role_t seen,
                                int64_t **order_p);

#endif
