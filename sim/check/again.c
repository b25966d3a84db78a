/* SPDX-License-Identifier: Apache-2.0 */
/* The command that repeats a finding. */
#include "config.h"

#include "sim/check/check.h"

#include <string.h>

/* The command that repeats this check, of one rank if it is not negative. */
static void write_again(const moe_check_t *check, int rank, FILE *to)
{
    const moe_command_t *c = check->command;

    fprintf(to, "moesim check '%s' '%s'", check->ref, check->got);
    if (c->more[1] != NULL) {
        fprintf(to, " '%s'", c->more[1]);
    }
    if (c->order != MOE_CHECK_any) {
        fprintf(to, " --order %s", moe_check_order_name(c->order));
    }
    if (c->max_ulp >= 0) {
        fprintf(to, " --max-ulp %lld", (long long)c->max_ulp);
    }
    if (c->has_accumulator) {
        fprintf(to, " --accumulator %s", moe_accumulator_name(c->accumulator));
    }
    if (rank >= 0) {
        fprintf(to, " --only-rank %d", rank);
    }
}

/* The rank that a finding is found in alone; else what was asked for. */
static int rank_of(const moe_check_t *check, const json_t *f)
{
    const json_t *rank = json_object_get(f, "rank");
    const char *kind = json_string_value(json_object_get(f, "kind"));

    return rank != NULL && check->golden.n_ranks > 1 &&
                   strcmp(kind, "missing") != 0 &&        /* no file of it */
                   json_object_get(f, "gathered") == NULL /* of all files */
               ? (int)json_integer_value(rank)
               : check->command->only_rank;
}

void moe_check_set_again(moe_check_t *check)
{
    for (size_t i = 0; i < json_array_size(check->findings); i++) {
        json_t *f = json_array_get(check->findings, i);
        char text[2048];
        FILE *to = fmemopen(text, sizeof(text), "w");

        if (to == NULL) {
            continue; /* no memory: a finding without it */
        }
        write_again(check, rank_of(check, f), to);
        (void)fclose(to);
        text[sizeof(text) - 1] = '\0';
        (void)json_object_set_new(f, "again", json_string(text));
    }
}
