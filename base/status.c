/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
    int exit;
    const char *text;
} statuses[MOE_STATUS_COUNT] = {
#define MOE_STATUS(id, exit, text) [MOE_##id] = {exit, text},
#include "base/status.def"
#undef MOE_STATUS
};

static char first_error[2048];

const char *moe_status_text(moe_status_t status)
{
    return (unsigned)status < MOE_STATUS_COUNT ? statuses[status].text
                                               : "unknown status";
}

int moe_status_exit(moe_status_t status)
{
    return (unsigned)status < MOE_STATUS_COUNT ? statuses[status].exit : 3;
}

moe_status_t moe_fail(moe_status_t status, const char *format, ...)
{
    char text[sizeof(first_error)];
    va_list ap;

    if (first_error[0] == '\0') {
        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        moe_text_escape(text, first_error, sizeof(first_error));
    }
    return status;
}

const char *moe_error_text(void)
{
    return first_error;
}

void moe_error_clear(void)
{
    first_error[0] = '\0';
}
