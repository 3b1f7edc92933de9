#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "check/probe.h"
#include "util/cleanup.h"
#include "util/io.h"

int probe_user_namespace(const struct probe_context *context, const struct probe *probe,
                         struct probe_answer *answer, struct error *err)
{
        (void)probe;
        if (unshare(CLONE_NEWUSER) == 0)
                return 0;
        error_errno(err, "cannot create one");
        return probe_refused(context, HOST_USER_NAMESPACE, answer, err);
}

int probe_enter_user(const struct probe_context *context, bool root, struct probe_answer *answer,
                     struct error *err)
{
        char uid_map[64], gid_map[64];
        uid_t uid = geteuid();
        gid_t gid = getegid();

        (void)snprintf(uid_map, sizeof(uid_map), "%u %u 1", root ? 0 : uid, uid);
        (void)snprintf(gid_map, sizeof(gid_map), "%u %u 1", root ? 0 : gid, gid);
        if (unshare(CLONE_NEWUSER) < 0) {
                error_errno(err, "cannot create a user namespace");
                return probe_refused(context, HOST_USER_NAMESPACE, answer, err);
        }
        if (io_write_file(-1, "/proc/self/setgroups", "deny", err) < 0 ||
            io_write_file(-1, "/proc/self/gid_map", gid_map, err) < 0 ||
            io_write_file(-1, "/proc/self/uid_map", uid_map, err) < 0)
                return probe_refused(context, HOST_USER_NAMESPACE, answer, err);
        return 0;
}

int probe_one_id(const struct probe_context *context, const struct probe *probe,
                 struct probe_answer *answer, struct error *err)
{
        bool root = strcmp(probe->subject, "root") == 0;
        uid_t expected = root ? 0 : geteuid();

        if (probe_enter_user(context, root, answer, err) < 0)
                return -1;
        if (geteuid() != expected)
                return error_set(err, EINVAL, "the map has no effect");
        return 0;
}

int probe_namespace(const struct probe_context *context, const struct probe *probe,
                    struct probe_answer *answer, struct error *err)
{
        static const struct {
                const char *kind;
                int flag;
                enum host_feature feature;
        } kinds[] = {
                { "mnt", CLONE_NEWNS, HOST_MOUNT_NAMESPACE },
                { "pid", CLONE_NEWPID, HOST_PID_NAMESPACE },
                { "net", CLONE_NEWNET, HOST_NET_NAMESPACE },
                { "ipc", CLONE_NEWIPC, HOST_IPC_NAMESPACE },
                { "uts", CLONE_NEWUTS, HOST_UTS_NAMESPACE },
                { "cgroup", CLONE_NEWCGROUP, HOST_CGROUP_NAMESPACE },
        };

        if (probe_enter_user(context, false, answer, err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
                if (strcmp(kinds[i].kind, probe->subject) != 0 || unshare(kinds[i].flag) == 0)
                        continue;
                error_errno(err, "cannot create one");
                return probe_refused(context, kinds[i].feature, answer, err);
        }
        return 0;
}

int probe_enter_scratch(const struct probe_context *context, struct probe_answer *answer,
                        struct error *err)
{
        /* Any directory will do as the mount point: nobody else sees what is mounted there. */
        static const char *const places[] = { "/tmp", "/mnt", "/usr", "/etc" };

        if (probe_enter_user(context, true, answer, err) < 0)
                return -1;
        if (unshare(CLONE_NEWNS) < 0) {
                error_errno(err, "cannot create a mount namespace");
                return probe_refused(context, HOST_MOUNT_NAMESPACE, answer, err);
        }
        for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
                if (mount("tmpfs", places[i], "tmpfs", MS_NOSUID | MS_NODEV, "mode=700") == 0) {
                        if (chdir(places[i]) < 0)
                                return error_errno(err, "%s", places[i]);
                        return 0;
                }
                if (errno != ENOENT)
                        break;
        }
        error_errno(err, "cannot mount a tmpfs");
        if (err->code == EACCES || err->code == EPERM)
                return probe_refused(context, HOST_MOUNT_NAMESPACE, answer, err);
        return -1;
}
