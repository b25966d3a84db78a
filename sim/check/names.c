/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/check/names.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHOWN = 6,  /* names in a message */
    NAME = 48,  /* bytes of one */
    LIST = 400, /* of all; a warning has 512 */
    FULL = 32   /* of a known name */
};

/* Other tensors of a golden file: doc/golden.md. */
static const char *const others[] = {"location",
                                     "expert_counts",
                                     "aux_loss",
                                     "aux_loss.abs",
                                     "src_rank",
                                     "src_token",
                                     "slot",
                                     "expert",
                                     "valid_rows",
                                     "router",
                                     "router.abs",
                                     "bias",
                                     "bias.abs",
                                     "w13",
                                     "w13.abs",
                                     "w13.scale",
                                     "w13.decode_scale",
                                     "w13.bias",
                                     "w13.bias.abs",
                                     "w2",
                                     "w2.abs",
                                     "w2.scale",
                                     "w2.decode_scale",
                                     "w2.bias",
                                     "w2.bias.abs",
                                     "physical_expert",
                                     "physical_ids"};
static const char *const suffixes[] = {"", ".abs", ".scale", ".decode_scale"};

enum {
    OTHERS = sizeof(others) / sizeof(others[0]),
    SUFFIXES = sizeof(suffixes) / sizeof(suffixes[0]),
    ROLES = MOE_ROLE_output - MOE_ROLE_hidden + 1,
    KNOWN = OTHERS + SUFFIXES * ROLES
};

/* Names that are known. */
typedef struct {
    char room[SUFFIXES * ROLES][FULL];
    const char **name; /* [n] those of a golden file, then REF's */
    size_t n;
    size_t golden; /* of a golden file */
} known_t;

/* Text that grows; what has no room is left out. */
typedef struct {
    char text[LIST];
    size_t used;
} list_t;

static void say(list_t *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(list_t *list, const char *format, ...)
{
    va_list ap;
    int n;

    va_start(ap, format);
    n = vsnprintf(list->text + list->used, LIST - list->used, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= LIST - list->used) {
        list->text[list->used] = '\0';
    } else {
        list->used += (size_t)n;
    }
}

static moe_status_t list_known(bool golden, const moe_safetensors_t *ref,
                               known_t *known)
{
    const size_t n_ref = moe_safetensors_count(ref);
    size_t n = 0;

    known->name = calloc(KNOWN + n_ref, sizeof(*known->name));
    if (known->name == NULL) {
        return moe_fail(MOE_ERR_NOMEM, "no memory for names");
    }
    for (int i = 0; golden && i < SUFFIXES * ROLES; i++) {
        (void)snprintf(known->room[i], FULL, "%s%s",
                       moe_role_name((moe_role_t)(MOE_ROLE_hidden + i % ROLES)),
                       suffixes[i / ROLES]);
        known->name[n++] = known->room[i];
    }
    for (int i = 0; golden && i < OTHERS; i++) {
        known->name[n++] = others[i];
    }
    known->golden = n;
    for (size_t i = 0; i < n_ref; i++) {
        known->name[n++] = moe_safetensors_get(ref, i)->name;
    }
    known->n = n;
    return MOE_OK;
}

static bool is_known(const known_t *known, const moe_safetensors_t *ref,
                     const char *name)
{
    bool found = moe_safetensors_find(ref, name) != NULL;

    for (size_t i = 0; !found && i < known->golden; i++) {
        found = strcmp(name, known->name[i]) == 0;
    }
    return found;
}

static void say_name(list_t *list, const known_t *known, const char *name)
{
    const char *near =
        known != NULL ? moe_nearest(name, known->name, known->n) : NULL;
    char safe[NAME];

    moe_text_escape(name, safe, sizeof(safe));
    say(list, "%s%s", list->used > 0 ? ", " : "", safe);
    if (near != NULL) {
        moe_text_escape(near, safe, sizeof(safe));
        say(list, " (%s?)", safe);
    }
}

moe_status_t moe_check_names(moe_check_t *check, const moe_golden_rank_t *rank,
                             const moe_safetensors_t *ref,
                             const moe_safetensors_t *got)
{
    known_t known = {0};
    list_t list = {0};
    char who[FULL] = "";
    size_t n = 0;
    moe_status_t status = list_known(rank != NULL, ref, &known);

    for (size_t i = 0; status == MOE_OK && i < moe_safetensors_count(got);
         i++) {
        const char *name = moe_safetensors_get(got, i)->name;

        if (!is_known(&known, ref, name) && n++ < SHOWN) {
            say_name(&list, &known, name);
        }
    }
    if (n > SHOWN) {
        say(&list, " and %zu more", n - SHOWN);
    }
    if (rank != NULL) {
        (void)snprintf(who, sizeof(who), "rank %d: ", rank->rank);
    }
    free(known.name);
    return status == MOE_OK && n > 0
               ? moe_check_warn(check,
                                "%sunknown names in GOT, not checked: %s", who,
                                list.text)
               : status;
}

moe_status_t moe_check_absent(moe_check_t *check, const moe_safetensors_t *ref,
                              const moe_safetensors_t *got)
{
    list_t list = {0};
    size_t n = 0;

    for (size_t i = 0; i < moe_safetensors_count(ref); i++) {
        const char *name = moe_safetensors_get(ref, i)->name;

        if (moe_safetensors_find(got, name) == NULL && n++ < SHOWN) {
            say_name(&list, NULL, name);
        }
    }
    if (n > SHOWN) {
        say(&list, " and %zu more", n - SHOWN);
    }
    return n > 0
               ? moe_check_warn(check, "not in GOT, not checked: %s", list.text)
               : MOE_OK;
}

moe_status_t moe_check_refuse(moe_check_t *check, const moe_golden_rank_t *rank,
                              const char *path)
{
    list_t has = {0};
    list_t expected = {0};
    moe_safetensors_t *file;
    moe_status_t status = moe_safetensors_open(path, &file);
    size_t n;

    (void)check;
    (void)rank;
    if (status != MOE_OK) {
        return status;
    }
    n = moe_safetensors_count(file);
    for (size_t i = 0; i < n && i < SHOWN; i++) {
        say_name(&has, NULL, moe_safetensors_get(file, i)->name);
    }
    if (n > SHOWN) {
        say(&has, " and %zu more", n - SHOWN);
    }
    for (int r = MOE_ROLE_hidden; r <= MOE_ROLE_output; r++) {
        say_name(&expected, NULL, moe_role_name((moe_role_t)r));
    }
    moe_safetensors_close(file);
    return moe_fail(MOE_ERR_INPUT,
                    "%s has none of the tensors of a layer: it has %s; "
                    "expected any of %s (doc/golden.md)",
                    path, n > 0 ? has.text : "no tensor", expected.text);
}

static moe_status_t add(moe_check_t *check, const moe_golden_rank_t *rank,
                        const char *name, const char *kind, const char *what)
{
    json_t *finding =
        moe_check_finding(name, rank != NULL ? rank->rank : -1, false, kind);

    if (finding != NULL) {
        (void)json_object_set_new(finding, "what", json_string(what));
    }
    return moe_check_add(check, finding);
}

moe_status_t moe_check_add_missing(moe_check_t *check,
                                   const moe_golden_rank_t *rank,
                                   const char *called)
{
    char *what = moe_strdup_printf("%s has no %s, rank %d is not checked; "
                                   "--only-rank N: one rank alone",
                                   called, rank->file, rank->rank);
    moe_status_t status =
        what == NULL ? moe_fail(MOE_ERR_NOMEM, "no memory for a finding")
                     : add(check, rank, "file", "missing", what);

    free(what);
    return status;
}

static bool is_float16(moe_dtype_t type)
{
    return type == MOE_DTYPE_bf16 || type == MOE_DTYPE_fp16;
}

bool moe_check_same_type(const moe_safetensor_t *a, const moe_safetensor_t *b)
{
    return a->dtype == b->dtype ||
           (a->dtype == MOE_DTYPE_u16 && is_float16(b->dtype)) ||
           (b->dtype == MOE_DTYPE_u16 && is_float16(a->dtype));
}

static void say_shape(list_t *list, const moe_safetensor_t *t)
{
    say(list, "%s [", moe_dtype_safetensors(t->dtype));
    for (int d = 0; d < t->ndim; d++) {
        say(list, "%s%lld", d > 0 ? ", " : "", (long long)t->dim[d]);
    }
    say(list, "]");
}

moe_status_t moe_check_add_shape(moe_check_t *check,
                                 const moe_golden_rank_t *rank,
                                 const moe_safetensor_t *is, const char *called,
                                 const moe_safetensor_t *other)
{
    list_t what = {0};

    say(&what, "is ");
    say_shape(&what, is);
    say(&what, ", %s has ", called);
    say_shape(&what, other);
    return add(check, rank, is->name,
               moe_check_same_type(is, other) ? "shape" : "type", what.text);
}
