/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_check(int holds, const char *property)
{
    if (!holds) {
        (void)fprintf(stderr, "does not hold: %s\n", property);
        abort();
    }
}

const char *fuzz_file(const uint8_t *data, size_t size)
{
    static char path[64];
    static int fd = -1;
    size_t done = 0;

    if (fd < 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        fuzz_check(fd >= 0, "memory holds files");
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    fuzz_check(ftruncate(fd, 0) == 0, "a file can be emptied");
    while (done < size) {
        ssize_t n = pwrite(fd, data + done, size - done, (off_t)done);

        fuzz_check(n > 0, "a file can be written");
        done += (size_t)n;
    }
    return path;
}

/* Take "#set a.b=c" lines out of t->lines, cutting it up. */
static void find_changes(fuzz_text_t *t)
{
    static const char mark[] = "#set ";
    char *state;

    for (char *line = strtok_r(t->lines, "\n", &state);
         line != NULL && t->n < FUZZ_CHANGES;
         line = strtok_r(NULL, "\n", &state)) {
        char *path = line + sizeof(mark) - 1;
        char *equals = strchr(line, '=');

        if (strncmp(line, mark, sizeof(mark) - 1) == 0 && equals != NULL) {
            *equals = '\0';
            t->path[t->n] = path;
            t->value[t->n] = equals + 1;
            t->n++;
        }
    }
}

void fuzz_text_init(fuzz_text_t *t, const uint8_t *data, size_t size)
{
    memset(t, 0, sizeof(*t));
    t->text = malloc(size + 1);
    t->lines = malloc(size + 1);
    fuzz_check(t->text != NULL && t->lines != NULL, "memory suffices");
    if (size > 0) {
        memcpy(t->text, data, size);
    }
    t->text[size] = '\0';
    t->size = size;
    memcpy(t->lines, t->text, size + 1);
    find_changes(t);
}

void fuzz_text_fini(fuzz_text_t *t)
{
    free(t->text);
    free(t->lines);
}
