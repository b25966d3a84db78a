/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: every option of the list, problems told at once, and
 * the man page that must not drift from the list.
 */
#include "tests/support.h"

#include "sim/options/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 32

/* A parsed line; the words live as long as it. */
typedef struct {
    char text[512];
    char *argv[WORDS_MAX];
    moe_diag_t *diag;
    moe_command_t command;
    moe_status_t status;
} line_t;

static void parse(line_t *line, const char *text)
{
    char *save = NULL;
    int argc = 0;
    char *word;

    (void)snprintf(line->text, sizeof(line->text), "moesim %s", text);
    for (word = strtok_r(line->text, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save)) {
        line->argv[argc++] = word;
    }
    line->argv[argc] = NULL;
    line->diag = moe_diag_create();
    line->status =
        moe_command_parse(argc, line->argv, line->diag, &line->command);
}

static void end(line_t *line)
{
    moe_command_fini(&line->command);
    moe_diag_free(line->diag);
}

/* Value of the last change of a key; NULL without. */
static const char *changed(const line_t *line, const char *path)
{
    size_t i;

    for (i = line->command.n_changes; i-- > 0;) {
        if (strcmp(line->command.change[i].path, path) == 0) {
            return line->command.change[i].value;
        }
    }
    return NULL;
}

/* A value that every option takes, by its name. */
static const char *fitting(const char *name)
{
    static const char *const values[][2] = {
        {"color", "never"},
        {"ranks", "2"},
        {"memory-limit", "1"},
        {"set", "a.b=1"},
        {"sweep", "all"},
        {"backend", "ref"},
        {"method", "pad_allreduce"},
        {"dispatch", "bf16"},
        {"stages", "comm"},
        {"order", "exact"},
        {"accumulator", "fp32"},
        {"tensor", "x=y"},
        {"weights", "local"},
        {"dispatch", "bf16"},
    };
    size_t i;

    for (i = 0; i < sizeof(values) / sizeof(values[0]); ++i) {
        if (strcmp(values[i][0], name) == 0) {
            return values[i][1];
        }
    }
    return "4";
}

START_TEST(every_option_is_taken_by_its_verbs_and_refused_by_others)
{
    size_t i;
    int v;

    for (i = 0; i < moe_opt_count(); ++i) {
        for (v = 0; v < MOE_VERB_COUNT; ++v) {
            const moe_opt_t *o = moe_opt_get(i);
            char text[128];
            line_t line;

            (void)snprintf(text, sizeof(text), "%s --%s%s%s",
                           moe_verb_name((moe_verb_t)v), o->name,
                           o->arg != NULL ? "=" : "",
                           o->arg != NULL ? fitting(o->name) : "");
            parse(&line, text);
            ck_assert_msg((line.status == MOE_OK) ==
                              ((o->verbs & (1u << v)) != 0),
                          "%s", text);
            end(&line);
        }
    }
}
END_TEST

START_TEST(names_and_letters_are_unique)
{
    size_t i;
    size_t k;

    for (i = 0; i < moe_opt_count(); ++i) {
        const moe_opt_t *o = moe_opt_get(i);

        ck_assert_ptr_eq(moe_opt_find(o->name, strlen(o->name)), o);
        for (k = 0; k < i; ++k) {
            ck_assert(o->letter == 0 || o->letter != moe_opt_get(k)->letter);
        }
    }
}
END_TEST

/* A file without line ends, runs of blanks and roff's backslashes. */
static char *read_flat(const char *path)
{
    FILE *file = fopen(moe_test_source(path), "r");
    char *text = calloc(1, 1 << 16);
    size_t n = 0;
    int c;

    ck_assert_ptr_nonnull(file);
    ck_assert_ptr_nonnull(text);
    while ((c = fgetc(file)) != EOF && n + 1 < 1 << 16) {
        if (c != '\\') {
            text[n++] = (char)(c == '\n' ? ' ' : c);
        }
    }
    (void)fclose(file);
    return text;
}

START_TEST(the_man_page_has_every_option_with_its_text)
{
    char *page = read_flat("doc/moesim.1");
    char want[1024];
    size_t i;

    for (i = 0; i < moe_opt_count(); ++i) {
        const moe_opt_t *o = moe_opt_get(i);
        char letter[8] = "";

        if (o->letter != 0) {
            (void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
        }
        (void)snprintf(want, sizeof(want), ".TP .B %s--%s%s%s %s .", letter,
                       o->name, o->arg != NULL ? " " : "",
                       o->arg != NULL ? o->arg : "", o->text);
        ck_assert_msg(strstr(page, want) != NULL, "%s", want);
    }
    free(page);
}
END_TEST

START_TEST(the_man_page_has_every_verb_and_list)
{
    char *page = read_flat("doc/moesim.1");
    char want[512];
    int v;

    for (v = 0; v < MOE_VERB_COUNT; ++v) {
        moe_verb_t verb = (moe_verb_t)v;
        const char *operand = moe_verb_operand(verb);

        (void)snprintf(want, sizeof(want), ".TP .B %s%s%s %s .",
                       moe_verb_name(verb), *operand != '\0' ? " " : "",
                       operand, moe_verb_text(verb));
        ck_assert_msg((strstr(page, want) != NULL) == moe_verb_is_shown(verb),
                      "%s", want);
    }
#define MOE_LIST(id, text)                                                     \
    ck_assert_ptr_nonnull(strstr(page, ".TP .B " #id " " text " ."));
#include "sim/list/lists.def"
#undef MOE_LIST
    free(page);
}
END_TEST

START_TEST(all_problems_of_a_line_are_told)
{
    line_t line;

    parse(&line, "price a b --ranks 0 --ranks=x --color red --bogus "
                 "--memory-limit 3Q --set x --quiet=1 -z --stages comm");
    ck_assert_int_eq(line.status, MOE_ERR_INPUT);
    ck_assert_uint_eq(moe_diag_count(line.diag), 10);
    end(&line);
}
END_TEST

START_TEST(an_empty_item_is_told_once)
{
    static const char *const lists[] = {"--tokens ,", "--tokens 1,,,2",
                                        "--method allgatherv,,"};
    size_t i;

    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); ++i) {
        char text[64];
        line_t line;

        (void)snprintf(text, sizeof(text), "price %s", lists[i]);
        parse(&line, text);
        ck_assert_int_eq(line.status, MOE_ERR_INPUT);
        ck_assert_uint_eq(moe_diag_count(line.diag), 1);
        ck_assert_ptr_nonnull(
            strstr(moe_diag_text(line.diag, 0), ", expected "));
        end(&line);
    }
}
END_TEST

START_TEST(a_misspelt_option_names_the_nearest_and_keeps_its_value)
{
    line_t line;

    parse(&line, "price --tokns 5 a.yaml");
    ck_assert_uint_eq(moe_diag_count(line.diag), 1);
    ck_assert_ptr_nonnull(
        strstr(moe_diag_text(line.diag, 0), "did you mean --tokens?"));
    end(&line);
    parse(&line, "prise");
    ck_assert_ptr_nonnull(
        strstr(moe_diag_text(line.diag, 0), "did you mean 'price'?"));
    end(&line);
}
END_TEST

START_TEST(help_wins_over_problems)
{
    line_t line;

    parse(&line, "run --ranks none --help");
    ck_assert_int_eq(line.status, MOE_OK);
    ck_assert(line.command.help);
    end(&line);
}
END_TEST

START_TEST(options_and_operands_may_be_mixed)
{
    line_t line;

    parse(&line, "run -qo DIR a.yaml --json - -- ");
    ck_assert_int_eq(line.status, MOE_OK);
    ck_assert(line.command.quiet);
    ck_assert_str_eq(line.command.output, "DIR");
    ck_assert_str_eq(line.command.json, "-");
    ck_assert_str_eq(line.command.operand, "a.yaml");
    end(&line);
    parse(&line, "run -oDIR -- -q");
    ck_assert_str_eq(line.command.output, "DIR");
    ck_assert_str_eq(line.command.operand, "-q");
    ck_assert(!line.command.quiet);
    end(&line);
}
END_TEST

START_TEST(sizes_have_suffixes)
{
    static const struct {
        const char *text;
        int64_t bytes; /* 0: refused */
    } sizes[] = {
        {"1", 1},
        {"7B", 7},
        {"2K", 2048},
        {"2KiB", 2048},
        {"2kB", 2000},
        {"3M", 3145728},
        {"3MB", 3000000},
        {"4GiB", 4294967296},
        {"1T", 1099511627776},
        {"0", 0},
        {"-1", 0},
        {"1X", 0},
        {"1KB1", 0},
        {"G", 0},
        {"9999999999999999999", 0},
        {"9999999999T", 0},
    };
    size_t i;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
        char text[64];
        line_t line;

        (void)snprintf(text, sizeof(text), "run --memory-limit=%s",
                       sizes[i].text);
        parse(&line, text);
        ck_assert_msg(line.command.memory_limit == sizes[i].bytes, "%s", text);
        ck_assert_int_eq(line.status == MOE_OK, sizes[i].bytes > 0);
        end(&line);
    }
}
END_TEST

START_TEST(a_comma_list_is_a_sweep_with_its_first_value_as_base)
{
    line_t line;

    parse(&line, "price --model m --tokens 1,128 --ep 8,16 --set seed=3");
    ck_assert_int_eq(line.status, MOE_OK);
    ck_assert_str_eq(changed(&line, "workload.tokens"), "1");
    ck_assert_str_eq(changed(&line, "layout.ep"), "8");
    ck_assert_str_eq(changed(&line, "seed"), "3");
    ck_assert_str_eq(changed(&line, "sweep"),
                     "{workload.tokens: [1,128], layout.ep: [8,16]}");
    end(&line);
    parse(&line, "price --tokens [1,2]");
    ck_assert_str_eq(changed(&line, "workload.tokens"), "[1,2]");
    ck_assert_ptr_null(changed(&line, "sweep"));
    end(&line);
    parse(&line, "run f --tokens 1,2 --ep 2,4 --set=workload.tokens=7");
    ck_assert_str_eq(changed(&line, "workload.tokens"), "7");
    ck_assert_str_eq(changed(&line, "sweep"), "{layout.ep: [2,4]}");
    end(&line);
}
END_TEST

START_TEST(methods_become_a_list_of_the_scenario)
{
    line_t line;

    parse(&line, "price a.yaml --method all");
    ck_assert_str_eq(changed(&line, "methods"), "all");
    end(&line);
    parse(&line, "price a.yaml --method pad_allreduce,allgatherv "
                 "--dispatch bf16,nvfp4");
    ck_assert_str_eq(changed(&line, "methods"),
                     "[{pad_allreduce: {dispatch: bf16}}, "
                     "{pad_allreduce: {dispatch: nvfp4}}, "
                     "{allgatherv: {dispatch: bf16}}, "
                     "{allgatherv: {dispatch: nvfp4}}]");
    end(&line);
    /* all: where the method has the format */
    parse(&line, "price a.yaml --method all --dispatch nvfp4");
    ck_assert_ptr_nonnull(
        strstr(changed(&line, "methods"), "{allgatherv: {dispatch: nvfp4}}"));
    ck_assert_ptr_null(strstr(changed(&line, "methods"), "pad_allreduce"));
    end(&line);
    /* options alone: all methods; a file: its own */
    parse(&line, "price --model m");
    ck_assert_str_eq(changed(&line, "methods"), "all");
    end(&line);
    parse(&line, "price a.yaml --model m");
    ck_assert_ptr_null(changed(&line, "methods"));
    end(&line);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("options");
    TCase *tcase = tcase_create("options");

    tcase_add_test(tcase,
                   every_option_is_taken_by_its_verbs_and_refused_by_others);
    tcase_add_test(tcase, names_and_letters_are_unique);
    tcase_add_test(tcase, the_man_page_has_every_option_with_its_text);
    tcase_add_test(tcase, the_man_page_has_every_verb_and_list);
    tcase_add_test(tcase, all_problems_of_a_line_are_told);
    tcase_add_test(tcase, an_empty_item_is_told_once);
    tcase_add_test(tcase,
                   a_misspelt_option_names_the_nearest_and_keeps_its_value);
    tcase_add_test(tcase, help_wins_over_problems);
    tcase_add_test(tcase, options_and_operands_may_be_mixed);
    tcase_add_test(tcase, sizes_have_suffixes);
    tcase_add_test(tcase, a_comma_list_is_a_sweep_with_its_first_value_as_base);
    tcase_add_test(tcase, methods_become_a_list_of_the_scenario);
    suite_add_tcase(suite, tcase);
    return moe_suite_main(suite);
}
