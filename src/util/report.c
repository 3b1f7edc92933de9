#include "util/report.h"

#include <stdarg.h>
#include <stdio.h>

static void __attribute__((format(printf, 3, 0)))
report(struct report *report, enum report_level level, const char *fmt, va_list args)
{
        char text[2048];

        if (!report || !report->message)
                return;
        (void)vsnprintf(text, sizeof(text), fmt, args);
        report->message(report, level, text);
}

void report_info(struct report *to, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        report(to, REPORT_INFO, fmt, args);
        va_end(args);
}

void report_warn(struct report *to, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        report(to, REPORT_WARN, fmt, args);
        va_end(args);
}
