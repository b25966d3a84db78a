/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Run each file of a corpus through a harness once: a test without libFuzzer.
 * Arguments: files or folders; none: the harness's own corpus.
 */
#include "config.h"

#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CASE_SECONDS 20 /* a case that takes longer hangs */

static int n_run;

static bool run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    uint8_t *data;
    size_t n;

    if (f == NULL) {
        return false;
    }
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode) ||
        (data = malloc((size_t)st.st_size + 1)) == NULL) {
        (void)fclose(f);
        return false;
    }
    n = fread(data, 1, (size_t)st.st_size, f);
    (void)fclose(f);
    /* the last line printed names the case that broke or hung */
    (void)printf("%s\n", path);
    (void)fflush(stdout);
    (void)alarm(CASE_SECONDS);
    (void)LLVMFuzzerTestOneInput(data, n);
    (void)alarm(0);
    free(data);
    n_run++;
    return true;
}

static bool run_folder(const char *path)
{
    const struct dirent *entry;
    DIR *folder = opendir(path);
    bool ok = folder != NULL;

    while (ok && (entry = readdir(folder)) != NULL) {
        char file[4096];

        (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        ok = entry->d_name[0] == '.' || run_file(file);
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return ok;
}

static bool run_path(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0) {
        return false;
    }
    return S_ISDIR(st.st_mode) ? run_folder(path) : run_file(path);
}

int main(int argc, char **argv)
{
    bool ok = true;

    for (int i = 1; i < argc; i++) {
        ok = run_path(argv[i]) && ok;
    }
    if (argc == 1) {
        ok = run_path(MOESIM_SOURCE_DIR "/" FUZZ_CORPUS);
    }
    ok = ok && n_run > 0;
    (void)printf("suite: %d passed, %d failed, 0 skipped\n", n_run, !ok);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
