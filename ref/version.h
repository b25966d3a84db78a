/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Which libraries the reference computes with.
 */
#ifndef REF_VERSION_H
#define REF_VERSION_H

/** Version of MPFR; never NULL. */
const char *moe_mpfr_version(void);

/** BLAS as it was built, the kernels that it chose, and its threads;
 * "not OpenBLAS", "unknown" and 1 if it does not say. */
const char *moe_blas_config(void);
const char *moe_blas_core(void);
int moe_blas_threads(void);

#endif
