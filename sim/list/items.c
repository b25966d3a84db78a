/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lists of what is built in.
 */
#include "sim/list/list.h"

#include "moe/chain.h"
#include "moe/run_method.h"
#include "ref/elements.h"
#include "ref/mpi/injection.h"
#include "sim/methods/registry.h"
#include "sim/report/method_json.h"
#include "sim/scenario/schema.h"

#include <stdio.h>
#include <string.h>

moe_status_t moe_list_add(json_t *items, json_t *item)
{
    if (!moe_json_append(items, item)) {
        return moe_fail(MOE_ERR_NOMEM, "out of memory for a list");
    }
    return MOE_OK;
}

static json_t *method_options(const moe_method_t *method)
{
    const moe_option_t *option = method->options;
    json_t *list = json_array();

    for (; option != NULL && option->key != NULL; ++option) {
        (void)moe_json_append(
            list,
            json_pack("{s:s, s:s, s:s, s:s}", "key", option->key, "choices",
                      option->choices != NULL ? option->choices : "", "default",
                      option->standard != NULL ? option->standard : "hidden",
                      "text", option->text));
    }
    return list;
}

/* Formats in which rows go to the experts. */
static const char *dispatch_formats(const moe_method_t *method)
{
    for (const moe_option_t *o = method->options; o->key != NULL; ++o) {
        if (strcmp(o->key, "dispatch") == 0) {
            return o->choices;
        }
    }
    return "that of hidden";
}

moe_status_t moe_list_methods(json_t *items, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;
    int i;

    (void)diag;
    for (i = 0; i < moe_method_count() && status == MOE_OK; ++i) {
        const moe_method_t *m = moe_method_get(i);
        const moe_method_numbers_t n = moe_method_numbers(m);

        status = moe_list_add(
            items,
            json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, "
                      "s:s, s:s, s:s, s:b, s:b, s:o}",
                      "name", m->name, "system", m->system, "source", m->source,
                      "how", m->how, "family", moe_method_family(m),
                      "collectives", m->collectives, "rounding", n.points,
                      "sum_order", n.sum, "combine_order", n.reduce, "weighted",
                      n.weigh, "payload", m->formula, "test", m->test, "needs",
                      m->needs != NULL ? m->needs : "nothing", "dispatch",
                      dispatch_formats(m), "capturable", (int)m->capturable,
                      "drops", (int)moe_method_can_drop(m), "options",
                      method_options(m)));
    }
    return status;
}

/* What else a format may be called, separated by blanks. */
static const char *format_aliases(moe_format_t format, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; moe_format_alias(i) != NULL; ++i) {
        moe_format_t meant;

        if (moe_format_find(moe_format_alias(i), &meant) && meant == format &&
            used < size) {
            used += (size_t)snprintf(out + used, size - used, "%s%s",
                                     used > 0 ? " " : "", moe_format_alias(i));
        }
    }
    return out;
}

moe_status_t moe_list_formats(json_t *items, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;
    int i;

    (void)diag;
    for (i = 0; i < MOE_FORMAT_COUNT && status == MOE_OK; ++i) {
        const moe_format_info_t *f = moe_format_info((moe_format_t)i);
        char other[128];

        status = moe_list_add(
            items,
            json_pack("{s:s, s:s, s:s, s:i, s:s, s:b, s:s}", "name", f->name,
                      "aliases",
                      format_aliases((moe_format_t)i, other, sizeof(other)),
                      "code", moe_dtype_name(f->code), "block", f->block,
                      "scale", moe_dtype_name(f->scale), "global",
                      (int)f->has_global, "text", f->text));
    }
    return status;
}

moe_status_t moe_list_elements(json_t *items, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;
    int i;

    (void)diag;
    for (i = MOE_DTYPE_none + 1; i < MOE_DTYPE_COUNT && status == MOE_OK; ++i) {
        moe_dtype_t t = (moe_dtype_t)i;

        status = moe_list_add(items, json_pack("{s:s, s:i, s:s, s:s}", "name",
                                               moe_dtype_name(t), "bits",
                                               moe_dtype_bits(t), "safetensors",
                                               moe_dtype_safetensors(t), "text",
                                               moe_dtype_text(t)));
    }
    return status;
}

moe_status_t moe_list_conversions(json_t *items, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;
    int i;

    (void)diag;
    for (i = 0; i < MOE_CONVERSION_COUNT && status == MOE_OK; ++i) {
        const moe_conversion_info_t *c =
            moe_conversion_info((moe_conversion_t)i);

        status = moe_list_add(
            items, json_pack("{s:s, s:s, s:s}", "name", c->name, "element",
                             moe_dtype_name(c->dtype), "text", c->text));
    }
    return status;
}

moe_status_t moe_list_profiles(json_t *items, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;
    int i;

    (void)diag;
    for (i = 0; i < MOE_PROFILE_COUNT && status == MOE_OK; ++i) {
        moe_profile_t p = (moe_profile_t)i;

        status = moe_list_add(
            items,
            json_pack("{s:s, s:s, s:s}", "name", moe_profile_name(p), "format",
                      p == MOE_PROFILE_none
                          ? "-"
                          : moe_format_name(moe_profile_format(p)),
                      "text", moe_profile_text(p)));
    }
    return status;
}

moe_status_t moe_list_operations(json_t *items, moe_diag_t *diag)
{
    static const char *const planes[] = {[MOE_PLANE_LOCAL] = "local",
                                         [MOE_PLANE_COLLECTIVE] = "collective",
                                         [MOE_PLANE_HOST] = "host"};
    moe_status_t status = MOE_OK;
    int i;

    (void)diag;
    for (i = 0; i < MOE_OP_COUNT && status == MOE_OK; ++i) {
        moe_op_t op = (moe_op_t)i;

        status = moe_list_add(items, json_pack("{s:s, s:s, s:s}", "name",
                                               moe_op_name(op), "plane",
                                               planes[moe_op_plane(op)], "text",
                                               moe_op_text(op)));
    }
    return status;
}

moe_status_t moe_list_injections(json_t *items, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;
    int i;

    (void)diag;
    for (i = 0; i < MOE_INJECTION_COUNT && status == MOE_OK; ++i) {
        moe_injection_kind_t kind = (moe_injection_kind_t)i;

        status =
            moe_list_add(items, json_pack("{s:s, s:s, s:s}", "name",
                                          moe_injection_name(kind), "where",
                                          moe_injection_where(kind), "text",
                                          moe_injection_text(kind)));
    }
    return status;
}

moe_status_t moe_list_keys(json_t *items, moe_diag_t *diag)
{
    moe_status_t status = MOE_OK;
    size_t i;

    (void)diag;
    for (i = 0; i < moe_schema_count() && status == MOE_OK; ++i) {
        const moe_key_t *key = moe_schema_get(i);
        const char *place = moe_section_place(key->section);
        char path[128];

        (void)snprintf(path, sizeof(path), "%s%s%s", place,
                       *place != '\0' ? "." : "", key->key);
        status = moe_list_add(
            items,
            json_pack("{s:s, s:s, s:s, s:s, s:s}", "name", path, "type",
                      moe_type_name(key->type), "unit", key->unit, "default",
                      key->standard == NULL ? "(required)" : key->standard,
                      "text", key->text));
    }
    return status;
}
