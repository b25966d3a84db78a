/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds a report file to the list of fields, for the end-to-end tests:
 * report_judge FILE; exit status 0 if it is good.
 */
#include "reports/schema.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    moe_diag_t *diag = moe_diag_create();
    json_error_t error;
    json_t *document;
    bool good;

    if (argc != 2 || diag == NULL) {
        return 2;
    }
    document = json_load_file(argv[1], JSON_REJECT_DUPLICATES, &error);
    if (document == NULL) {
        fprintf(stderr, "%s:%d: %s\n", argv[1], error.line, error.text);
        return 1;
    }
    good = moe_report_check(document, diag);
    moe_diag_print(diag, stderr);
    moe_diag_free(diag);
    json_decref(document);
    return good ? 0 : 1;
}
