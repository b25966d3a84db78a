/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support.h"

#include "tests/scenarios.h"

#include "base/outfile.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static char *all_text(const moe_diag_t *diag)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(stream);
    moe_diag_print(diag, stream);
    ck_assert_int_eq(fclose(stream), 0);
    return text;
}

moe_scenario_t *moe_load_good(const char *path, const moe_change_t *changes,
                              size_t n, int ranks)
{
    moe_diag_t *diag = moe_diag_create();
    moe_scenario_t *scenario = NULL;
    moe_status_t status =
        moe_scenario_load(path, changes, n, ranks, diag, &scenario);
    char *text = all_text(diag);

    ck_assert_msg(status == MOE_OK, "%s: %s", path == NULL ? "" : path, text);
    ck_assert_str_eq(text, "");
    free(text);
    moe_diag_free(diag);
    return scenario;
}

char *moe_load_bad(const char *path, const moe_change_t *changes, size_t n,
                   int ranks)
{
    moe_diag_t *diag = moe_diag_create();
    moe_scenario_t *scenario = NULL;
    moe_status_t status =
        moe_scenario_load(path, changes, n, ranks, diag, &scenario);
    char *text = all_text(diag);

    ck_assert_int_eq(status == MOE_OK, moe_diag_count(diag) == 0);
    ck_assert(status == MOE_OK || status == MOE_ERR_INPUT);
    ck_assert_int_eq(status == MOE_OK, scenario != NULL);
    moe_scenario_free(scenario);
    moe_diag_free(diag);
    return text;
}

char *moe_print_to_text(const moe_scenario_t *scenario)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(stream);
    ck_assert_int_eq(moe_scenario_print(scenario, stream), MOE_OK);
    ck_assert_int_eq(fclose(stream), 0);
    return text;
}

char *moe_make_file(const char *name, const void *text, size_t size)
{
    char folder[] = "/tmp/moesim-test-XXXXXX";
    char *path;
    FILE *stream;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    path = moe_strdup_printf("%s/%s", folder, name);
    ck_assert_ptr_nonnull(path);
    stream = fopen(path, "wb");
    ck_assert_ptr_nonnull(stream);
    ck_assert_uint_eq(fwrite(text, 1, size, stream), size);
    ck_assert_int_eq(fclose(stream), 0);
    return path;
}

void moe_drop_file(char *path)
{
    *strrchr(path, '/') = '\0';
    moe_remove_tree(path);
    free(path);
}
