/* SPDX-License-Identifier: Apache-2.0 */
#include "ref/version.h"

#include <mpfr.h>

const char *moe_mpfr_version(void)
{
    return mpfr_get_version();
}
