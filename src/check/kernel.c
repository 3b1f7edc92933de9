#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "check/probe.h"

int probe_kernel_version(const struct probe_context *context, const struct probe *probe,
                         struct probe_answer *answer, struct error *err)
{
        struct utsname name;
        unsigned int major = 0, minor = 0;

        (void)probe;
        if (uname(&name) < 0)
                return error_errno(err, "uname");
        if (sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
            (major < 3 || (major == 3 && minor < 10)))
                return error_set(err, ENOSYS, "Linux %s is older than 3.10", name.release);
        return probe_found(answer, "Linux %s, %s, %s", name.release, name.machine,
                           *context->distribution.name ? context->distribution.name
                                                       : "unknown distribution");
}

int probe_kernel_file(const struct probe_context *context, const struct probe *probe,
                      struct probe_answer *answer, struct error *err)
{
        (void)probe;
        (void)err;
        if (*context->kernel.path)
                return probe_found(answer, "%s", context->kernel.path);
        return probe_found(answer, "none found: what follows was tried instead");
}

int probe_kernel_option(const struct probe_context *context, const struct probe *probe,
                        struct probe_answer *answer, struct error *err)
{
        if (!*context->kernel.path)
                return PROBE_ABSENT;
        switch (kernel_config_option(&context->kernel, probe->subject)) {
        case KERNEL_OPTION_ON:
                return 0;
        case KERNEL_OPTION_MODULE:
                answer->module = true;
                return 0;
        case KERNEL_OPTION_OFF:
                break;
        }
        return error_set(err, ENOENT, "not set in %s", context->kernel.path);
}

/* The parameters that RHEL 7 needs; elsewhere there is nothing to look for. */
int probe_command_line(const struct probe_context *context, const struct probe *probe,
                       struct probe_answer *answer, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (!host_is_redhat_7(&context->distribution))
                return PROBE_ABSENT;
        if (probe_read(context, "/proc/cmdline", &text, err) < 0)
                return -1;
        if (strstr(strbuf_text(&text), probe->subject))
                return 0;
        host_mend_boot(&context->distribution, probe->subject, answer->mend);
        return error_set(err, ENOENT, "not on the kernel command line");
}
