/* SPDX-License-Identifier: Apache-2.0 */
#include "reports/report.h"

#include "base/text.h"
#include "reports/results.h"

typedef struct {
    FILE *stream;
    bool color;
} screen_t;

static void put_line(void *self, moe_style_t style, const char *text)
{
    const screen_t *screen = self;
    char safe[1100];

    moe_text_escape(text, safe, sizeof(safe));
    moe_style_put(style, screen->color, safe, screen->stream);
    fputc('\n', screen->stream);
}

moe_status_t moe_report_terminal(json_t *document, bool color, FILE *stream)
{
    screen_t screen = {stream, color};
    moe_table_t *table = moe_results_table(document);
    char title[1024];
    moe_status_t status;

    moe_results_title(document, title, sizeof(title));
    put_line(&screen, MOE_STYLE_plain, title);
    fputc('\n', stream);
    status = moe_table_text(table, color, stream);
    moe_table_free(table);
    if (status != MOE_OK) {
        return status;
    }
    fputc('\n', stream);
    moe_results_notes(document, put_line, &screen);
    if (ferror(stream)) {
        return moe_fail(MOE_ERR_IO, "cannot write the table");
    }
    return MOE_OK;
}
