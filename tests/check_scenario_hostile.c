/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts that are no scenario, or no YAML: each problem says its place and what
 * was expected.
 */
#include "tests/support.h"

#include "tests/scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EIGHT "[[[[[[[["
#define DEEP  EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT EIGHT "["

static const char *const texts[] = {
    "",
    "a: [1, 2\nb: 3\n",
    "a: {b: 1\nc: 3\n",
    "a: [1,",
    "a: b: c",
    "a:\n- 1\nb\n",
    "\tx: 1",
    "a:\n  - 1\n b: 2\n",
    "a: 'x",
    "a: 'x\n---\n'",
    "a: \"\\q\"",
    "a: \"\\xzz\"",
    "a: \"\\ud800\"",
    "a: @x",
    "a: - 1",
    "? a\n: - 1\n? [",
    "a: &",
    "a: *",
    "a: |x\n",
    "a: |0\n",
    "a: !x!y 1",
    "a: !<x 1",
    "a: !!int 1",
    "%TAG ! x\n--- 1",
    "%YAML 3.0\n--- 1",
    "%FOO\n",
    "a: 1\n...\nb",
    "a: 1\n---\nb: 1\n",
    "x: 1\nx: 2\n",
    "\x01\x02",
    "a: \xff",
    "a: *b",
    "a: &b [*b]",
    "<<: {a: 1}",
    "[1]: 2",
    DEEP,
};

#define N_TEXTS ((int)(sizeof(texts) / sizeof(texts[0])))

static bool ends_with(const char *line, const char *end)
{
    const size_t n = strlen(line);

    return n >= strlen(end) && strcmp(line + n - strlen(end), end) == 0;
}

/* FILE:LINE:COLUMN: [KEY: ]WHAT, expected SOMETHING */
static void check_line(const char *line, const char *path, const char *text)
{
    int row = 0;
    int column = 0;

    ck_assert_msg(strncmp(line, path, strlen(path)) == 0 &&
                      sscanf(line + strlen(path), ":%d:%d: ", &row, &column) ==
                          2 &&
                      row > 0 && column > 0,
                  "%s: no place: %s", text, line);
    ck_assert_msg(strstr(line, ", expected ") != NULL ||
                      strstr(line, "; did you mean ") != NULL,
                  "%s: nothing expected: %s", text, line);
    /* what is said of problems that are in no list of ours */
    ck_assert_msg(!ends_with(line, ", expected YAML 1.1"),
                  "%s: says little: %s", text, line);
}

START_TEST(every_problem_says_where_it_is_and_what_was_expected)
{
    char *path = moe_make_file("x.yaml", texts[_i], strlen(texts[_i]));
    char *found = moe_load_bad(path, NULL, 0, 0);
    char *save = NULL;
    int n = 0;

    for (char *line = strtok_r(found, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        check_line(line, path, texts[_i]);
        n++;
    }
    ck_assert_int_gt(n, 0);
    free(found);
    moe_drop_file(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scenario_hostile");
    TCase *t = tcase_create("scenario_hostile");

    tcase_add_loop_test(t, every_problem_says_where_it_is_and_what_was_expected,
                        0, N_TEXTS);
    suite_add_tcase(suite, t);
    return moe_suite_main(suite);
}
