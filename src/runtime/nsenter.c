/*
 * New namespaces, or those of another process, and a command in them: what the program
 * does for scripts as enroot-nsenter. Unlike join.c it changes no root directory, keeps
 * the rights that come with the namespaces, and the environment unless it is given one.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/child.h"
#include "runtime/container.h"
#include "runtime/join.h"
#include "util/capabilities.h"

/* 0 in the process that goes on, 1 in its stand-in when it has ended, -1 with *err. */
static int create(const struct runtime_nsenter *nsenter, struct container *container,
                  int *ret_status, struct error *err)
{
        struct stand_in stand_in;
        int result;

        if (container->user_namespace &&
            (namespace_enter_user(container, err) < 0 ||
             (container->identity.uid != 0 && capabilities_keep(err) < 0)))
                return -1;
        if (nsenter->namespaces & CLONE_NEWPID) {
                result = child_fork(&stand_in, true, err);
                if (result > 0)
                        *ret_status = child_watch(&stand_in);
                if (result != 0)
                        return result;
        }
        return runtime_enter_namespaces(nsenter->namespaces, container->user_namespace, err);
}

static int join(const struct runtime_nsenter *nsenter, struct container *container, int *ret_status,
                struct error *err)
{
        auto_join_target struct join_target target = JOIN_TARGET_INIT;
        int others;

        if (join_target_open(&target, nsenter->target, err) < 0 ||
            join_target_compare(&target, nsenter->namespaces | CLONE_NEWCGROUP, &others, err) < 0)
                return -1;
        container->user_namespace = others & CLONE_NEWUSER;
        return join_target_enter(&target, others, false, ret_status, err);
}

/* fd: what the path was in the old namespaces; -1: it means what it means in the new ones. */
static int change_directory(const char *path, int fd, struct error *err)
{
        auto_free char *cwd = NULL;

        if ((fd >= 0 ? fchdir(fd) : chdir(path)) < 0)
                return error_errno(err, "%s", path);
        /* A directory of the host would be a way out (CVE-2024-21626). */
        cwd = getcwd(NULL, 0);
        if (!cwd || *cwd != '/')
                return error_set(err, ENOENT, "%s is not in the new namespaces", path);
        return 0;
}

int runtime_nsenter(const struct runtime_nsenter *nsenter, const struct config *config,
                    struct report *report, int *ret_status, struct error *err)
{
        /* /proc/PID/cwd has to be looked up where /proc still has the process. */
        bool early =
                nsenter->directory && nsenter->target > 0 && nsenter->namespaces & CLONE_NEWPID;
        auto_container struct container container = CONTAINER_INIT(NULL, config, report);
        auto_login struct login login = LOGIN_INIT;
        auto_close int directory_fd = -1;
        int result;

        identity_init(&container);
        container.user_namespace = nsenter->namespaces & CLONE_NEWUSER;
        for (size_t i = 0; i < nsenter->environment->count; i++)
                if (strlist_append(&login.environment, nsenter->environment->items[i]) < 0)
                        return error_no_memory(err);
        if (login_set_command(&login, nsenter->command) < 0)
                return error_no_memory(err);
        if (early) {
                directory_fd = open(nsenter->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (directory_fd < 0)
                        return error_errno(err, "%s", nsenter->directory);
        }
        result = nsenter->target > 0 ? join(nsenter, &container, ret_status, err)
                                     : create(nsenter, &container, ret_status, err);
        if (result != 0)
                return result;
        if (nsenter->directory && change_directory(nsenter->directory, directory_fd, err) < 0)
                return -1;
        return login_exec(&login, &container, err);
}
