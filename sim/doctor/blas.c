/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BLAS: some builds of OpenBLAS are wrong, or crash, on some processors. The
 * test runs in a process of its own, so that a crash is a finding.
 */
#include "config.h"

#include "ref/version.h"
#include "sim/doctor/doctor.h"

#include <stdio.h>
#include <string.h>

/* Prints two lines: the kernels, then what was found. */
int moe_cmd_blascheck(const moe_command_t *command)
{
    char why[256] = "";
    long n;

    (void)command;
    printf("%s\n", moe_blas_core());
    (void)fflush(stdout); /* known even if the test crashes */
    n = moe_blas_test(why, sizeof(why));
    if (n < 0) {
        printf("%s\n", why);
        return 1;
    }
    printf("%ld products\n", n);
    return 0;
}

void moe_doctor_blas(const moe_command_t *command, moe_finding_t *finding)
{
    static char name[] = "moesim";
    static char verb[] = "blascheck";
    static char *const argv[] = {name, verb, NULL};
    static const char advice[] =
        "install another BLAS, or set OPENBLAS_CORETYPE to kernels that are "
        "right: try moesim doctor --blas-core Haswell (or Prescott)";
    const char *wanted = command->blas_core;
    char variable[128];
    char out[512];
    char *found;
    int status;

    (void)snprintf(variable, sizeof(variable), "OPENBLAS_CORETYPE=%s",
                   wanted != NULL ? wanted : "");
    status = moe_doctor_child(argv, wanted != NULL ? variable : NULL, out,
                              sizeof(out));
    found = strchr(out, '\n');
    if (found != NULL) {
        *found++ = '\0';
        found[strcspn(found, "\n")] = '\0';
    }
    if (status != 0) {
        moe_finding_set(finding, MOE_HEALTH_fail, advice,
                        "kernels %s, %s; %s, status %d", out, moe_blas_config(),
                        found != NULL && *found != '\0' ? found
                                                        : "the test crashed",
                        status);
    } else if (wanted != NULL && strcasecmp(out, wanted) != 0) {
        moe_finding_set(finding, MOE_HEALTH_warning,
                        "this BLAS has no such kernels: it chose its own",
                        "kernels %s, not %s; %s equal to plain loops", out,
                        wanted, found != NULL ? found : "?");
    } else {
        moe_finding_set(finding, MOE_HEALTH_ok, "",
                        "kernels %s, %s; %s equal to plain loops", out,
                        moe_blas_config(), found != NULL ? found : "?");
    }
}
