/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/scenario/field_print.h"
#include "sim/scenario/number.h"
#include "sim/scenario/parts.h"
#include "sim/scenario/yaml_print.h"

#include <string.h>

/* Place of the chain that a key of precision names. */
static moe_role_t role_of(const char *key)
{
    for (int i = 0; i < MOE_ROLE_COUNT; i++) {
        if (strcmp(moe_role_name((moe_role_t)i), key) == 0) {
            return (moe_role_t)i;
        }
    }
    return MOE_ROLE_none;
}

/* What a storage's profile and global scale are by default. */
static moe_storage_t standard_of(moe_format_t format, moe_role_t role,
                                 moe_data_t data)
{
    moe_storage_t storage = {.format = format};

    moe_storage_default(&storage, moe_data_bound(data, moe_chain_bound(role)));
    return storage;
}

static void print_storage(const moe_printer_t *p, const moe_key_t *key,
                          const moe_storage_t *storage, moe_data_t data)
{
    const moe_storage_t standard =
        standard_of(storage->format, role_of(key->key), data);
    const bool same_format =
        strcmp(moe_format_name(storage->format), key->standard) == 0;
    char number[32];

    (void)fprintf(p->stream, "  %s:", key->key);
    if (storage->profile == MOE_PROFILE_none) {
        (void)fprintf(p->stream, " %s", moe_format_name(storage->format));
        moe_print_why(p, key, same_format);
        return;
    }
    (void)fprintf(p->stream, "\n    format: %s",
                  moe_format_name(storage->format));
    moe_print_why(p, key, same_format);
    (void)fprintf(p->stream, "    profile: %s",
                  moe_profile_name(storage->profile));
    moe_print_why(p, moe_schema_find(MOE_SECTION_storage, "profile"),
                  storage->profile == standard.profile);
    if (!moe_format_info(storage->format)->has_global) {
        return;
    }
    moe_number_text_float(storage->global_scale, number, sizeof(number));
    (void)fprintf(p->stream, "    global_scale: %s", number);
    moe_print_why(p, moe_schema_find(MOE_SECTION_storage, "global_scale"),
                  !(storage->global_scale < standard.global_scale) &&
                      !(storage->global_scale > standard.global_scale));
}

void moe_print_precision(const moe_printer_t *p, const moe_scenario_t *s)
{
    const moe_chain_t *chain = &s->layer.chain;
    const moe_key_t *key;
    moe_storage_t weights = {.format = chain->weights};

    (void)fprintf(p->stream, "precision:\n");
    for (size_t i = 0; i < moe_schema_count(); i++) {
        key = moe_schema_get(i);
        if (key->section != MOE_SECTION_precision) {
            continue;
        }
        if (strcmp(key->key, "profile") == 0) {
            (void)fprintf(p->stream, "  profile: %s",
                          moe_profile_word(chain->profile));
            moe_print_why(p, key, chain->profile == 0);
        } else if (strcmp(key->key, "weights") == 0) {
            (void)fprintf(p->stream, "  weights: %s",
                          moe_format_name(weights.format));
            moe_print_why(
                p, key,
                strcmp(moe_format_name(weights.format), key->standard) == 0);
        } else {
            print_storage(p, key, &chain->at[role_of(key->key)], s->layer.data);
        }
    }
}

static void print_option(const moe_printer_t *p, const moe_method_use_t *use,
                         const moe_method_use_t *standard, int i)
{
    const moe_option_t *option = &use->method->options[i];
    const bool same = use->options[i] == standard->options[i];
    char text[MOE_OPTION_TEXT];

    (void)fprintf(p->stream, "      %s: %s", option->key,
                  moe_option_text(option, use->options[i], text));
    if (p->comments && same) {
        (void)fprintf(p->stream, "  # default: %s",
                      option->standard == NULL ? "the format of hidden"
                      : strcmp(option->key, "combine") == 0
                          ? "precision.combine"
                          : option->text);
    }
    (void)fputc('\n', p->stream);
}

/* A label that the method has anyway is only told of: it goes with the
 * options that differ, which a sweep may change. */
static void print_label(const moe_printer_t *p, const moe_scenario_t *s,
                        size_t k)
{
    const char *label = s->method[k].label;
    char standard[MOE_NAME_MAX];
    bool same;

    moe_scenario_label_standard(s, k, standard, sizeof(standard));
    same = strcmp(label, standard) == 0;
    if (!same || p->comments) {
        (void)fprintf(p->stream, "      %slabel: ", same ? "# " : "");
        moe_yaml_print_text(label, p->stream);
        (void)fputs(same ? ", by default: the method, and what differs from "
                           "its other entries\n"
                         : "\n",
                    p->stream);
    }
}

static void print_own_layout(const moe_printer_t *p,
                             const moe_method_use_t *use)
{
    if (use->tokens != NULL) {
        (void)fprintf(p->stream, "      layout: {dp: %d, tp: %d, ep: %d}\n",
                      use->layout.dp, use->layout.tp, use->layout.ep);
    }
}

void moe_print_methods(const moe_printer_t *p, const moe_scenario_t *s)
{
    const moe_method_use_t *use;
    moe_method_use_t standard;

    (void)fprintf(p->stream, "methods:\n");
    for (size_t k = 0; k < s->n_methods; k++) {
        use = &s->method[k];
        moe_method_use_start(&s->layer, use->method, &standard);
        if (use->method->options[0].key == NULL && use->label[0] != '\0') {
            (void)fprintf(p->stream, "  - %s: {label: ", use->method->name);
            moe_yaml_print_text(use->label, p->stream);
            (void)fputs("}\n", p->stream);
            continue;
        }
        (void)fprintf(p->stream, "  - %s:\n", use->method->name);
        print_label(p, s, k);
        print_own_layout(p, use);
        for (int i = 0; use->method->options[i].key != NULL; i++) {
            print_option(p, use, &standard, i);
        }
    }
}
