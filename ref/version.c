/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/version.h"

#include <stddef.h>

#include <mpfr.h>

const char *moe_mpfr_version(void)
{
    return mpfr_get_version();
}

/* Only OpenBLAS has these; another BLAS links without. */
extern char *openblas_get_config(void) __attribute__((weak));
extern char *openblas_get_corename(void) __attribute__((weak));
extern int openblas_get_num_threads(void) __attribute__((weak));

const char *moe_blas_config(void)
{
    return openblas_get_config != NULL ? openblas_get_config() : "not OpenBLAS";
}

const char *moe_blas_core(void)
{
    return openblas_get_corename != NULL ? openblas_get_corename() : "unknown";
}

int moe_blas_threads(void)
{
    return openblas_get_num_threads != NULL ? openblas_get_num_threads() : 1;
}
