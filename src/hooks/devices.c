/*
 * 10-devices (RESTRICT_DEV): a private /dev with the harmless devices instead of
 * the host's. Carried out at once, because later hooks add devices to it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "hooks/builtin.h"
#include "util/path.h"

static const char *const lines[] = {
        "none /dev none x-detach,nofail,silent",
        "tmpfs /dev tmpfs x-create=dir,rw,nosuid,noexec,mode=755,slave",
        "/dev/zero /dev/zero none x-create=file,bind,rw,nosuid,noexec,private",
        "/dev/null /dev/null none x-create=file,bind,rw,nosuid,noexec,private",
        "/dev/full /dev/full none x-create=file,bind,rw,nosuid,noexec,private",
        "/dev/urandom /dev/urandom none x-create=file,bind,rw,nosuid,noexec,private",
        "/dev/random /dev/random none x-create=file,bind,rw,nosuid,noexec,private",
        "devpts /dev/pts devpts x-create=dir,rw,nosuid,noexec,newinstance,ptmxmode=0666,mode=620,"
        "slave",
        "/dev/tty /dev/tty none x-create=file,bind,rw,nosuid,noexec,private",
        "/dev/shm /dev/shm none x-create=dir,bind,rw,nosuid,noexec,nodev,rslave",
        "/dev/mqueue /dev/mqueue none x-create=dir,bind,rw,nosuid,noexec,nodev,rslave,nofail,"
        "silent",
        "/dev/hugepages /dev/hugepages none x-create=dir,bind,rw,nosuid,noexec,nodev,rslave,"
        "nofail,silent",
        "/dev/log /dev/log none x-create=file,bind,rw,nosuid,noexec,nodev,private,nofail,silent",
};

static const struct {
        const char *name, *target;
} links[] = {
        { "fd", "/proc/self/fd" },       { "ptmx", "/dev/pts/ptmx" },
        { "stdin", "/proc/self/fd/0" },  { "stdout", "/proc/self/fd/1" },
        { "stderr", "/proc/self/fd/2" },
};

/* The terminal that the user sits at is the console. Another container's terminal has no name. */
static int add_console(struct mount_plan *plan, struct error *err)
{
        char terminal[PATH_MAX];

        if (!isatty(STDIN_FILENO) || ttyname_r(STDIN_FILENO, terminal, sizeof(terminal)) != 0)
                return 0;
        return mount_plan_add_line(plan, err,
                                   "%s /dev/console none x-create=file,bind,rw,nosuid,noexec,"
                                   "private,nofail,silent",
                                   terminal);
}

int hook_devices(struct hook_context *context, struct error *err)
{
        auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
        auto_close int dev = -1;

        if (!context->config->restrict_dev)
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
                if (mount_plan_add_line(&plan, err, "%s", lines[i]) < 0)
                        return -1;
        if (add_console(&plan, err) < 0 ||
            mount_plan_apply(&plan, &context->root, 0, 0, context->report, err) < 0)
                return -1;

        dev = path_open_in_root(context->root.fd, "/dev", O_PATH | O_DIRECTORY, 0);
        if (dev < 0)
                return error_errno(err, "/dev");
        for (size_t i = 0; i < ARRAY_SIZE(links); i++)
                if (symlinkat(links[i].target, dev, links[i].name) < 0)
                        return error_errno(err, "/dev/%s", links[i].name);
        return 0;
}
