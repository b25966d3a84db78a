/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/diagnosis_table.h"

#include "ref/formats.h"
#include "tests/support.h"

#include <stdio.h>
#include <string.h>

static size_t bytes_of(const moe_rows_t *rows)
{
    return (size_t)(rows->rows * moe_rows_code_bytes(rows));
}

static bool same_rows(const moe_rows_t *a, const moe_rows_t *b)
{
    const moe_format_info_t *info = moe_format_info(a->storage.format);
    const int64_t scales = a->rows *
                           moe_format_scale_cols(a->storage.format, a->cols) *
                           (moe_dtype_bits(info->scale) / 8);

    return a->rows == b->rows && memcmp(a->codes, b->codes, bytes_of(a)) == 0 &&
           (a->scales == NULL ||
            memcmp(a->scales, b->scales, (size_t)scales) == 0);
}

bool diagnosis_same(const moe_ref_layer_t *a, const moe_ref_layer_t *b)
{
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        if (a->held[r] && !same_rows(&a->at[r], &b->at[r])) {
            return false;
        }
    }
    return true;
}

static bool has_suspect(const moe_diagnosis_t *d, moe_fault_kind_t kind)
{
    for (int i = 0; i < d->n_suspects; i++) {
        if (d->suspect[i].kind == kind) {
            return true;
        }
    }
    return false;
}

const char *diagnosis_outcome(const moe_diagnosis_t *d, moe_fault_kind_t kind,
                              char *text)
{
    if (d->good) {
        return "unnoticed";
    }
    if (!moe_diagnosis_is_named(d)) {
        return has_suspect(d, kind) ? "ambiguous" : "detected";
    }
    if (!has_suspect(d, kind)) {
        (void)snprintf(text, DIAGNOSIS_LINE, "WRONG %s",
                       moe_fault_name(d->suspect[0].kind));
        return text;
    }
    if (d->n_suspects == 1) {
        return "named";
    }
    (void)snprintf(text, DIAGNOSIS_LINE, "same");
    for (int i = 0; i < d->n_suspects; i++) {
        if (d->suspect[i].kind != kind) {
            (void)snprintf(text + strlen(text), DIAGNOSIS_LINE - strlen(text),
                           " %s", moe_fault_name(d->suspect[i].kind));
        }
    }
    return text;
}

/* The table, its lines in the order of cases, mistakes, places. */
static FILE *open_table(void)
{
    FILE *file = fopen(moe_test_source("tests/diagnosis_expected.csv"), "r");

    ck_assert_ptr_nonnull(file);
    return file;
}

bool diagnosis_is_expected(const char *line)
{
    FILE *file = open_table();
    char text[2 * DIAGNOSIS_LINE];
    const size_t n = strlen(line);
    bool found = false;

    while (!found && fgets(text, sizeof(text), file) != NULL) {
        /* the reason follows, and is there */
        found = strncmp(text, line, n) == 0 && text[n] == ',' &&
                (strstr(line, ",named,named") != NULL || text[n + 1] != '\n');
    }
    (void)fclose(file);
    return found;
}
