/* SPDX-License-Identifier: Apache-2.0 */
#include "sim/options/options.h"

#include <string.h>

#define HELP_COLUMN 28 /* where texts start */
#define HELP_WIDTH  78

/* Words of a text, wrapped, from a column on. */
static void print_wrapped(FILE *stream, int column, const char *text)
{
    int at = HELP_COLUMN;

    if (column + 2 > HELP_COLUMN) {
        fputc('\n', stream);
        column = 0;
    }
    fprintf(stream, "%*s", HELP_COLUMN - column, "");
    while (*text != '\0') {
        int n = (int)strcspn(text, " ");

        if (at > HELP_COLUMN && at + 1 + n > HELP_WIDTH) {
            fprintf(stream, "\n%*s", HELP_COLUMN, "");
            at = HELP_COLUMN;
        }
        at += fprintf(stream, "%s%.*s", at > HELP_COLUMN ? " " : "", n, text);
        text += n;
        text += *text == ' ';
    }
    fputc('\n', stream);
}

static void print_verbs(FILE *stream)
{
    int i;

    fputs("usage: moesim COMMAND [OPTION...]\n\n"
          "Simulator and reference model of Mixture-of-Experts "
          "communication.\n\n",
          stream);
    for (i = 0; i < MOE_VERB_COUNT; ++i) {
        moe_verb_t verb = (moe_verb_t)i;
        int column;

        if (moe_verb_is_shown(verb)) {
            column = fprintf(stream, "  moesim %s %s", moe_verb_name(verb),
                             moe_verb_operand(verb));
            print_wrapped(stream, column, moe_verb_text(verb));
        }
    }
    fputs("\n'moesim COMMAND --help' lists the options of a command.\n\n"
          "Exit status: 0 all good; 1 a check failed; 2 the input is wrong;\n"
          "3 the environment is (memory, MPI, disk, GPU).\n",
          stream);
}

static void print_option(FILE *stream, const moe_opt_t *option)
{
    int column;

    if (option->letter != 0) {
        column = fprintf(stream, "  -%c, --%s", option->letter, option->name);
    } else {
        column = fprintf(stream, "      --%s", option->name);
    }
    if (option->arg != NULL) {
        column += fprintf(stream, " %s", option->arg);
    }
    print_wrapped(stream, column, option->text);
}

void moe_options_help(FILE *stream, moe_verb_t verb)
{
    size_t i;

    if (verb == MOE_VERB_COUNT) {
        print_verbs(stream);
        return;
    }
    fprintf(stream, "usage: moesim %s%s%s [OPTION...]\n\n%s\n\n",
            moe_verb_name(verb), *moe_verb_operand(verb) != '\0' ? " " : "",
            moe_verb_operand(verb), moe_verb_text(verb));
    for (i = 0; i < moe_opt_count(); ++i) {
        if ((moe_opt_get(i)->verbs & (1u << verb)) != 0) {
            print_option(stream, moe_opt_get(i));
        }
    }
}
