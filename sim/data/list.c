/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "sim/data/data.h"

#include "base/text.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *folder;
    moe_names_t names;
    bool no_memory;
} listing_t;

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add(listing_t *listing, const char *file)
{
    moe_names_t *names = &listing->names;
    size_t length = strlen(file) - 5; /* without .yaml */
    char **grown;

    for (size_t i = 0; i < names->n; i++) {
        if (strncmp(names->name[i], file, length) == 0 &&
            names->name[i][length] == '\0') {
            return;
        }
    }
    grown = realloc(names->name, (names->n + 1) * sizeof(*grown));
    if (grown == NULL) {
        listing->no_memory = true;
        return;
    }
    names->name = grown;
    grown[names->n] = strndup(file, length);
    if (grown[names->n] == NULL) {
        listing->no_memory = true;
        return;
    }
    names->n++;
}

static bool list_place(void *self, const char *place)
{
    listing_t *listing = self;
    char *folder = moe_strdup_printf("%s/%s", place, listing->folder);
    DIR *dir = folder == NULL ? NULL : opendir(folder);
    struct dirent *entry;
    size_t length;

    listing->no_memory |= folder == NULL;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        length = strlen(entry->d_name);
        if (length > 5 && strcmp(entry->d_name + length - 5, ".yaml") == 0) {
            add(listing, entry->d_name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    free(folder);
    return listing->no_memory;
}

moe_status_t moe_data_list(const char *beside, const char *folder,
                           moe_names_t *names_p)
{
    listing_t listing = {.folder = folder};

    moe_data_visit(beside, list_place, &listing);
    if (listing.no_memory) {
        moe_names_fini(&listing.names);
        return moe_fail(MOE_ERR_NOMEM, "out of memory listing %s", folder);
    }
    if (listing.names.n > 0) {
        qsort(listing.names.name, listing.names.n, sizeof(*listing.names.name),
              compare);
    }
    *names_p = listing.names;
    return MOE_OK;
}

void moe_names_fini(moe_names_t *names)
{
    for (size_t i = 0; i < names->n; i++) {
        free(names->name[i]);
    }
    free(names->name);
    *names = (moe_names_t){0};
}
