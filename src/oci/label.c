/*
 * Labels of Linux' security modules. What the next execve(2) shall be labelled with is
 * written to a file of /proc that is opened while that of the host is there: below a root
 * that somebody else made, it could be any file (CVE-2019-16884).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/container.h"
#include "util/io.h"

#define APPARMOR_ENABLED "/sys/module/apparmor/parameters/enabled"
#define SELINUX_ENFORCE  "/sys/fs/selinux/enforce"

/* AppArmor's own file came with Linux 5.8; before, it was the one of all modules. */
#define APPARMOR_EXEC "/proc/self/attr/apparmor/exec"
#define SHARED_EXEC   "/proc/self/attr/exec"

static bool has_apparmor(void)
{
        auto_close int fd = open(APPARMOR_ENABLED, O_RDONLY | O_CLOEXEC);
        char answer = 'N';

        return fd >= 0 && read(fd, &answer, 1) == 1 && answer == 'Y';
}

int label_check(const struct oci_process *process, const char *mount_label, struct error *err)
{
        bool selinux = access(SELINUX_ENFORCE, F_OK) == 0;

        if (process->apparmor_profile && !has_apparmor())
                return error_set(err, EOPNOTSUPP,
                                 "apparmorProfile: AppArmor is not enabled on this machine");
        if (process->selinux_label && !selinux)
                return error_set(err, EOPNOTSUPP,
                                 "selinuxLabel: SELinux is not enabled on this machine");
        if (mount_label && !selinux)
                return error_set(err, EOPNOTSUPP,
                                 "mountLabel: SELinux is not enabled on this machine");
        return 0;
}

bool label_is_needed(const struct oci_process *process)
{
        return process->apparmor_profile || process->selinux_label;
}

int label_open(const struct oci_process *process, struct error *err)
{
        const char *path = SHARED_EXEC;
        int fd = -1;

        if (process->apparmor_profile && process->selinux_label)
                return error_set(err, EINVAL, "apparmorProfile and selinuxLabel: one of them");
        if (process->apparmor_profile)
                fd = open(APPARMOR_EXEC, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
                fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd < 0 ? error_errno(err, "%s", path) : fd;
}

int label_set(const struct oci_process *process, int fd, struct error *err)
{
        auto_free char *text = NULL;

        if (!process->apparmor_profile) {
                const char *label = process->selinux_label;

                return io_write_full(fd, label, strlen(label)) < 0
                               ? error_errno(err, "selinuxLabel %s", label)
                               : 0;
        }
        if (asprintf(&text, "exec %s", process->apparmor_profile) < 0)
                return error_no_memory(err);
        if (io_write_full(fd, text, strlen(text)) == 0)
                return 0;
        (void)error_errno(err, "apparmorProfile %s", process->apparmor_profile);
        return err->code == ENOENT ? error_append(err, " (is the profile loaded?)") : -1;
}
