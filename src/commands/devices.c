#include <string.h>

#include "commands/commands.h"
#include "commands/print.h"
#include "env/env.h"
#include "gpu/gpu.h"
#include "util/json_writer.h"

/* ---- list ---- */

static int print_json(const struct gpu_survey *survey, FILE *out, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct json_writer writer = { .text = &text };

        json_write_object(&writer, NULL);
        json_write_array(&writer, "devices");
        for (size_t i = 0; i < survey->count; i++) {
                const struct gpu_device *device = &survey->items[i];

                json_write_object(&writer, NULL);
                json_write_text(&writer, "kind", device->kind);
                json_write_text(&writer, "name", device->name);
                json_write_text(&writer, "ask", device->ask);
                json_write_text(&writer, "description", device->description);
                json_write_text(&writer, "problem", device->problem);
                json_write_end(&writer);
        }
        json_write_end(&writer);
        json_write_array(&writer, "failures");
        for (size_t i = 0; i < survey->failures.count; i++)
                json_write_text(&writer, NULL, survey->failures.items[i]);
        json_write_end(&writer);
        json_write_end(&writer);
        return print_result(&text, out, err);
}

static void print_survey(const struct gpu_survey *survey, FILE *out)
{
        int width = 0;

        for (size_t i = 0; i < survey->count; i++) {
                int length = (int)strlen(survey->items[i].ask);

                width = length > width ? length : width;
        }
        for (size_t i = 0; i < survey->count; i++) {
                const struct gpu_device *device = &survey->items[i];

                (void)fprintf(out, "%-*s  %s%s%s\n", width, device->ask, device->description,
                              device->problem ? "; not usable: " : "",
                              device->problem ? device->problem : "");
        }
}

static int open_roots(const struct command_context *context, struct gpu_roots *roots,
                      struct error *err)
{
        return gpu_roots_init(roots, &context->config->environment) < 0 ? error_no_memory(err) : 0;
}

int command_devices_list(const struct command_context *context, bool json, FILE *out,
                         struct error *err)
{
        auto_gpu_roots struct gpu_roots roots = { .driver = NULL };
        auto_gpu_survey struct gpu_survey survey = GPU_SURVEY_INIT;

        if (open_roots(context, &roots, err) < 0 || gpu_survey_make(&roots, &survey, err) < 0)
                return -1;
        if (json)
                return print_json(&survey, out, err);
        print_survey(&survey, out);
        for (size_t i = 0; i < survey.failures.count; i++)
                report_warn(context->report, "%s", survey.failures.items[i]);
        return 0;
}

/* ---- cdi ---- */

int command_devices_cdi(const struct command_context *context, FILE *out, struct error *err)
{
        const char *path_list = env_get(&context->config->environment, "PATH");
        auto_gpu_roots struct gpu_roots roots = { .driver = NULL };
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_strlist struct strlist warnings = STRLIST_INIT;

        if (open_roots(context, &roots, err) < 0 ||
            gpu_cdi_write(&roots, path_list ? path_list : "/usr/bin", &text, &warnings, err) < 0)
                return -1;
        for (size_t i = 0; i < warnings.count; i++)
                report_warn(context->report, "%s", warnings.items[i]);
        (void)fputs(text.data, out);
        return 0;
}

/* ---- doctor ---- */

int command_devices_doctor(const struct command_context *context, FILE *out, int *ret_severity,
                           struct error *err)
{
        static const char *const words[] = {
                [GPU_FINE] = "OK", [GPU_NOTE] = "--", [GPU_WARNING] = "WARN", [GPU_PROBLEM] = "KO"
        };
        auto_gpu_roots struct gpu_roots roots = { .driver = NULL };
        auto_gpu_findings struct gpu_findings findings = GPU_FINDINGS_INIT;

        if (open_roots(context, &roots, err) < 0 ||
            gpu_diagnose(&roots, &context->config->environment, &findings, err) < 0)
                return -1;
        *ret_severity = GPU_FINE;
        for (size_t i = 0; i < findings.count; i++) {
                const struct gpu_finding *finding = &findings.items[i];

                (void)fprintf(out, "%-4s %s\n", words[finding->severity], finding->text);
                if (finding->mend)
                        (void)fprintf(out, "     -> %s\n", finding->mend);
                if ((int)finding->severity > *ret_severity)
                        *ret_severity = (int)finding->severity;
        }
        return 0;
}
