/*
 * The table of a bundle's --verify: sections, rows and words are those that scripts know
 * from the classic tool. Where it stops for want of a configuration file, the kernel
 * itself is asked.
 */
#include <stdio.h>
#include <string.h>

#include "check/check.h"
#include "check/print.h"
#include "check/probe.h"
#include "util/cleanup.h"
#include "util/path.h"

#define OLD_GLIBC "KO (required if glibc <= 2.13)"

struct table {
        const struct probe_context *context;
        struct strbuf *text;
        bool colour;
};

static void row(const struct table *table, const char *name, enum check_status status,
                const char *words)
{
        print_status(table->text, table->colour, name, status, words);
        strbuf_append_char(table->text, '\n');
}

/* ---- without a configuration file ---- */

/* Run a probe of the report by its name; a check that cannot even fork says no. */
static bool try(const struct table *table, const char *name)
{
        struct error ignored = ERROR_INIT;
        struct check_line line;

        for (size_t i = 0; i < probe_count; i++)
                if (strcmp(probe_table[i].name, name) == 0)
                        return probe_run(&probe_table[i], table->context, PROBE_LIMIT_MS, &line,
                                         &ignored) == 0 &&
                               line.status < CHECK_KO_OPTIONAL;
        return false;
}

static enum kernel_option ask_overlay(const struct table *table)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;

        /* A module that was never used is in no list; mounting one loads it. */
        if (!try(table, "overlayfs") &&
            (probe_read(table->context, "/proc/filesystems", &text, &ignored) < 0 ||
             !strstr(strbuf_text(&text), "\toverlay\n")))
                return KERNEL_OPTION_OFF;
        return probe_module_loaded(table->context, "overlay") ? KERNEL_OPTION_MODULE
                                                              : KERNEL_OPTION_ON;
}

static enum kernel_option ask_kernel(const struct table *table, const char *option)
{
        static const struct {
                const char *option, *file, *probe;
        } questions[] = {
                { "CONFIG_NAMESPACES", "/proc/self/ns/mnt", NULL },
                { "CONFIG_USER_NS", "/proc/self/ns/user", NULL },
                { "CONFIG_SECCOMP_FILTER", NULL, "seccomp filter" },
                { "CONFIG_X86_VSYSCALL_EMULATION", NULL, "vsyscall" },
                { "CONFIG_VSYSCALL_EMULATE", NULL, "vsyscall" },
        };

        if (strcmp(option, "CONFIG_OVERLAY_FS") == 0)
                return ask_overlay(table);
        for (size_t i = 0; i < ARRAY_SIZE(questions); i++)
                if (strcmp(option, questions[i].option) == 0 &&
                    (questions[i].file ? probe_exists(table->context, questions[i].file)
                                       : try(table, questions[i].probe)))
                        return KERNEL_OPTION_ON;
        return KERNEL_OPTION_OFF;
}

/* ---- sections ---- */

static void add_configuration(const struct table *table)
{
        static const struct {
                const char *option;
                enum check_status missing;
                const char *words;
        } rows[] = {
                { "CONFIG_NAMESPACES", CHECK_KO, NULL },
                { "CONFIG_USER_NS", CHECK_KO, NULL },
                { "CONFIG_SECCOMP_FILTER", CHECK_KO, NULL },
                { "CONFIG_OVERLAY_FS", CHECK_KO_OPTIONAL, NULL },
                { "CONFIG_X86_VSYSCALL_EMULATION", CHECK_KO_OPTIONAL, OLD_GLIBC },
                { "CONFIG_VSYSCALL_EMULATE", CHECK_KO_OPTIONAL, OLD_GLIBC },
                { "CONFIG_VSYSCALL_NATIVE", CHECK_KO_OPTIONAL, OLD_GLIBC },
        };

        print_heading(table->text, table->colour, "Kernel configuration:");
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                const char *option = rows[i].option;
                enum kernel_option value =
                        *table->context->kernel.path
                                ? kernel_config_option(&table->context->kernel, option)
                                : ask_kernel(table, option);

                if (value == KERNEL_OPTION_OFF)
                        row(table, option, rows[i].missing, rows[i].words);
                else
                        row(table, option,
                            value == KERNEL_OPTION_MODULE ? CHECK_OK_MODULE : CHECK_OK, NULL);
        }
}

static void add_command_line(const struct table *table)
{
        static const struct {
                const char *parameter;
                bool redhat_7;
        } rows[] = {
                { "namespace.unpriv_enable=1", true },
                { "user_namespace.enable=1", true },
                { "vsyscall=native", false },
                { "vsyscall=emulate", false },
        };
        auto_strbuf struct strbuf line = STRBUF_INIT;
        struct error ignored = ERROR_INIT;

        print_heading(table->text, table->colour, "Kernel command line:");
        (void)probe_read(table->context, "/proc/cmdline", &line, &ignored);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                if (rows[i].redhat_7 && !host_is_redhat_7(&table->context->distribution))
                        continue;
                if (strstr(strbuf_text(&line), rows[i].parameter))
                        row(table, rows[i].parameter, CHECK_OK, NULL);
                else if (rows[i].redhat_7)
                        row(table, rows[i].parameter, CHECK_KO, NULL);
                else
                        row(table, rows[i].parameter, CHECK_KO_OPTIONAL, OLD_GLIBC);
        }
}

static void add_parameters(const struct table *table)
{
        static const char *const required[] = {
                "kernel.unprivileged_userns_clone",
                "user.max_user_namespaces",
                "user.max_mnt_namespaces",
        };
        static const char restricts[] = "kernel.apparmor_restrict_unprivileged_userns";
        const char *root = table->context->root;
        long value;

        print_heading(table->text, table->colour, "Kernel parameters:");
        for (size_t i = 0; i < ARRAY_SIZE(required); i++)
                if (host_sysctl(root, required[i], &value))
                        row(table, required[i], value > 0 ? CHECK_OK : CHECK_KO, NULL);
        if (!host_sysctl(root, restricts, &value))
                return;
        if (value == 0)
                row(table, restricts, CHECK_OK, NULL);
        else
                row(table, restricts, CHECK_KO_OPTIONAL, "KO (required w/o apparmor profile)");
}

static void add_packages(const struct table *table)
{
        /* GPUs are found without it here, so its absence is no reason to install it. */
        static const char program[] = "nvidia-container-cli";
        const char *path = getenv("PATH");
        auto_free char *found = path ? path_find_program(program, path) : NULL;

        print_heading(table->text, table->colour, "Extra packages:");
        row(table, program, found ? CHECK_OK : CHECK_KO_OPTIONAL, NULL);
}

int check_print_classic(const struct config *config, bool colour, struct strbuf *text,
                        struct error *err)
{
        auto_probe_context struct probe_context context = { .root = "", .config = config };
        const struct table table = { .context = &context, .text = text, .colour = colour };
        struct error ignored = ERROR_INIT;

        probe_context_load(&context);
        print_heading(text, colour, "Kernel version:");
        (void)probe_read(&context, "/proc/version", text, &ignored);
        add_configuration(&table);
        add_command_line(&table);
        add_parameters(&table);
        add_packages(&table);
        strbuf_append_char(text, '\n');
        return text->failed ? error_no_memory(err) : 0;
}
