/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/units.h"

#include <stddef.h>
#include <stdio.h>

/* Three digits and more, as many after the point as that takes. */
static void put(double value, const char *unit, char out[MOE_UNIT_SIZE])
{
    int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

    (void)snprintf(out, MOE_UNIT_SIZE, "%.*f %s", decimals, value, unit);
}

const char *moe_unit_bytes(int64_t bytes, char out[MOE_UNIT_SIZE])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes / 1024;
    size_t i = 0;

    if (bytes < 10240) {
        (void)snprintf(out, MOE_UNIT_SIZE, "%lld B", (long long)bytes);
        return out;
    }
    while (value >= 1023.5 && i + 1 < sizeof(units) / sizeof(units[0])) {
        value /= 1024;
        ++i;
    }
    put(value, units[i], out);
    return out;
}

const char *moe_unit_plural(int64_t n)
{
    return n == 1 ? "" : "s";
}

const char *moe_unit_us(double us, char out[MOE_UNIT_SIZE])
{
    if (us < 999.5) {
        put(us, "us", out);
    } else if (us < 999.5e3) {
        put(us / 1e3, "ms", out);
    } else {
        put(us / 1e6, "s", out);
    }
    return out;
}
