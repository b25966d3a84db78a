/* SPDX-License-Identifier: Apache-2.0 */
/* What mpirun and the ranks print: kept, searched for what ended them. */
#include "config.h"

#include "sim/launch/supervise_parts.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void moe_noise_listen(moe_noise_t *noise, int fd)
{
    char piece[4096];
    ssize_t n = read(fd, piece, sizeof(piece));

    while (n > 0) {
        size_t room = sizeof(noise->text) - 1 - noise->n;
        size_t kept = (size_t)n < room ? (size_t)n : room;

        memcpy(noise->text + noise->n, piece, kept);
        noise->n += kept;
        noise->text[noise->n] = '\0';
        n = read(fd, piece, sizeof(piece));
    }
}

/* The number after some words; 0 if they are not there. */
static int number_after(const moe_noise_t *noise, const char *words)
{
    const char *at = strstr(noise->text, words);

    return at == NULL ? 0 : (int)strtol(at + strlen(words), NULL, 10);
}

int moe_noise_signal(const moe_noise_t *noise)
{
    return number_after(noise, "exited on signal ");
}

static bool is_full(const moe_noise_t *noise)
{
    return noise->n + 1 == sizeof(noise->text);
}

int moe_noise_sent_on(const moe_noise_t *noise)
{
    const int sent_on = number_after(noise, "mpirun: Forwarding signal ");
    const int died_of = moe_noise_signal(noise);
    const bool fits = died_of == sent_on || (died_of == 0 && is_full(noise));

    return fits ? sent_on : 0;
}

bool moe_noise_is_silent(const moe_noise_t *noise)
{
    /* what it says stands between two lines of these */
    return !is_full(noise) && strstr(noise->text, "----------") == NULL;
}

void moe_noise_print(const moe_noise_t *noise)
{
    char line[1024];
    const char *at = noise->text;

    while (*at != '\0') {
        size_t n = strcspn(at, "\n");
        char *copy = moe_strdup_printf("%.*s", (int)n, at);

        if (copy != NULL && n > 0) {
            moe_text_escape(copy, line, sizeof(line));
            fprintf(stderr, "  %s\n", line);
        }
        free(copy);
        at += n + (at[n] == '\n');
    }
}
