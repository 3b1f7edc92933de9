/*
 * The end of a step: nothing of it may go on. What an entrypoint has left became the
 * holder's child, and Slurm does not know of it; when slurmstepd was killed, Slurm knows
 * nothing of the tasks either.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "commands/step_holder.h"
#include "util/io.h"

#define CHILDREN_LIMIT (1u << 20) /* bytes of a list of processes */
#define END_TRIES      5000       /* milliseconds for killed processes to be gone */

#define MOUNT_NAMESPACE 2 /* of an entrance */

/* ---- tasks ---- */

void holder_watch_task(struct holder *holder, int socket)
{
        struct ucred task;
        socklen_t size = sizeof(task);
        int *grown, fd;

        /* The task has made the pair of sockets itself. */
        if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &task, &size) < 0)
                return;
        grown = reallocarray(holder->tasks, holder->task_count + 1, sizeof(*grown));
        if (!grown)
                return;
        holder->tasks = grown;
        fd = (int)syscall(SYS_pidfd_open, task.pid, 0);
        if (fd >= 0)
                grown[holder->task_count++] = fd;
}

static void kill_tasks(const struct holder *holder)
{
        for (size_t i = 0; i < holder->task_count; i++)
                (void)syscall(SYS_pidfd_send_signal, holder->tasks[i], SIGKILL, NULL, 0);
}

/* ---- processes ---- */

/* Kill what runs in a mount namespace. Returns how many. */
static unsigned int kill_in_namespace(ino_t namespace)
{
        auto_closedir DIR *dir = opendir("/proc");
        const struct dirent *entry;
        unsigned int killed = 0;

        while (dir && (entry = readdir(dir)) != NULL) {
                pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
                char path[64];
                struct stat st;

                (void)snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
                if (pid > 0 && stat(path, &st) == 0 && st.st_ino == namespace &&
                    kill(pid, SIGKILL) == 0)
                        killed++;
        }
        return killed;
}

/* Whether a process is an image's server: it ends with the last mount of its image. */
static bool is_server(pid_t pid)
{
        auto_strbuf struct strbuf comm = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        char path[32];

        (void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        (void)io_read_file(-1, path, PATH_MAX, &comm, &ignored);
        return strcmp(strbuf_text(&comm), RUNTIME_SERVER_NAME "\n") == 0;
}

/* Kill the children that are there now. Returns how many. */
static unsigned int kill_children(const struct holder *holder)
{
        auto_strbuf struct strbuf list = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        unsigned int killed = 0;
        char *rest;

        (void)io_read_file(-1, "/proc/thread-self/children", CHILDREN_LIMIT, &list, &ignored);
        rest = list.data;
        for (char *word; (word = strsep(&rest, " \n")) != NULL;) {
                pid_t pid = (pid_t)strtol(word, NULL, 10);

                if (pid <= 0 || pid == holder->reaper || pid == holder->transfer ||
                    pid == holder->failure || is_server(pid))
                        continue;
                /* One that is gone at once may have left us its children in that moment. */
                if (kill(pid, SIGKILL) == 0)
                        killed++;
                (void)waitpid(pid, NULL, WNOHANG);
        }
        return killed;
}

/* Killed processes leave theirs in turn. */
static void end_processes(struct holder *holder, bool tasks)
{
        const struct timespec pause = { .tv_nsec = 1000000 };
        int mounts = holder->entrance.namespaces[MOUNT_NAMESPACE];
        struct stat st = { .st_ino = 0 };
        unsigned int killed;

        if (tasks)
                kill_tasks(holder);
        /* Steps can join a container that has a name. */
        if (holder->arguments->temporary && mounts >= 0)
                (void)fstat(mounts, &st);
        for (int i = 0; i < END_TRIES; i++) {
                killed = kill_children(holder);
                if (st.st_ino != 0)
                        killed += kill_in_namespace(st.st_ino);
                if (killed == 0)
                        break;
                (void)nanosleep(&pause, NULL);
        }
}

/* ---- save and remove ---- */

/* Wait for a child; the plugin hears meanwhile that somebody is alive. 0 for success. */
static int await_child(struct holder *holder, pid_t pid, int answers)
{
        int status = 0;

        for (;;) {
                struct pollfd child = { .fd = holder->signal_fd, .events = POLLIN };
                struct signalfd_siginfo info;
                pid_t ended = waitpid(pid, &status, WNOHANG);

                if (ended == pid)
                        return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
                if (ended < 0 && errno != EINTR)
                        return -1;
                if (poll(&child, 1, STEP_BEAT * 1000) > 0)
                        (void)!read(holder->signal_fd, &info, sizeof(info));
                if (answers >= 0)
                        (void)holder_send(answers, STEP_BUSY, "");
        }
}

static int await_worker(struct holder *holder, int answers)
{
        return await_child(holder, TAKE(holder->worker, 0), answers);
}

/* Other nodes have heard all that they wait for, unless the step was ended. */
static void end_relay(struct holder *holder, pid_t relay, int fd, int answers, bool at_once)
{
        if (!relay)
                return;
        if (at_once)
                (void)kill(relay, SIGTERM);
        else if (fd >= 0)
                (void)holder_send(fd, STEP_END, "");
        (void)await_child(holder, relay, answers);
}

static void tell_end(int socket, enum step_kind kind, struct holder *holder)
{
        for (size_t i = 0; i < holder->lines.count; i++)
                (void)holder_send(socket, kind, holder->lines.items[i]);
        strlist_release(&holder->lines);
}

static void save(struct holder *holder, int answers)
{
        const char *name = holder->arguments->name, *path = holder->arguments->save;
        struct error err = ERROR_INIT;

        if (holder_begin_work(holder, STEP_WORK_SAVE, &err) == 0) {
                if (await_worker(holder, answers) == 0) {
                        holder_tell(holder, "exported container %s to %s", name, path);
                        tell_end(answers, STEP_INFO, holder);
                        return;
                }
                (void)error_set(&err, EIO, "see its output");
        }
        holder_tell(holder, "failed to export container %s to %s: %s", name, path, err.message);
        holder_tell_log(holder, "    ");
        tell_end(answers, STEP_ERROR, holder);
}

/* What the importer prints is of interest when it fails; the step has not. */
static void release(struct holder *holder, int answers)
{
        if (await_worker(holder, answers) == 0)
                return;
        holder_tell(holder, "failed to call importer release: %s", holder->arguments->importer);
        holder_tell_log(holder, "    ");
        tell_end(answers, STEP_INFO, holder);
}

void holder_end(struct holder *holder, int answers, bool at_once)
{
        struct error ignored = ERROR_INIT;

        if (holder->worker) {
                /* An import removes what it has; a start that has stopped cannot hear SIGTERM. */
                (void)kill(holder->worker, holder->work == STEP_WORK_MAKE ? SIGTERM : SIGKILL);
                (void)await_worker(holder, answers);
        }
        end_processes(holder, answers < 0);
        strlist_release(&holder->lines);
        runtime_entrance_release(&holder->entrance);
        if (holder->arguments->save && holder->state == STATE_READY &&
            holder->entered >= holder->arguments->tasks)
                save(holder, answers);
        if (holder->made && holder_begin_work(holder, STEP_WORK_REMOVE, &ignored) == 0)
                (void)await_worker(holder, answers);
        if (holder->imported && holder_begin_work(holder, STEP_WORK_RELEASE, &ignored) == 0)
                release(holder, answers);
        end_relay(holder, TAKE(holder->transfer, 0), holder->transfer_fd, answers, at_once);
        end_relay(holder, TAKE(holder->failure, 0), holder->failure_fd, answers, at_once);
}
