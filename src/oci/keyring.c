/*
 * The session keyring (session-keyring(7)) of a container, so that keys of the caller's are
 * not there: a new one, which "exec" finds by its name.
 */
#include <errno.h>
#include <linux/keyctl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/container.h"

/* keyctl_setperm(3): who has it may do all but change that; its user may see and search it. */
#define PERMISSIONS 0x3f0b0000

int keyring_join(const char *id, struct report *report, struct error *err)
{
        char name[300];
        long serial;

        (void)snprintf(name, sizeof(name), "_ses.%s", id);
        serial = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name, 0, 0, 0);
        if (serial >= 0) {
                (void)syscall(SYS_keyctl, KEYCTL_SETPERM, serial, PERMISSIONS, 0, 0);
                return 0;
        }
        /* No keyrings in this kernel, or none for containers, by an outer one's filter. */
        if (errno == ENOSYS || errno == EPERM)
                return 0;
        if (errno != EDQUOT)
                return error_errno(err, "session keyring (--no-new-keyring keeps the caller's)");
        /* kernel.keys.maxkeys, 200 for each user. */
        report_warn(report, "this user has no quota left for a session keyring: the caller's "
                            "stays");
        return 0;
}
