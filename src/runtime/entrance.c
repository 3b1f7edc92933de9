/*
 * The way into a container for a process that is not this program's: the Slurm plugin
 * gets the descriptors and becomes a process of the container itself.
 *
 * Linked into other programs, so it never ends the process, and changes nothing of it
 * before runtime_entrance_enter.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "runtime/container.h"
#include "runtime/join.h"
#include "util/io.h"

#define MAP_LIMIT (1u << 20) /* bytes of /proc/PID/uid_map */

/* The order: the user namespace gives the right to the others. */
static const struct {
        int flag;
        const char *file;
} kinds[RUNTIME_ENTRANCE_NAMESPACES] = {
        { CLONE_NEWUSER, "ns/user" }, { CLONE_NEWCGROUP, "ns/cgroup" }, { CLONE_NEWNS, "ns/mnt" },
        { CLONE_NEWIPC, "ns/ipc" },   { CLONE_NEWUTS, "ns/uts" },       { CLONE_NEWNET, "ns/net" },
};

void runtime_entrance_release(struct runtime_entrance *entrance)
{
        for (size_t i = 0; i < ARRAY_SIZE(entrance->namespaces); i++)
                if (entrance->namespaces[i] >= 0)
                        (void)close(TAKE_FD(entrance->namespaces[i]));
        if (entrance->root >= 0)
                (void)close(TAKE_FD(entrance->root));
}

static int open_namespaces(const struct join_target *target, struct runtime_entrance *ret,
                           struct error *err)
{
        int wanted = 0, other;

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                wanted |= kinds[i].flag;
        if (join_target_compare(target, wanted, &other, err) < 0)
                return -1;
        if (!(other & CLONE_NEWNS))
                return error_set(err, EINVAL, "process %d is not in a container", target->pid);
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                if (!(other & kinds[i].flag))
                        continue;
                ret->namespaces[i] = openat(target->proc_fd, kinds[i].file, O_RDONLY | O_CLOEXEC);
                if (ret->namespaces[i] < 0)
                        return error_errno(err, "process %d: %s", target->pid, kinds[i].file);
        }
        return 0;
}

/* Whether its user namespace has one user: then calls that change owners are answered. */
static int read_map(const struct join_target *target, bool *ret, struct error *err)
{
        auto_strbuf struct strbuf map = STRBUF_INIT;
        unsigned int count = 0;

        if (io_read_file(target->proc_fd, "uid_map", MAP_LIMIT, &map, err) < 0)
                return error_prefix(err, "process %d", target->pid);
        *ret = sscanf(strbuf_text(&map), "%*u %*u %u", &count) == 1 && count == 1 &&
               strchr(map.data, '\n') == map.data + map.length - 1;
        return 0;
}

int runtime_entrance_open(pid_t pid, struct runtime_entrance *ret, struct error *err)
{
        auto_join_target struct join_target target = JOIN_TARGET_INIT;

        if (join_target_open(&target, pid, err) < 0 || open_namespaces(&target, ret, err) < 0)
                return -1;
        ret->root = openat(target.proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (ret->root < 0)
                return error_errno(err, "process %d: its root directory", pid);
        return read_map(&target, &ret->single_id, err);
}

int runtime_entrance_enter(const struct runtime_entrance *entrance, const char *directory,
                           struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (entrance->namespaces[i] >= 0 &&
                    setns(entrance->namespaces[i], kinds[i].flag) < 0)
                        return error_errno(err, "cannot enter the container: %s", kinds[i].file);
        if (fchdir(entrance->root) < 0 || chroot(".") < 0)
                return error_errno(err, "cannot enter the root directory of the container");
        if (chdir(directory) < 0)
                return error_errno(err, "the working directory %s", directory);
        /* A real root who is allowed to be one stays it. */
        if (entrance->namespaces[0] < 0)
                return 0;
        if (privileges_limit(getuid(), err) < 0)
                return -1;
        return entrance->single_id ? seccomp_install(err) : 0;
}
