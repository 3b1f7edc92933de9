#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "check/probe.h"

int probe_sysctl_allows(const struct probe_context *context, const struct probe *probe,
                        struct probe_answer *answer, struct error *err)
{
        bool is_limit = strncmp(probe->subject, "user.max_", strlen("user.max_")) == 0;
        long value;

        if (!host_sysctl(context->root, probe->subject, &value))
                return PROBE_ABSENT;
        if (value > 0)
                return probe_found(answer, "%ld", value);
        /* Root may make namespaces all the same where only a switch is off. */
        answer->harmless = !is_limit && geteuid() == 0;
        host_mend_sysctl(&context->distribution, probe->subject, is_limit ? "65536" : "1",
                         answer->mend);
        return error_set(err, EPERM, "it is %ld", value);
}

/* The label that AppArmor has given this process; false when there is none to read. */
static bool read_label(const struct probe_context *context, struct strbuf *label)
{
        struct error ignored = ERROR_INIT;

        if (probe_read(context, "/proc/self/attr/apparmor/current", label, &ignored) < 0 &&
            probe_read(context, "/proc/self/attr/current", label, &ignored) < 0)
                return false;
        if (label->length > 0)
                label->data[strcspn(label->data, "\n")] = '\0';
        return *strbuf_text(label) != '\0';
}

int probe_sysctl_restricts(const struct probe_context *context, const struct probe *probe,
                           struct probe_answer *answer, struct error *err)
{
        auto_strbuf struct strbuf label = STRBUF_INIT;
        long value;

        if (!host_sysctl(context->root, probe->subject, &value))
                return PROBE_ABSENT;
        if (value == 0)
                return probe_found(answer, "0");
        if (read_label(context, &label) && strncmp(label.data, "unconfined", 10) != 0)
                return probe_found(answer, "%ld, but this program has the profile %.200s", value,
                                   label.data);
        host_mend_sysctl(&context->distribution, probe->subject, "0", answer->mend);
        return error_set(err, EPERM, "it is %ld, and this program has no AppArmor profile", value);
}

/* What containers do without, and is asked about all the same: the effect goes with the value. */
int probe_sysctl_shown(const struct probe_context *context, const struct probe *probe,
                       struct probe_answer *answer, struct error *err)
{
        long value;

        (void)err;
        if (!host_sysctl(context->root, probe->subject, &value))
                return PROBE_ABSENT;
        return probe_found(answer, "%ld; %s", value, probe->effect);
}

/* ---- security modules ---- */

int probe_apparmor(const struct probe_context *context, const struct probe *probe,
                   struct probe_answer *answer, struct error *err)
{
        auto_strbuf struct strbuf enabled = STRBUF_INIT, label = STRBUF_INIT;

        (void)probe;
        if (probe_read(context, "/sys/module/apparmor/parameters/enabled", &enabled, err) < 0 ||
            *strbuf_text(&enabled) != 'Y')
                return PROBE_ABSENT;
        return probe_found(answer, "profile %.200s",
                           read_label(context, &label) ? label.data : "unknown");
}

int probe_selinux(const struct probe_context *context, const struct probe *probe,
                  struct probe_answer *answer, struct error *err)
{
        auto_strbuf struct strbuf enforce = STRBUF_INIT, label = STRBUF_INIT;

        (void)probe;
        if (probe_read(context, "/sys/fs/selinux/enforce", &enforce, err) < 0)
                return PROBE_ABSENT;
        (void)read_label(context, &label);
        return probe_found(answer, "%s, context %.200s",
                           *strbuf_text(&enforce) == '1' ? "enforcing" : "permissive",
                           strbuf_text(&label));
}

int probe_lockdown(const struct probe_context *context, const struct probe *probe,
                   struct probe_answer *answer, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        const char *chosen;

        (void)probe;
        /* "[none] integrity confidentiality" */
        if (probe_read(context, "/sys/kernel/security/lockdown", &text, err) < 0)
                return PROBE_ABSENT;
        chosen = strchr(strbuf_text(&text), '[');
        if (!chosen)
                return PROBE_ABSENT;
        return probe_found(answer, "%.*s; containers need nothing that it forbids",
                           (int)strcspn(chosen + 1, "]"), chosen + 1);
}

int probe_outer_filter(const struct probe_context *context, const struct probe *probe,
                       struct probe_answer *answer, struct error *err)
{
        (void)probe;
        (void)err;
        if (host_process_status(context->root, "Seccomp") <= 0)
                return probe_found(answer, "none");
        return probe_found(answer, "this process runs under one, as in a pod");
}

int probe_no_new_privs(const struct probe_context *context, const struct probe *probe,
                       struct probe_answer *answer, struct error *err)
{
        (void)probe;
        if (host_process_status(context->root, "NoNewPrivs") <= 0)
                return 0;
        (void)snprintf(answer->mend, sizeof(answer->mend),
                       "start the outer container with \"allowPrivilegeEscalation: true\" (a pod) "
                       "or without \"--security-opt no-new-privileges\"");
        return error_set(err, EPERM, "no_new_privs is set for this process");
}
