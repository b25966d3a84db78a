/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Which libraries the reference computes with.
 */
#ifndef REF_VERSION_H
#define REF_VERSION_H

/** Version of MPFR; never NULL. */
const char *moe_mpfr_version(void);

#endif
