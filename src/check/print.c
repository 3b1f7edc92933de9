#include <string.h>

#include "check/check.h"
#include "check/print.h"
#include "util/cleanup.h"
#include "util/json_writer.h"

static const char *const status_texts[] = {
        [CHECK_OK] = "OK",
        [CHECK_OK_MODULE] = "OK (module)",
        [CHECK_KO_OPTIONAL] = "KO (optional)",
        [CHECK_KO] = "KO",
};

#define BOLD   "\033[1m"
#define RED    "\033[31m"
#define GREEN  "\033[32m"
#define YELLOW "\033[33m"
#define NORMAL "\033[0m"

static void coloured(struct strbuf *text, bool colour, const char *escape, const char *word)
{
        strbuf_printf(text, "%s%s%s", colour ? escape : "", word, colour ? NORMAL : "");
}

void print_heading(struct strbuf *text, bool colour, const char *heading)
{
        strbuf_append(text, text->length > 0 ? "\n" : "");
        coloured(text, colour, BOLD, heading);
        strbuf_append(text, "\n\n");
}

void print_status(struct strbuf *text, bool colour, const char *name, enum check_status status,
                  const char *words)
{
        static const char *const colours[] = { GREEN, GREEN, YELLOW, RED };

        strbuf_printf(text, "%-45s: ", name);
        coloured(text, colour, colours[status], words ? words : status_texts[status]);
}

int check_print(const struct check_report *report, bool colour, struct strbuf *text,
                struct error *err)
{
        const char *group = "";

        for (size_t i = 0; i < report->count; i++) {
                const struct check_line *line = &report->lines[i];
                bool failed = line->status >= CHECK_KO_OPTIONAL;

                if (strcmp(line->group, group) != 0)
                        print_heading(text, colour, line->group);
                group = line->group;
                print_status(text, colour, line->name, line->status, NULL);
                if (*line->detail)
                        strbuf_printf(text, failed ? ": %s" : " (%s)", line->detail);
                strbuf_append(text, "\n");
                if (line->effect)
                        strbuf_printf(text, "    effect: %s\n", line->effect);
                if (*line->mend)
                        strbuf_printf(text, "    mend:   %s\n", line->mend);
        }
        return text->failed ? error_no_memory(err) : 0;
}

int check_print_json(const struct check_report *report, struct strbuf *text, struct error *err)
{
        struct json_writer writer = { .text = text };

        json_write_object(&writer, NULL);
        json_write_text(&writer, "version", ENROOT_VERSION);
        json_write_bool(&writer, "ok", check_report_failed(report) == 0);
        json_write_array(&writer, "checks");
        for (size_t i = 0; i < report->count; i++) {
                const struct check_line *line = &report->lines[i];

                json_write_object(&writer, NULL);
                json_write_text(&writer, "group", line->group);
                json_write_text(&writer, "name", line->name);
                json_write_text(&writer, "status", status_texts[line->status]);
                json_write_text(&writer, "detail", *line->detail ? line->detail : NULL);
                json_write_text(&writer, "effect", line->effect);
                json_write_text(&writer, "mend", *line->mend ? line->mend : NULL);
                json_write_end(&writer);
        }
        json_write_end(&writer);
        json_write_end(&writer);
        return text->failed ? error_no_memory(err) : 0;
}
