/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/command.h"

int moe_command_failed(const moe_diag_t *diag, moe_status_t status)
{
    if (diag != NULL && moe_diag_count(diag) > 0) {
        moe_diag_print(diag, stderr);
    } else if (moe_error_text()[0] != '\0') {
        fprintf(stderr, "moesim: %s\n", moe_error_text());
    } else {
        fprintf(stderr, "moesim: %s\n", moe_status_text(status));
    }
    return moe_status_exit(status);
}
