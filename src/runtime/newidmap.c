#include "runtime/newidmap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"
#include "util/path.h"
#include "util/strlist.h"

/* Where distributions install set-user-id programs, for a PATH that leaves them out. */
#define USUAL_PLACES "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin"

/* The most that is read of what they have to say. */
#define COMPLAINT_LIMIT 4096u

static const char *const programs[] = { "newuidmap", "newgidmap" };

/* ---- finding them ---- */

char *newidmap_find(const char *program, const char *path)
{
        char *found = path ? path_find_program(program, path) : NULL;

        return found ? found : path_find_program(program, USUAL_PLACES);
}

void newidmap_mend(char mend[HOST_MEND_SIZE])
{
        struct host_distribution distribution;

        host_distribution_load("", &distribution);
        host_mend_package(&distribution, HOST_PACKAGE_UIDMAP, mend);
}

static int explain_missing(const char *program, struct error *err)
{
        char mend[HOST_MEND_SIZE];

        newidmap_mend(mend);
        return error_set(err, ENOENT, "%s is missing, which maps subordinate ids: %s", program,
                         mend);
}

/* What keeps a program that was found from having the rights that it needs. Always -1. */
static int explain_rights(const struct newidmap *tools, const char *program, struct error *err)
{
        auto_free char *path = newidmap_find(program, tools->path);
        struct stat st;

        if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
                return error_append(err, " (this process was started with no_new_privs, under "
                                         "which set-user-id programs have no rights)");
        if (path && geteuid() != 0 && stat(path, &st) == 0 &&
            !(st.st_uid == 0 && st.st_mode & S_ISUID) &&
            getxattr(path, "security.capability", NULL, 0) < 0)
                return error_append(err,
                                    " (as root, \"chmod u+s %s\": it has neither the "
                                    "set-user-id bit nor file capabilities)",
                                    path);
        return -1;
}

/* ---- running them ---- */

/* "newuidmap PID INSIDE OUTSIDE COUNT …" for this process. 0, or -1 without memory. */
static int build_arguments(struct strlist *arguments, const char *program, const struct id_map *map)
{
        char number[16];

        (void)snprintf(number, sizeof(number), "%d", getpid());
        if (strlist_append(arguments, program) < 0 || strlist_append(arguments, number) < 0)
                return -1;
        for (size_t i = 0; i < map->count; i++) {
                const struct id_range *range = &map->ranges[i];
                const uint32_t numbers[] = { range->inside, range->outside, range->count };

                for (size_t j = 0; j < ARRAY_SIZE(numbers); j++) {
                        (void)snprintf(number, sizeof(number), "%u", numbers[j]);
                        if (strlist_append(arguments, number) < 0)
                                return -1;
                }
        }
        return 0;
}

/* The life of a child: wait for the sign, become the program. */
static _Noreturn void run_program(const char *path, char *const *arguments, int go_fd, int error_fd)
{
        char go;

        if (recv(go_fd, &go, sizeof(go), 0) != sizeof(go))
                _exit(EXIT_FAILURE);
        if (dup2(error_fd, STDERR_FILENO) >= 0)
                (void)execv(path, arguments);
        _exit(EXIT_FAILURE);
}

static int start_program(struct newidmap *tools, size_t index, const struct id_map *map, int go_fd,
                         int error_fd, struct error *err)
{
        auto_free char *program = newidmap_find(programs[index], tools->path);
        auto_strlist struct strlist arguments = STRLIST_INIT;

        if (!program && errno == ENOENT)
                return explain_missing(programs[index], err);
        if (!program || build_arguments(&arguments, programs[index], map) < 0)
                return error_no_memory(err);
        tools->children[index] = fork();
        if (tools->children[index] < 0)
                return error_errno(err, "cannot run %s", program);
        if (tools->children[index] == 0) {
                (void)close(tools->go_fd); /* its end must mean the end of the parent */
                run_program(program, arguments.items, go_fd, error_fd);
        }
        return 0;
}

int newidmap_start(struct newidmap *tools, const struct id_map *uids, const struct id_map *gids,
                   const char *path, struct error *err)
{
        const struct id_map *const maps[] = { uids, gids };
        const struct sigaction plain = { .sa_handler = SIG_DFL };
        auto_close int go_fd = -1, error_fd = -1;
        int sockets[2], pipes[2];

        tools->path = path;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_errno(err, "cannot make a socket");
        tools->go_fd = sockets[0];
        go_fd = sockets[1];
        if (pipe2(pipes, O_CLOEXEC) < 0)
                return error_errno(err, "cannot make a pipe");
        tools->error_fd = pipes[0];
        error_fd = pipes[1];
        /* The status of children is lost to a caller that ignores SIGCHLD. */
        (void)sigaction(SIGCHLD, &plain, &tools->old_action);
        for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
                if (start_program(tools, i, maps[i], go_fd, error_fd, err) < 0)
                        return -1;
        return 0;
}

/* Wait for a child and forget it: its status as waitpid(2) gives it, or -1. */
static int reap(pid_t *child)
{
        pid_t pid = TAKE(*child, 0), result;
        int status;

        do
                result = waitpid(pid, &status, 0);
        while (result < 0 && errno == EINTR);
        return result < 0 ? -1 : status;
}

int newidmap_finish(struct newidmap *tools, struct error *err)
{
        auto_strbuf struct strbuf complaint = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        int status[ARRAY_SIZE(programs)];

        if (send(tools->go_fd, "go", ARRAY_SIZE(programs), MSG_NOSIGNAL) < 0)
                return error_errno(err, "cannot reach newuidmap");
        (void)close(TAKE_FD(tools->go_fd));
        (void)io_read_fd(tools->error_fd, "", COMPLAINT_LIMIT, &complaint, &ignored);
        for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
                status[i] = reap(&tools->children[i]);
        for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
                if (status[i] == 0)
                        continue;
                /* It names itself: "newuidmap: uid range … not allowed". */
                if (complaint.length == 0)
                        strbuf_printf(&complaint, "%s failed", programs[i]);
                (void)error_set(err, EPERM, "cannot map the subordinate ids: %.*s",
                                (int)strcspn(strbuf_text(&complaint), "\n"),
                                strbuf_text(&complaint));
                return explain_rights(tools, programs[i], err);
        }
        return 0;
}

void newidmap_release(struct newidmap *tools)
{
        if (tools->go_fd >= 0)
                (void)close(TAKE_FD(tools->go_fd));
        if (tools->error_fd < 0)
                return;
        (void)close(TAKE_FD(tools->error_fd));
        for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
                if (tools->children[i] > 0)
                        (void)reap(&tools->children[i]);
        (void)sigaction(SIGCHLD, &tools->old_action, NULL);
}
