/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file
 * What libyaml's problems mean to whoever wrote the text: its own words name
 * a token of the grammar, or nothing.
 */
#include "base/yaml_reader.h"

#include <string.h>

/* The beginning of a problem as scanner.c and parser.c of libyaml 0.2 say it,
 * and what was expected. The first that fits counts. */
static const struct {
    const char *problem;
    const char *expected;
} expectations[] = {
    {"did not find expected node content", "a value"},
    {"did not find expected ',' or ']'", "a comma, or ']' at the list's end"},
    {"did not find expected ',' or '}'", "a comma, or '}' at the map's end"},
    {"did not find expected key",
     "a key with the indentation of those before it"},
    {"did not find expected '-' indicator",
     "'- ' with the indentation of those before it"},
    {"did not find expected <document start>", "one document and its end"},
    {"could not find expected ':'", "'key: value'"},
    {"mapping values are not allowed",
     "one 'key: value' a line, a value with ': ' in quotes"},
    {"mapping keys are not allowed", "'key: value' on a line of its own"},
    {"block sequence entries are not allowed", "'- ' on a line of its own"},
    {"found character that cannot start any token",
     "a value, in quotes if it begins so"},
    {"found unexpected end of stream", "the quote that ends the text"},
    {"found unexpected document indicator", "the quote that ends the text"},
    {"found unknown escape character", "an escape such as \\n or \\x41"},
    {"did not find expected hexdecimal number", "hexadecimal digits"},
    {"found invalid Unicode character escape code", "a Unicode character"},
    {"did not find expected alphabetic or numeric character",
     "a name of letters and digits"},
    {"did not find expected comment or line break",
     "the end of the line behind '|' or '>'"},
    {"found an indentation indicator equal to 0", "1 to 9"},
    {"found a tab character", "blanks"},
    {"found undefined tag handle", "a value without a tag"},
    {"did not find expected tag URI", "a value without a tag"},
    {"did not find the expected '>'", "a value without a tag"},
    {"did not find expected whitespace or line break", "a blank"},
    {"did not find expected whitespace", "a blank"},
    {"found incompatible YAML document", "YAML 1.1 or 1.2"},
    {"found unknown directive name", "no directive but %YAML"},
    {"found duplicate %YAML directive", "one"},
};

const char *moe_yaml_expected(const char *problem)
{
    for (size_t i = 0; i < sizeof(expectations) / sizeof(expectations[0]);
         i++) {
        if (strncmp(problem, expectations[i].problem,
                    strlen(expectations[i].problem)) == 0) {
            return expectations[i].expected;
        }
    }
    return "YAML 1.1";
}
