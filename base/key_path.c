/* SPDX-License-Identifier: Apache-2.0 */
#include "base/key_path.h"

#include <stdio.h>
#include <string.h>

void moe_key_path_key(char *path, size_t size, const char *key)
{
    const size_t used = strlen(path);

    (void)snprintf(path + used, size - used, "%s%.80s", used > 0 ? "." : "",
                   key);
}

void moe_key_path_item(char *path, size_t size, size_t i)
{
    const size_t used = strlen(path);

    (void)snprintf(path + used, size - used, "[%zu]", i);
}

void moe_key_path_dotted(char *path, size_t size, const char *dotted)
{
    while (*dotted != '\0') {
        const size_t used = strlen(path);
        const size_t part = strcspn(dotted, ".");
        const size_t shown = part < 80 ? part : 80;

        if (used > 0 && part > 0 && strspn(dotted, "0123456789") == part) {
            (void)snprintf(path + used, size - used, "[%.*s]", (int)shown,
                           dotted);
        } else {
            (void)snprintf(path + used, size - used, "%s%.*s",
                           used > 0 ? "." : "", (int)shown, dotted);
        }
        dotted += part;
        dotted += *dotted == '.';
    }
}
