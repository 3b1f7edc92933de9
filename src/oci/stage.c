/* The namespaces of a container, entered by a process that forks its first one and ends. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "oci/container.h"
#include "util/io.h"

/* ---- namespaces that are there ---- */

static int join(const struct oci_spec *spec, enum oci_namespace kind, struct error *err)
{
        const char *path = spec->namespaces[kind];
        auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

        if (fd < 0 || setns(fd, oci_namespaces[kind].flag) < 0)
                return error_errno(err, "%s namespace %s", oci_namespaces[kind].name, path);
        return 0;
}

/*
 * Who may enter a namespace is decided in the user namespace that owns it: the creator's
 * for one that podman made beforehand, the container's for another container's. Which it
 * is shows in trying. joined: bits of those that worked.
 */
static int join_all(const struct oci_spec *spec, bool last_try, unsigned int *joined,
                    struct error *err)
{
        for (int kind = 0; kind < OCI_NS_COUNT; kind++) {
                if (kind == OCI_NS_USER || !spec->namespaces[kind] || *joined >> kind & 1)
                        continue;
                if (join(spec, kind, err) == 0)
                        *joined |= 1u << kind;
                else if (last_try || err->code != EPERM)
                        return -1;
        }
        return 0;
}

/* ---- the user namespace ---- */

static void print_map(const struct id_map *map, struct strbuf *text)
{
        for (size_t i = 0; i < map->count; i++)
                (void)strbuf_printf(text, "%u %u %u\n", map->ranges[i].inside,
                                    map->ranges[i].outside, map->ranges[i].count);
}

int write_id_maps(const struct id_map *uids, const struct id_map *gids, pid_t pid,
                  struct error *err)
{
        auto_strbuf struct strbuf uid_text = STRBUF_INIT, gid_text = STRBUF_INIT;
        char path[64];

        print_map(uids, &uid_text);
        print_map(gids, &gid_text);
        if (uid_text.failed || gid_text.failed)
                return error_no_memory(err);
        (void)snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
        if (io_write_file(-1, path, strbuf_text(&gid_text), err) < 0)
                return -1;
        (void)snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
        return io_write_file(-1, path, strbuf_text(&uid_text), err);
}

/* Root writes maps himself, from outside: a child waits there until the namespace is made. */
static int enter_user_as_root(const struct oci_spec *spec, struct error *err)
{
        pid_t parent = getpid(), child;
        auto_close int fd = -1;
        int sockets[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_errno(err, "sockets");
        fd = sockets[0];
        child = fork();
        if (child == 0) {
                struct error failure = ERROR_INIT;

                (void)close(fd);
                if (message_receive(sockets[1], MESSAGE_GO, NULL, &failure) < 0 ||
                    write_id_maps(&spec->uids, &spec->gids, parent, &failure) < 0)
                        message_fail(sockets[1], &failure);
                _exit(message_send(sockets[1], MESSAGE_READY, 0, &failure) < 0);
        }
        (void)close(sockets[1]);
        if (child < 0)
                return error_errno(err, "cannot start a process");
        if (unshare(CLONE_NEWUSER) < 0)
                (void)error_errno(err, "cannot create a user namespace");
        else if (message_send(fd, MESSAGE_GO, 0, err) == 0)
                (void)message_receive(fd, MESSAGE_READY, NULL, err);
        (void)close(TAKE_FD(fd));
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        return err->code ? -1 : 0;
}

static int enter_user(const struct creation *creation, struct error *err)
{
        const struct oci_spec *spec = &creation->spec;

        if (spec->namespaces[OCI_NS_USER]) {
                if (join(spec, OCI_NS_USER, err) < 0)
                        return -1;
        } else if (!(spec->new_namespaces & CLONE_NEWUSER)) {
                return 0;
        } else if (geteuid() == 0 ? enter_user_as_root(spec, err) < 0
                                  : runtime_enter_user(&spec->uids, &spec->gids,
                                                       creation->create->path, err) < 0) {
                return -1;
        }
        /*
         * Files that are made and mounted are root's where there is one; else the user's,
         * who has the same capabilities.
         */
        if ((spec->namespaces[OCI_NS_USER] || id_is_mapped(&spec->uids, 0)) &&
            setresuid(0, 0, 0) < 0)
                return error_errno(err, "cannot be root in the user namespace");
        if ((spec->namespaces[OCI_NS_USER] || id_is_mapped(&spec->gids, 0)) &&
            setresgid(0, 0, 0) < 0)
                return error_errno(err, "cannot have root's group in the user namespace");
        return 0;
}

/* ---- all of them ---- */

/* time_namespaces(7): it is for children, and its clocks can be set until it has one. */
static int enter_time(const struct creation *creation, struct error *err)
{
        const struct oci_spec *spec = &creation->spec;

        if (unshare(CLONE_NEWTIME) < 0)
                return error_errno(err, "cannot create a time namespace");
        if (!spec->time_offsets)
                return 0;
        /*
         * A change of user has given the files in /proc/self to root of the machine; they are
         * this process's own again, and nobody else is in its user namespace yet.
         */
        if (spec->new_namespaces & CLONE_NEWUSER)
                (void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
        return io_write_file(-1, "/proc/self/timens_offsets", spec->time_offsets, err) < 0
                       ? error_prefix(err, "timeOffsets")
                       : 0;
}

static int enter_namespaces(const struct creation *creation, struct error *err)
{
        const struct oci_spec *spec = &creation->spec;
        struct error refused = ERROR_INIT;
        unsigned int joined = 0;

        if (join_all(spec, !creation->user_namespace, &joined, &refused) < 0) {
                *err = refused;
                return -1;
        }
        if (enter_user(creation, err) < 0 || join_all(spec, true, &joined, err) < 0 ||
            runtime_enter_namespaces(spec->new_namespaces, creation->user_namespace, err) < 0)
                return -1;
        if (spec->new_namespaces & CLONE_NEWTIME && enter_time(creation, err) < 0)
                return -1;
        if (spec->new_namespaces & CLONE_NEWPID && unshare(CLONE_NEWPID) < 0)
                return error_errno(err, "cannot create a PID namespace");
        return 0;
}

_Noreturn void stage_run(struct creation *creation)
{
        struct error err = ERROR_INIT;
        pid_t child;

        if (process_set_oom_score(&creation->spec.process, creation->report, &err) < 0 ||
            idmap_prepare(&creation->spec, &err) < 0 || enter_namespaces(creation, &err) < 0)
                message_fail(creation->channel, &err);
        child = fork();
        if (child == 0)
                inside_run(creation);
        if (child < 0) {
                (void)error_errno(&err, "cannot start a process");
                message_fail(creation->channel, &err);
        }
        _exit(message_send(creation->channel, MESSAGE_PID, child, &err) < 0);
}
