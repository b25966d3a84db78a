/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * One run at a time makes a report in a folder.
 *
 * The hidden folder holds a locked file while its run is at work: a second
 * run into the same place is refused, and what a killed run left there is
 * known to be nobody's.
 */
#ifndef SIM_REPORT_CLAIM_H
#define SIM_REPORT_CLAIM_H

#include "base/status.h"

typedef struct moe_report_claim moe_report_claim_t;

/**
 * Make a report's folder and its hidden one, and hold them. What a run that
 * is no more left there is removed, and said on stderr.
 * @param[out] claim_p  Ended with moe_report_claim_end().
 * @return MOE_OK; MOE_ERR_INPUT if another run is at work there, or if the
 *         folder is the name of a file; MOE_ERR_IO; MOE_ERR_NOMEM.
 */
moe_status_t moe_report_claim(const char *folder, moe_report_claim_t **claim_p);

/** The report's folder, the hidden one, and how many folders of the path were
 * not there before. */
const char *moe_report_claim_folder(const moe_report_claim_t *claim);
const char *moe_report_claim_unfinished(const moe_report_claim_t *claim);
int moe_report_claim_made(const moe_report_claim_t *claim);

/** Remove the hidden folder with all that is in it, and those of the folders
 * above that moe_report_claim() made and that are empty. NULL is allowed. */
void moe_report_claim_abandon(const moe_report_claim_t *claim);

/** The same for a process that is gone, unless another one holds the folder
 * by now. */
void moe_report_claim_abandon_dead(const char *folder, int made);

/** Let go. Removes nothing. NULL is allowed. */
void moe_report_claim_end(moe_report_claim_t *claim);

#endif
