/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Any file is a good manifest of a golden folder or refused with a message;
 * a good one names files in its folder and ranges that are in order.
 */
#include "config.h"

#include "sim/golden/read.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void walk(const moe_golden_t *golden)
{
    fuzz_check(strlen(golden->digest) == 64, "a digest");
    fuzz_check(golden->n_ranks > 0, "a rank");
    fuzz_check(strchr(golden->scenario, '/') == NULL, "a name");
    for (size_t i = 0; i < golden->n_ranks; i++) {
        const moe_golden_rank_t *rank = &golden->rank[i];

        fuzz_check(strchr(rank->file, '/') == NULL &&
                       strcmp(rank->file, "..") != 0,
                   "a file in the folder");
        fuzz_check(rank->rank >= 0 && rank->pairs >= 0, "counts");
        fuzz_check(rank->all_tokens.begin <= rank->tokens.begin &&
                       rank->tokens.begin <= rank->tokens.end &&
                       rank->tokens.end <= rank->all_tokens.end,
                   "own tokens among all");
        fuzz_check(rank->experts.begin >= 0 &&
                       rank->experts.begin <= rank->experts.end,
                   "experts");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    moe_diag_t *diag = moe_diag_create();
    moe_golden_t golden;
    moe_status_t status;

    moe_error_clear();
    status = moe_golden_read(fuzz_file(data, size), diag, &golden);
    if (status == MOE_OK) {
        walk(&golden);
    } else {
        fuzz_check(status == MOE_ERR_INPUT, "the input is wrong");
        fuzz_check(moe_diag_count(diag) > 0, "a message");
        fuzz_check(strstr(moe_diag_text(diag, 0), ":") != NULL, "a place");
    }
    moe_golden_fini(&golden);
    moe_diag_free(diag);
    moe_error_clear();
    return 0;
}
