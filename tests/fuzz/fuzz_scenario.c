/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Any file is a scenario or refused with a reason; what a good one is printed
 * as means the same scenario.
 */
#include "config.h"

#include "sim/scenario/scenario.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

/* A printed scenario, loaded again, has the digest of the first. */
static void check_print(const moe_scenario_t *scenario)
{
    moe_diag_t *diag = moe_diag_create();
    moe_scenario_t *again = NULL;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    moe_status_t status;

    fuzz_check(diag != NULL && stream != NULL, "memory suffices");
    status = moe_scenario_print(scenario, stream);
    fuzz_check(status == MOE_OK, "a scenario can be printed");
    fuzz_check(fclose(stream) == 0, "memory suffices");
    status = moe_scenario_load(fuzz_file((const uint8_t *)text, size), NULL, 0,
                               0, diag, &again);
    if (status != MOE_OK) {
        (void)fprintf(stderr, "%s\n", text);
        moe_diag_print(diag, stderr);
    }
    fuzz_check(status == MOE_OK, "a printed scenario can be loaded");
    fuzz_check(strcmp(scenario->digest, again->digest) == 0,
               "and means the same");
    moe_scenario_free(again);
    moe_diag_free(diag);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    moe_diag_t *diag = moe_diag_create();
    moe_scenario_t *scenario = NULL;
    moe_change_t change[FUZZ_CHANGES];
    moe_status_t status;
    fuzz_text_t t;
    int ranks;

    fuzz_check(diag != NULL, "memory suffices");
    fuzz_text_init(&t, data, size);
    for (size_t i = 0; i < t.n; i++) {
        change[i] = (moe_change_t){t.path[i], t.value[i]};
    }
    /* a file whose last byte is 'R' is laid out anew over 4 ranks */
    ranks = size > 0 && data[size - 1] == 'R' ? 4 : 0;
    moe_error_clear();
    status = moe_scenario_load(fuzz_file(data, size), change, t.n, ranks, diag,
                               &scenario);
    fuzz_check((status == MOE_OK) == (scenario != NULL), "a scenario or none");
    fuzz_check(status != MOE_OK || moe_diag_count(diag) == 0,
               "a scenario with problems is none");
    fuzz_check(status == MOE_OK || moe_diag_count(diag) > 0 ||
                   moe_error_text()[0] != '\0',
               "a reason");
    if (scenario != NULL) {
        check_print(scenario);
    }
    moe_scenario_free(scenario);
    moe_diag_free(diag);
    fuzz_text_fini(&t);
    return 0;
}
