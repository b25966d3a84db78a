/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* True if text is a sign and digits only. */
static bool is_whole(const char *text, bool may_be_negative)
{
    if (text[0] == '+' || (may_be_negative && text[0] == '-')) {
        text++;
    }
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

bool moe_number_int64(const char *text, int64_t *value_p)
{
    long long value;

    if (!is_whole(text, true)) {
        return false;
    }
    errno = 0;
    value = strtoll(text, NULL, 10);
    if (errno != 0) {
        return false;
    }
    *value_p = value;
    return true;
}

bool moe_number_uint64(const char *text, uint64_t *value_p)
{
    unsigned long long value;

    if (!is_whole(text, false)) {
        return false;
    }
    errno = 0;
    value = strtoull(text, NULL, 10);
    if (errno != 0) {
        return false;
    }
    *value_p = value;
    return true;
}

bool moe_number_double(const char *text, double *value_p)
{
    char *end;
    double value;

    if (text[0] == '\0' || strspn(text, "+-.0123456789eE") != strlen(text)) {
        return false;
    }
    value = strtod(text, &end);
    if (*end != '\0' || !isfinite(value)) {
        return false;
    }
    *value_p = value;
    return true;
}

void moe_number_text(double value, char *out, size_t size)
{
    for (int digits = 6; digits <= 17; digits++) {
        (void)snprintf(out, size, "%.*g", digits, value);
        if (!(strtod(out, NULL) < value) && !(strtod(out, NULL) > value)) {
            return;
        }
    }
}

void moe_number_text_float(float value, char *out, size_t size)
{
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(out, size, "%.*g", digits, (double)value);
        if (!(strtof(out, NULL) < value) && !(strtof(out, NULL) > value)) {
            return;
        }
    }
}
