/*
 * 10-devices (RESTRICT_DEV, UNSHARE_IPC): a private /dev with the harmless devices instead of
 * the host's. Carried out at once, because later hooks add devices to it. It is private, too,
 * when some but not all GPUs or adapters are asked for; it then has everything else of the
 * host's that the user can open.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hooks/builtin.h"

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
        "/dev/hugepages /dev/hugepages none x-create=dir,bind,rw,nosuid,noexec,nodev,rslave,"
        "nofail,silent",
        "/dev/log /dev/log none x-create=file,bind,rw,nosuid,noexec,nodev,private,nofail,silent",
};

static const char *const shared_ipc[] = {
        "/dev/shm /dev/shm none x-create=dir,bind,rw,nosuid,noexec,nodev,rslave",
        "/dev/mqueue /dev/mqueue none x-create=dir,bind,rw,nosuid,noexec,nodev,rslave,nofail,"
        "silent",
};

static const char *const own_ipc[] = {
        "tmpfs /dev/shm tmpfs x-create=dir,rw,nosuid,noexec,nodev,mode=1777,private",
        "mqueue /dev/mqueue mqueue x-create=dir,rw,nosuid,noexec,nodev,private,nofail,silent",
};

static const struct {
        const char *path, *target;
} links[] = {
        { "/dev/fd", "/proc/self/fd" },       { "/dev/ptmx", "/dev/pts/ptmx" },
        { "/dev/stdin", "/proc/self/fd/0" },  { "/dev/stdout", "/proc/self/fd/1" },
        { "/dev/stderr", "/proc/self/fd/2" },
};

static int add_lines(struct mount_plan *plan, const char *const *from, size_t count,
                     struct error *err)
{
        for (size_t i = 0; i < count; i++)
                if (mount_plan_add_line(plan, err, "%s", from[i]) < 0)
                        return -1;
        return 0;
}

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

/* Names that the lines above see to. */
static const char *const standard[] = { "zero", "null",      "full", "urandom", "random",
                                        "pts",  "tty",       "log",  "shm",     "mqueue",
                                        "ptmx", "hugepages", "fd",   "console", NULL };

/* The kinds of devices of which a part is asked for, as far as built-in hooks add that part. */
static unsigned int chosen_kinds(const struct hook_context *context)
{
        const struct gpu_request request = hook_gpu_request(context, NULL);

        return gpu_subsets(&request) & context->native_kinds;
}

/* The rest of the host's /dev, without the devices of the kinds. */
static int add_rest(const struct hook_context *context, unsigned int kinds,
                    struct mount_plan *plan, struct error *err)
{
        auto_gpu_roots struct gpu_roots roots = { .driver = NULL };
        const struct gpu_request request = hook_gpu_request(context, &roots);

        if (gpu_roots_init(&roots, request.host) < 0)
                return error_no_memory(err);
        return gpu_private_dev(&request, kinds, standard, plan, err);
}

/* Whether nothing of the host's is wanted that the lines above do not name. */
static bool is_restricted(const struct hook_context *context)
{
        return context->config->restrict_dev || context->config->unshare_ipc;
}

int hook_private_dev(struct hook_context *context, unsigned int kinds, struct hook_plan *plan,
                     struct error *err)
{
        const bool own = context->config->unshare_ipc;

        context->private_dev = true;
        if (add_lines(&plan->now, lines, ARRAY_SIZE(lines), err) < 0 ||
            (own ? add_lines(&plan->now, own_ipc, ARRAY_SIZE(own_ipc), err)
                 : add_lines(&plan->now, shared_ipc, ARRAY_SIZE(shared_ipc), err)) < 0 ||
            add_console(&plan->now, err) < 0 ||
            (!is_restricted(context) && add_rest(context, kinds, &plan->now, err) < 0))
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(links); i++)
                if (change_list_add(&plan->changes, &(struct change){
                                                            .kind = CHANGE_LINK,
                                                            .path = (char *)links[i].path,
                                                            .text = (char *)links[i].target,
                                                            .length = strlen(links[i].target),
                                                    }) < 0)
                        return error_no_memory(err);
        return 0;
}

int hook_devices(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        const bool restricted = is_restricted(context);
        const unsigned int kinds = restricted ? 0 : chosen_kinds(context);

        return restricted || kinds ? hook_private_dev(context, kinds, plan, err) : 0;
}
