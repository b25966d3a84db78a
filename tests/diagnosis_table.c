/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/diagnosis_table.h"

#include "ref/fault_inside.h"
#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LINE = 1024
};

bool diagnosis_same(const moe_ref_layer_t *a, const moe_ref_layer_t *b)
{
    for (int r = 0; r < MOE_ROLE_COUNT; r++) {
        if (a->held[r] && !moe_ref_fault_same(&a->at[r], &b->at[r])) {
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

/* The word for what was found of a mistake; text is room for it. */
static const char *outcome(const moe_diagnosis_t *d, moe_fault_kind_t kind,
                           char *text)
{
    if (d->good) {
        return "unnoticed";
    }
    if (!moe_diagnosis_is_named(d)) {
        return has_suspect(d, kind) ? "ambiguous" : "detected";
    }
    if (!has_suspect(d, kind)) {
        (void)snprintf(text, LINE, "WRONG %s",
                       moe_fault_name(d->suspect[0].kind));
        return text;
    }
    if (d->n_suspects == 1) {
        return "named";
    }
    (void)snprintf(text, LINE, "same");
    for (int i = 0; i < d->n_suspects; i++) {
        if (d->suspect[i].kind != kind) {
            (void)snprintf(text + strlen(text), LINE - strlen(text), " %s",
                           moe_fault_name(d->suspect[i].kind));
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

static bool is_expected(const char *line)
{
    FILE *file = open_table();
    char text[2 * LINE];
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

/* case,mistake,place,with all stages,with the final output */
static void cell(const diagnosis_table_t *table, moe_fault_t fault, char *line)
{
    static const char *const words[] = {"meaningless", "no-effect"};
    char text[2][LINE] = {"", ""};
    const diagnosis_effect_t effect = table->spoil(table->self, fault);
    const char *found[2];
    moe_diagnosis_t d;

    for (int i = 0; i < 2; i++) {
        if (effect == DIAGNOSIS_changed) {
            table->examine(table->self, i == 0, &d);
            found[i] = outcome(&d, fault.kind, text[i]);
        } else {
            found[i] = words[effect];
        }
    }
    (void)snprintf(line, LINE, "%s,%s,%s,%s,%s", table->name,
                   moe_fault_name(fault.kind), moe_role_name(fault.role),
                   found[0], found[1]);
}

static const char *shown(void)
{
    return getenv("MOESIM_DIAGNOSIS_SHOW");
}

bool diagnosis_is_asked(const char *name)
{
    return shown() == NULL || strcmp(shown(), name) == 0;
}

void diagnosis_compare(const diagnosis_table_t *table)
{
    int unexpected = 0;
    char line[LINE];

    for (int k = MOE_FAULT_none + 1; k < MOE_FAULT_COUNT; k++) {
        const moe_fault_kind_t kind = (moe_fault_kind_t)k;

        if (shown() == NULL && !table->is_tried(table->self, kind)) {
            continue;
        }
        for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_output; r++) {
            const moe_fault_t fault = {.kind = kind, .role = (moe_role_t)r};

            if (!moe_fault_is_at(kind, fault.role) ||
                !table->has_place(table->self, fault.role)) {
                continue;
            }
            cell(table, fault, line);
            if (shown() != NULL) {
                printf("%s\n", line);
            } else if (!is_expected(line)) {
                printf("not in the table: %s\n", line);
                (void)fflush(stdout); /* a test that fails leaves at once */
                unexpected++;
            }
            ck_assert_msg(strstr(line, "WRONG") == NULL, "%s", line);
        }
    }
    ck_assert_int_eq(unexpected, 0);
}
