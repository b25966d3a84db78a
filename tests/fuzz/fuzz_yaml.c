/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * Any text is a YAML tree or refused with a reason; so is any change of it.
 */
#include "config.h"

#include "base/yaml_value.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>
#include <string.h>

/* Every accessor of a value; depth is that of the node, from 1. */
static void walk(const moe_yaml_node_t *node, int depth)
{
    const char *text = NULL;
    int64_t i = 0;
    double d = 0.0;
    bool b;

    fuzz_check(depth <= MOE_YAML_MAX_DEPTH + 1, "depth is bounded");
    fuzz_check((node->kind == MOE_YAML_SCALAR) == (node->text != NULL),
               "scalars have text");
    if (moe_yaml_i64(node, &i) == NULL) {
        fuzz_check(moe_yaml_double(node, &d) == NULL, "integers are numbers");
        fuzz_check(fabs(d - (double)i) <= 1024.0, "and the same ones");
    }
    fuzz_check(moe_yaml_double(node, &d) != NULL || isfinite(d),
               "numbers are finite");
    (void)moe_yaml_bool(node, &b);
    (void)moe_yaml_text(node, &text);
    for (size_t k = 0; k < node->n; k++) {
        if (node->kind == MOE_YAML_MAP && node->n < 1000) {
            fuzz_check(moe_yaml_get(node, node->key[k]) == node->item[k],
                       "keys are unique");
        }
        walk(node->item[k], depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    moe_diag_t *diag = moe_diag_create();
    moe_yaml_doc_t *doc = NULL;
    moe_status_t status;
    fuzz_text_t t;

    fuzz_check(diag != NULL, "memory suffices");
    fuzz_text_init(&t, data, size);
    status = moe_yaml_parse("f", t.text, t.size, diag, &doc);
    fuzz_check((status == MOE_OK) == (doc != NULL), "a tree or none");
    fuzz_check(status == MOE_OK || moe_diag_count(diag) > 0, "a reason");
    if (doc == NULL) {
        doc = moe_yaml_create();
        fuzz_check(doc != NULL, "memory suffices");
    }
    for (size_t i = 0; i < t.n; i++) {
        size_t before = moe_diag_count(diag);

        status = moe_yaml_set(doc, t.path[i], t.value[i], diag);
        fuzz_check(status == MOE_OK || moe_diag_count(diag) > before,
                   "a reason why it cannot be set");
    }
    walk(moe_yaml_root(doc), 1);
    for (size_t i = 0; moe_diag_text(diag, i) != NULL; i++) {
        fuzz_check(strpbrk(moe_diag_text(diag, i), "\n\r\x1b") == NULL,
                   "a problem is one line");
    }
    moe_yaml_free(doc);
    moe_diag_free(diag);
    fuzz_text_fini(&t);
    return 0;
}
