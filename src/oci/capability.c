/* Names of capabilities and signals. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "oci/oci.h"

/* In the order of their numbers (linux/capability.h). */
static const char *const capabilities[] = {
        "CAP_CHOWN",           "CAP_DAC_OVERRIDE",     "CAP_DAC_READ_SEARCH",
        "CAP_FOWNER",          "CAP_FSETID",           "CAP_KILL",
        "CAP_SETGID",          "CAP_SETUID",           "CAP_SETPCAP",
        "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
        "CAP_NET_ADMIN",       "CAP_NET_RAW",          "CAP_IPC_LOCK",
        "CAP_IPC_OWNER",       "CAP_SYS_MODULE",       "CAP_SYS_RAWIO",
        "CAP_SYS_CHROOT",      "CAP_SYS_PTRACE",       "CAP_SYS_PACCT",
        "CAP_SYS_ADMIN",       "CAP_SYS_BOOT",         "CAP_SYS_NICE",
        "CAP_SYS_RESOURCE",    "CAP_SYS_TIME",         "CAP_SYS_TTY_CONFIG",
        "CAP_MKNOD",           "CAP_LEASE",            "CAP_AUDIT_WRITE",
        "CAP_AUDIT_CONTROL",   "CAP_SETFCAP",          "CAP_MAC_OVERRIDE",
        "CAP_MAC_ADMIN",       "CAP_SYSLOG",           "CAP_WAKE_ALARM",
        "CAP_BLOCK_SUSPEND",   "CAP_AUDIT_READ",       "CAP_PERFMON",
        "CAP_BPF",             "CAP_CHECKPOINT_RESTORE",
};

int oci_capability_number(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(capabilities); i++)
                if (strcmp(capabilities[i], name) == 0)
                        return (int)i;
        return -1;
}

const char *oci_capability_name(unsigned int number)
{
        return number < ARRAY_SIZE(capabilities) ? capabilities[number] : NULL;
}

int oci_signal_number(const char *word)
{
        char *end;
        long number = strtol(word, &end, 10);

        if (*word && !*end)
                return number > 0 && number < NSIG ? (int)number : -1;
        if (strncasecmp(word, "SIG", 3) == 0)
                word += 3;
        for (int sig = 1; sig < NSIG; sig++) {
                const char *name = sigabbrev_np(sig);

                if (name && strcasecmp(name, word) == 0)
                        return sig;
        }
        return -1;
}
