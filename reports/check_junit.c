/* SPDX-License-Identifier: Apache-2.0 */
/* JUnit XML as Jenkins, GitLab and GitHub's test reporters read it. */
#include "reports/check.h"

#include <string.h>

enum {
    TEXT = 512
};

/* Text in XML; what XML 1.0 has no character for becomes '?'. */
static void put(const char *text, FILE *stream)
{
    for (; text != NULL && *text != '\0'; text++) {
        switch (*text) {
        case '<':
            fputs("&lt;", stream);
            break;
        case '>':
            fputs("&gt;", stream);
            break;
        case '&':
            fputs("&amp;", stream);
            break;
        case '"':
            fputs("&quot;", stream);
            break;
        default:
            fputc((unsigned char)*text < 32 ? '?' : *text, stream);
        }
    }
}

static const char *word(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static bool is_bad(json_t *finding)
{
    return strcmp(word(finding, "verdict"), "bad") == 0;
}

static void put_case(json_t *finding, FILE *stream)
{
    json_t *rank = json_object_get(finding, "rank");
    char text[TEXT];

    fputs("    <testcase classname=\"moesim.check", stream);
    if (rank != NULL) {
        fprintf(stream, ".rank%d", (int)json_integer_value(rank));
    }
    fputs("\" name=\"", stream);
    put(word(finding, "tensor"), stream);
    if (!is_bad(finding)) {
        fputs("\"/>\n", stream);
        return;
    }
    moe_check_words(finding, text, sizeof(text));
    fputs("\">\n      <failure message=\"", stream);
    put(text, stream);
    fputs("\">", stream);
    moe_check_place(finding, text, sizeof(text));
    put(text, stream);
    fputs("\n", stream);
    put(word(finding, "again"), stream);
    fputs("</failure>\n    </testcase>\n", stream);
}

void moe_check_junit(json_t *document, FILE *stream)
{
    json_t *findings = json_object_get(document, "findings");
    const size_t n = json_array_size(findings);
    size_t bad = 0;

    for (size_t i = 0; i < n; i++) {
        bad += is_bad(json_array_get(findings, i));
    }
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n", stream);
    fprintf(stream,
            "  <testsuite name=\"moesim check\" tests=\"%zu\" "
            "failures=\"%zu\" errors=\"0\">\n",
            n, bad);
    for (size_t i = 0; i < n; i++) {
        put_case(json_array_get(findings, i), stream);
    }
    fputs("  </testsuite>\n</testsuites>\n", stream);
}
