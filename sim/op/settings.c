/* SPDX-License-Identifier: Apache-2.0 */
/* What is said on the command line about an operation. */
#include "sim/op/op.h"

#include "ref/elements.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char *const settings_of[MOE_OPTOOL_COUNT] = {
#define MOE_OPTOOL(id, name, in, out, settings, text)                          \
    [MOE_OPTOOL_##id] = settings,
#include "sim/op/op.def"
#undef MOE_OPTOOL
};

const char *moe_tool_setting(const moe_tool_job_t *job, const char *key)
{
    const moe_command_t *c = job->command;

    for (size_t i = c->n_changes; i-- > 0;) {
        if (strcmp(c->change[i].path, key) == 0) {
            return c->change[i].value;
        }
    }
    return NULL;
}

void moe_tool_wrong(moe_tool_job_t *job, const char *key, const char *format,
                    ...)
{
    char text[512];
    va_list ap;

    va_start(ap, format);
    (void)vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    moe_diag_add(job->diag, NULL, 0, 0, key, "%s", text);
}

int64_t moe_tool_number(moe_tool_job_t *job, const char *key, int64_t least,
                        int64_t most, int64_t standard)
{
    const char *text = moe_tool_setting(job, key);
    char *end;
    long long n;

    if (text == NULL) {
        return standard;
    }
    errno = 0;
    n = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || n < least || n > most) {
        moe_tool_wrong(job, key,
                       "is '%s', expected an integer from %lld to %lld", text,
                       (long long)least, (long long)most);
        return standard;
    }
    return n;
}

float moe_tool_positive(moe_tool_job_t *job, const char *key, float standard)
{
    const char *text = moe_tool_setting(job, key);
    char *end;
    float x;

    if (text == NULL) {
        return standard;
    }
    x = strtof(text, &end);
    if (end == text || *end != '\0' || !(x > 0.0f) || isinf(x)) {
        moe_tool_wrong(job, key, "is '%s', expected a finite number above 0",
                       text);
        return standard;
    }
    return x;
}

int moe_tool_choice(moe_tool_job_t *job, const char *key, int n,
                    const char *(*name)(int i), int standard)
{
    const char *text = moe_tool_setting(job, key);
    char list[256] = "";

    if (text == NULL) {
        return standard;
    }
    for (int i = 0; i < n; i++) {
        size_t used = strlen(list);

        if (strcmp(name(i), text) == 0) {
            return i;
        }
        (void)snprintf(list + used, sizeof(list) - used, "%s%s",
                       i > 0 ? ", " : "", name(i));
    }
    moe_tool_wrong(job, key, "is '%s', expected one of %s", text, list);
    return standard;
}

moe_format_t moe_tool_format(moe_tool_job_t *job, const char *option,
                             const char *given, moe_format_t standard)
{
    moe_format_t format = standard;

    if (given == NULL && standard == MOE_FORMAT_COUNT) {
        moe_tool_wrong(job, option,
                       "is missing, expected a format, see 'list "
                       "formats'");
        return MOE_FORMAT_bf16;
    }
    if (given != NULL && !moe_format_find(given, &format)) {
        moe_tool_wrong(job, option,
                       "is '%s', expected a format, see 'list "
                       "formats'",
                       given);
        return MOE_FORMAT_bf16;
    }
    return format;
}

/* The number of the setting, else of the tensor. */
static float global_scale(moe_tool_job_t *job)
{
    const float *tensor;

    if (moe_tool_setting(job, "global_scale") != NULL) {
        return moe_tool_positive(job, "global_scale", 1.0f);
    }
    tensor = moe_tool_data(job, "global_scale", MOE_DTYPE_fp32, 1, true);
    if (tensor == NULL) {
        return 1.0f;
    }
    if (!(*tensor > 0.0f) || isinf(*tensor)) {
        moe_diag_add(
            job->diag, job->path, 0, 0, moe_tool_name(job, "global_scale"),
            "is '%g', expected a finite number above 0", (double)*tensor);
    }
    return *tensor;
}

void moe_tool_no_global(moe_tool_job_t *job, const char *arg,
                        moe_format_t format)
{
    const moe_safetensor_t *t = moe_tool_find(job, arg, false, "");
    char expected[96];

    if (t != NULL) {
        (void)snprintf(expected, sizeof(expected),
                       "none: %s has no global scale", moe_format_name(format));
        moe_tool_refuse(job, t, expected);
    }
}

/* Neither as a setting nor as a tensor. */
static void no_global_scale(moe_tool_job_t *job, moe_format_t format)
{
    const char *text = moe_tool_setting(job, "global_scale");

    if (text != NULL) {
        moe_tool_wrong(job, "global_scale",
                       "is '%s', expected none: %s has no global scale", text,
                       moe_format_name(format));
    }
    moe_tool_no_global(job, "global_scale", format);
}

moe_storage_t moe_tool_storage(moe_tool_job_t *job, moe_format_t format)
{
    const char *word = moe_tool_setting(job, "precision.profile");
    moe_storage_t storage = {.format = format,
                             .profile = moe_profile_default(format)};

    if (!moe_format_is_coded(format)) {
        return storage;
    }
    if (word != NULL && !moe_profile_find(word, format, &storage.profile)) {
        moe_tool_wrong(job, "--profile",
                       "is '%s', expected a profile of %s, see 'list profiles'",
                       word, moe_format_name(format));
    }
    if (moe_format_info(format)->has_global) {
        storage.global_scale = global_scale(job);
    } else {
        no_global_scale(job, format);
    }
    return storage;
}

/* True if a list of words has a word. */
static bool has_word(const char *list, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = strstr(list, word); at != NULL;
         at = strstr(at + 1, word)) {
        if ((at == list || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0')) {
            return true;
        }
    }
    return false;
}

void moe_tool_check_settings(moe_tool_job_t *job)
{
    const moe_command_t *c = job->command;
    const char *list = settings_of[job->tool];
    const bool model = has_word(list, "model");

    for (size_t i = 0; i < c->n_changes; i++) {
        const char *key = c->change[i].path;

        if (strcmp(key, "precision.profile") == 0 || has_word(list, key) ||
            (model && moe_tool_is_scenario_key(key))) {
            continue;
        }
        moe_tool_wrong(job, key, "is no setting of this operation, expected %s",
                       *list != '\0' ? list : "none");
    }
}
