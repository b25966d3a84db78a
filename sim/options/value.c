/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/options/options.h"

#include "base/checked.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const colors[] = {"auto", "always", "never"};
static const char *const backends[] = {"ref", "gpu"};

static int choice(moe_parse_t *parse, const char *text,
                  const char *const *words, size_t n)
{
    const char *near;
    size_t i;

    for (i = 0; i < n; ++i) {
        if (strcmp(text, words[i]) == 0) {
            return (int)i;
        }
    }
    near = moe_nearest(text, words, n);
    moe_parse_problem(parse, "is '%s', expected %s%s%s%s", text,
                      parse->option->text, near != NULL ? "; near is '" : "",
                      near != NULL ? near : "", near != NULL ? "'" : "");
    return 0;
}

void moe_parse_color(moe_parse_t *parse, const char *text)
{
    parse->command->color = (moe_color_t)choice(parse, text, colors, 3);
}

void moe_parse_backend(moe_parse_t *parse, const char *text)
{
    parse->command->backend = (moe_run_on_t)choice(parse, text, backends, 2);
}

void moe_parse_ranks(moe_parse_t *parse, const char *text)
{
    char *end;
    long n;

    errno = 0;
    n = strtol(text, &end, 10);
    if (*end != '\0' || errno != 0 || n < 1 || n > 65536) {
        moe_parse_problem(parse, "is '%s', expected 1 to 65536 ranks", text);
        return;
    }
    parse->command->ranks = (int)n;
}

/* Bytes that a suffix stands for; 0 if there is no such suffix. */
static int64_t suffix_bytes(const char *suffix)
{
    static const char letters[] = "KMGT";
    const char *letter;
    int64_t unit = 1;
    bool decimal;
    long i;

    if (*suffix == '\0' || strcmp(suffix, "B") == 0) {
        return 1;
    }
    letter = strchr(letters, *suffix == 'k' ? 'K' : *suffix);
    if (letter == NULL) {
        return 0;
    }
    decimal = strcmp(suffix + 1, "B") == 0;
    if (!decimal && suffix[1] != '\0' && strcmp(suffix + 1, "iB") != 0) {
        return 0;
    }
    for (i = 0; i <= letter - letters; ++i) {
        unit *= decimal ? 1000 : 1024;
    }
    return unit;
}

/* Bytes; 0 if they are none. */
static int64_t size(moe_parse_t *parse, const char *text)
{
    int64_t unit;
    int64_t bytes;
    long long n;
    char *end;

    errno = 0;
    n = strtoll(text, &end, 10);
    unit = end != text ? suffix_bytes(end) : 0;
    if (errno != 0 || n < 1 || unit == 0 || !moe_mul_i64(n, unit, &bytes)) {
        moe_parse_problem(parse,
                          "is '%s', expected a size: a whole number, "
                          "then nothing, KiB, MiB, GiB, kB, MB, ...",
                          text);
        return 0;
    }
    return bytes;
}

void moe_parse_memory_limit(moe_parse_t *parse, const char *text)
{
    parse->command->memory_limit = size(parse, text);
}

void moe_parse_max_bytes(moe_parse_t *parse, const char *text)
{
    parse->command->max_bytes = size(parse, text);
}

void moe_parse_weights(moe_parse_t *parse, const char *text)
{
    static const char *const words[] = {"seed", "local", "none"};

    parse->command->weights =
        (moe_golden_weights_t)choice(parse, text, words, 3);
}

void moe_parse_set(moe_parse_t *parse, const char *text)
{
    const char *equals = strchr(text, '=');
    char *path;

    if (equals == NULL || equals == text) {
        moe_parse_problem(parse, "is '%s', expected KEY.PATH=VALUE", text);
        return;
    }
    path = moe_parse_own(parse, strndup(text, (size_t)(equals - text)));
    if (path != NULL) {
        moe_parse_change(parse, path, equals + 1);
    }
}

void moe_parse_method(moe_parse_t *parse, const char *text)
{
    parse->method = text;
}

void moe_parse_dispatch(moe_parse_t *parse, const char *text)
{
    parse->dispatch = text;
}

void moe_parse_sweep(moe_parse_t *parse, const char *text)
{
    if (strcmp(text, "all") != 0) {
        moe_parse_problem(parse, "is '%s', expected 'all'", text);
        return;
    }
    parse->command->sweep_all = true;
}

void moe_parse_stages(moe_parse_t *parse, const char *text)
{
    moe_stage_set_t all = 0;
    const char *word = text;

    for (;;) {
        size_t n = strcspn(word, ",");
        moe_stage_set_t set = 0;
        char name[32];

        (void)snprintf(name, sizeof(name), "%.*s", (int)(n < 31 ? n : 31),
                       word);
        if (!moe_stage_set_find(name, &set)) {
            moe_parse_problem(parse, "'%s' is no stage, expected %s", name,
                              parse->option->text);
        }
        all |= set;
        if (word[n] == '\0') {
            break;
        }
        word += n + 1;
    }
    parse->command->stages = all;
    parse->command->stages_text = text;
}

void moe_parse_inject(moe_parse_t *parse, const char *text)
{
    moe_command_t *command = parse->command;
    const char **injection;

    injection = realloc(command->injection,
                        (command->n_injections + 1) * sizeof(*injection));
    if (injection == NULL) {
        parse->status = moe_fail(MOE_ERR_NOMEM, "out of memory in the options");
        return;
    }
    injection[command->n_injections++] = text;
    command->injection = injection;
}

void moe_parse_tensor(moe_parse_t *parse, const char *text)
{
    moe_command_t *command = parse->command;
    const size_t n = strcspn(text, "=");
    moe_change_t *tensor;
    char *arg;

    if (text[n] == '\0' || n == 0 || text[n + 1] == '\0') {
        moe_parse_problem(parse, "is '%s', expected ARG=NAME", text);
        return;
    }
    tensor =
        realloc(command->tensor, (command->n_tensors + 1) * sizeof(*tensor));
    arg = moe_parse_own(parse, strndup(text, n));
    if (tensor == NULL) {
        parse->status = moe_fail(MOE_ERR_NOMEM, "out of memory in the options");
        return;
    }
    tensor[command->n_tensors] = (moe_change_t){arg, text + n + 1};
    command->n_tensors += arg != NULL;
    command->tensor = tensor;
}

static const char *const orders[] = {"any", "within-expert", "exact"};

const char *moe_check_order_name(moe_check_order_t order)
{
    return orders[order];
}

void moe_parse_order(moe_parse_t *parse, const char *text)
{
    parse->command->order = (moe_check_order_t)choice(parse, text, orders, 3);
}

/* An integer from 0 to most. */
static int64_t whole_number(moe_parse_t *parse, const char *text, int64_t most)
{
    char *end;
    long long n;

    errno = 0;
    n = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || n < 0 || n > most) {
        moe_parse_problem(parse, "is '%s', expected an integer from 0 to %lld",
                          text, (long long)most);
        return -1;
    }
    return n;
}

void moe_parse_max_ulp(moe_parse_t *parse, const char *text)
{
    parse->command->max_ulp = whole_number(parse, text, INT32_MAX);
}

void moe_parse_only_rank(moe_parse_t *parse, const char *text)
{
    parse->command->only_rank = (int)whole_number(parse, text, 65535);
}

void moe_parse_accumulator(moe_parse_t *parse, const char *text)
{
    moe_accumulator_t *found = &parse->command->accumulator;

    parse->command->has_accumulator = moe_accumulator_find(text, found);
    if (!parse->command->has_accumulator) {
        moe_parse_problem(parse, "is '%s', expected %s", text,
                          parse->option->text);
    }
}
