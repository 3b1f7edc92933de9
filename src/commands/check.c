#include "check/check.h"

#include <errno.h>
#include <unistd.h>

#include "commands/commands.h"

/* The required lines that failed by themselves, by name. Returns -1. */
static int name_failures(const struct check_report *report, struct error *err)
{
        const char *separator = "";

        error_set(err, ENOTSUP, "this machine lacks what containers need: ");
        for (size_t i = 0; i < report->count; i++) {
                if (report->lines[i].status != CHECK_KO || !report->lines[i].tried)
                        continue;
                error_append(err, "%s%s", separator, report->lines[i].name);
                separator = ", ";
        }
        return -1;
}

int command_check(const struct command_context *context, const struct check_arguments *arguments,
                  FILE *out, struct error *err)
{
        auto_check_report struct check_report report = CHECK_REPORT_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        bool colour = isatty(fileno(out));

        if (arguments->verify) {
                if (check_print_classic(context->config, colour, &text, err) < 0)
                        return -1;
        } else if (check_run(context->config, &report, err) < 0 ||
                   (arguments->json ? check_print_json(&report, &text, err)
                                    : check_print(&report, colour, &text, err)) < 0) {
                return -1;
        }
        fputs(text.data, out);
        return check_report_failed(&report) > 0 ? name_failures(&report, err) : 0;
}
