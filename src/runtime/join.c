/*
 * A command where another process is.
 *
 * Everything about the process is read through descriptors that cannot come to mean
 * another one (join_target.c). What the program holds of the host is closed before the
 * command runs, its working directory is one that is in the container (CVE-2024-21626),
 * and as long as it is still this program, nobody inside can look into it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "env/env.h"
#include "runtime/container.h"
#include "runtime/join.h"
#include "runtime/proc_text.h"
#include "util/io.h"

/* Limits on files of /proc/PID, in bytes. execve(2) takes no more than 6 MiB of environment. */
#define ENVIRON_LIMIT (8u << 20)
#define STATUS_LIMIT  (1u << 20)

#define STATUS_FAILED         (1 << 8) /* as of wait(2): exit status 1 */
#define STATUS_NOT_EXECUTABLE (126 << 8)
#define STATUS_NOT_FOUND      (127 << 8)

/* What the command gets from the process. */
struct surroundings {
        int root_fd, cwd_fd; /* cwd_fd -1: it has none any more */
        bool single_id;      /* its user namespace has one user: as a start, answer for chown */
};

#define SURROUNDINGS_INIT                                                                          \
        {                                                                                          \
                .root_fd = -1, .cwd_fd = -1                                                        \
        }

static void surroundings_release(struct surroundings *surroundings)
{
        if (surroundings->root_fd >= 0)
                (void)close(TAKE_FD(surroundings->root_fd));
        if (surroundings->cwd_fd >= 0)
                (void)close(TAKE_FD(surroundings->cwd_fd));
}

/* ---- what the process has ---- */

static int read_file(const struct join_target *target, const char *name, size_t limit,
                     struct strbuf *text, struct error *err)
{
        if (io_read_file(target->proc_fd, name, limit, text, err) == 0)
                return 0;
        if (err->code == ENOENT || err->code == ESRCH)
                return error_set(err, ESRCH, "process %d has ended", target->pid);
        return error_prefix(err, "process %d", target->pid);
}

/* Whether it is still the process that a caller has seen. */
static int check_start(const struct join_target *target, uint64_t start, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct proc_stat stat;

        if (start == 0)
                return 0;
        if (read_file(target, "stat", STATUS_LIMIT, &text, err) < 0)
                return -1;
        if (!proc_stat_parse(strbuf_text(&text), &stat) || stat.start != start)
                return error_set(err, ESRCH, "process %d has ended", target->pid);
        return 0;
}

static int read_environment(const struct join_target *target, struct strlist *environment,
                            struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (read_file(target, "environ", ENVIRON_LIMIT, &text, err) < 0)
                return -1;
        for (size_t at = 0; at < text.length;) {
                size_t length = strnlen(text.data + at, text.length - at);

                /* Programs that write over their arguments (setproctitle) leave empty ones. */
                if (memchr(text.data + at, '=', length) &&
                    strlist_append_mem(environment, text.data + at, length) < 0)
                        return error_no_memory(err);
                at += length + 1;
        }
        return 0;
}

int runtime_read_environment(pid_t pid, struct strlist *ret, struct error *err)
{
        auto_join_target struct join_target target = JOIN_TARGET_INIT;

        if (join_target_open(&target, pid, err) < 0)
                return -1;
        return read_environment(&target, ret, err);
}

static int read_umask(const struct join_target *target, struct login *login, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        unsigned long mask;

        if (read_file(target, "status", STATUS_LIMIT, &text, err) < 0)
                return -1;
        /* Since Linux 4.7. */
        if (proc_status_number(strbuf_text(&text), "Umask", 8, &mask) && mask <= 0777) {
                login->has_umask = true;
                login->umask = (mode_t)mask;
        }
        return 0;
}

static int read_surroundings(const struct join_target *target, struct surroundings *ret,
                             struct error *err)
{
        auto_strbuf struct strbuf map = STRBUF_INIT;
        unsigned int count = 0;

        ret->root_fd = openat(target->proc_fd, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (ret->root_fd < 0)
                return error_errno(err, "process %d: its root directory", target->pid);
        ret->cwd_fd = openat(target->proc_fd, "cwd", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (read_file(target, "uid_map", STATUS_LIMIT, &map, err) < 0)
                return -1;
        ret->single_id = sscanf(strbuf_text(&map), "%*u %*u %u", &count) == 1 && count == 1 &&
                         strchr(map.data, '\n') == map.data + map.length - 1;
        return 0;
}

/* ---- becoming it ---- */

/* Root and working directory, now that the mount namespace is the container's. */
static int enter_directories(const struct surroundings *surroundings, struct report *report,
                             struct error *err)
{
        auto_free char *cwd = NULL;

        if (fchdir(surroundings->root_fd) < 0 || chroot(".") < 0)
                return error_errno(err, "cannot enter the root directory of the container");
        if (surroundings->cwd_fd >= 0 && fchdir(surroundings->cwd_fd) == 0)
                cwd = getcwd(NULL, 0);
        /* One that has no path here is deleted, or is the host's: neither is passed on. */
        if (cwd && *cwd == '/')
                return 0;
        report_warn(report, "the working directory of the process is gone: using /");
        return chdir("/") < 0 ? error_errno(err, "/") : 0;
}

/*
 * Needs the capabilities of the namespace: only the owner may open a process's environ, and
 * that may be another user of the container, with a subordinate id.
 */
static int prepare_login(const struct runtime_join *join, const struct config *config,
                         const struct join_target *target, struct login *login, struct error *err)
{
        if (read_environment(target, &login->environment, err) < 0)
                return -1;
        for (size_t i = 0; join->env && i < join->env->count; i++)
                if (env_add_word(&login->environment, join->env->items[i], &config->environment,
                                 err) < 0)
                        return -1;
        return login_set_command(login, join->command) < 0 ? error_no_memory(err) : 0;
}

/* ENOENT is said of a missing interpreter, too. */
static bool is_missing(const char *command, const struct error *err)
{
        return err->code == ENOENT && (!strchr(command, '/') || access(command, F_OK) < 0);
}

int runtime_join(const struct runtime_join *join, const struct config *config,
                 struct report *report, int *ret_status, struct error *err)
{
        auto_join_target struct join_target target = JOIN_TARGET_INIT;
        auto_cleanup(surroundings_release) struct surroundings surroundings = SURROUNDINGS_INIT;
        auto_login struct login login = LOGIN_INIT;
        auto_container struct container container = CONTAINER_INIT(NULL, config, report);
        int namespaces, result;

        *ret_status = STATUS_FAILED;
        if (join_target_open(&target, join->pid, err) < 0 ||
            join_target_compare(&target, JOIN_ALL, &namespaces, err) < 0)
                return -1;
        if (!(namespaces & CLONE_NEWNS))
                return error_set(err, EINVAL, "process %d is not in a container", join->pid);
        if (check_start(&target, join->start, err) < 0 || read_umask(&target, &login, err) < 0 ||
            read_surroundings(&target, &surroundings, err) < 0)
                return -1;

        result = join_target_enter(&target, namespaces, join->root, ret_status, err);
        if (result != 0)
                return result;
        if (prepare_login(join, config, &target, &login, err) < 0 ||
            enter_directories(&surroundings, report, err) < 0 ||
            privileges_limit(getuid(), err) < 0)
                return -1;
        container.user_namespace = surroundings.single_id;
        (void)login_exec(&login, &container, err);
        *ret_status = is_missing(*join->command, err) ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
        return -1;
}
