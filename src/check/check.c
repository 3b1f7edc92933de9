#include "check/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "check/probe.h"
#include "util/cleanup.h"

static const struct check_line *find_line(const struct check_report *report, const char *name)
{
        for (size_t i = 0; i < report->count; i++)
                if (strcmp(report->lines[i].name, name) == 0)
                        return &report->lines[i];
        return NULL;
}

/* A line for a probe that another one has made pointless. */
static void skip(const struct probe *probe, struct check_line *ret)
{
        *ret = (struct check_line){
                .group = probe->group,
                .name = probe->name,
                .status = probe->required ? CHECK_KO : CHECK_KO_OPTIONAL,
                .effect = probe->effect,
        };
        (void)snprintf(ret->detail, sizeof(ret->detail), "not tried without: %s", probe->needs);
}

static int run_probes(const struct probe_context *context, struct check_report *report,
                      struct error *err)
{
        for (size_t i = 0; i < probe_count; i++) {
                const struct probe *probe = &probe_table[i];
                const struct check_line *needed =
                        probe->needs ? find_line(report, probe->needs) : NULL;
                struct check_line *line = &report->lines[report->count];
                int result = 0;

                if (needed && needed->status >= CHECK_KO_OPTIONAL)
                        skip(probe, line);
                else
                        result = probe_run(probe, context, PROBE_LIMIT_MS, line, err);
                if (result < 0)
                        return error_prefix(err, "%s", probe->name);
                report->count += result != PROBE_ABSENT;
        }
        return 0;
}

void probe_context_load(struct probe_context *context)
{
        struct utsname name = { .release = "" };

        (void)uname(&name);
        host_distribution_load(context->root, &context->distribution);
        kernel_config_load(context->root, name.release, &context->kernel);
}

void probe_context_release(struct probe_context *context)
{
        kernel_config_release(&context->kernel);
}

int check_run(const struct config *config, struct check_report *ret, struct error *err)
{
        auto_probe_context struct probe_context context = { .root = "", .config = config };
        auto_check_report struct check_report report = CHECK_REPORT_INIT;

        probe_context_load(&context);
        report.lines = calloc(probe_count, sizeof(*report.lines));
        if (!report.lines)
                return error_no_memory(err);
        if (run_probes(&context, &report, err) < 0)
                return -1;
        *ret = report;
        report = (struct check_report)CHECK_REPORT_INIT;
        return 0;
}

void check_report_release(struct check_report *report)
{
        free(report->lines);
        *report = (struct check_report)CHECK_REPORT_INIT;
}

size_t check_report_failed(const struct check_report *report)
{
        size_t failed = 0;

        for (size_t i = 0; i < report->count; i++)
                failed += report->lines[i].status == CHECK_KO;
        return failed;
}
