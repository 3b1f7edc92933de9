/* Programs that a configuration has run at points of a container's life. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "oci/container.h"
#include "util/io.h"

#define OUTPUT_LIMIT 4096u      /* bytes of its output that an error quotes from */
#define POLL_TIME    10000000L  /* nanoseconds between looks at one with a time limit */

static _Noreturn void become_hook(const struct oci_hook *hook, int state_fd, int output_fd)
{
        static char *no_environment[] = { NULL };
        sigset_t none;

        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        if (dup2(state_fd, STDIN_FILENO) >= 0 && dup2(output_fd, STDOUT_FILENO) >= 0 &&
            dup2(output_fd, STDERR_FILENO) >= 0) {
                runtime_close_descriptors(NULL, 0);
                (void)execve(hook->path, hook->args.items,
                             hook->env.items ? hook->env.items : no_environment);
                dprintf(STDERR_FILENO, "%s\n", strerror(errno));
        }
        _exit(127);
}

/* Its wait status; -1 with *err when its time was over. */
static int wait_for(pid_t child, int timeout, int *ret_status, struct error *err)
{
        const struct timespec pause = { .tv_nsec = POLL_TIME };
        struct timespec now, start;

        (void)clock_gettime(CLOCK_MONOTONIC, &start);
        for (;;) {
                pid_t found = waitpid(child, ret_status, timeout > 0 ? WNOHANG : 0);

                if (found == child)
                        return 0;
                if (found < 0 && errno != EINTR)
                        return error_errno(err, "cannot wait for it");
                (void)clock_gettime(CLOCK_MONOTONIC, &now);
                if (timeout > 0 && now.tv_sec - start.tv_sec > timeout) {
                        (void)kill(child, SIGKILL);
                        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                                ;
                        return error_set(err, ETIMEDOUT, "not done after %d seconds", timeout);
                }
                if (found == 0)
                        (void)nanosleep(&pause, NULL);
        }
}

/* Put the last line of the output behind the message. Always -1. */
static int quote(int output_fd, struct error *err)
{
        char text[OUTPUT_LIMIT + 1];
        off_t end = lseek(output_fd, 0, SEEK_END);
        ssize_t size = pread(output_fd, text, OUTPUT_LIMIT,
                             end > (off_t)OUTPUT_LIMIT ? end - (off_t)OUTPUT_LIMIT : 0);
        char *line;

        while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == ' '))
                size--;
        if (size <= 0)
                return -1;
        text[size] = '\0';
        line = strrchr(text, '\n');
        return error_append(err, ": %.300s", line ? line + 1 : text);
}

static int run(const struct oci_hook *hook, int state_fd, struct error *err)
{
        auto_close int output_fd = memfd_create("output", MFD_CLOEXEC);
        int status;
        pid_t child;

        if (output_fd < 0 || lseek(state_fd, 0, SEEK_SET) < 0)
                return error_errno(err, "memory");
        child = fork();
        if (child < 0)
                return error_errno(err, "cannot start a process");
        if (child == 0)
                become_hook(hook, state_fd, output_fd);
        if (wait_for(child, hook->timeout, &status, err) < 0)
                return -1;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        if (WIFEXITED(status))
                (void)error_set(err, ECHILD, "exit status %d", WEXITSTATUS(status));
        else
                (void)error_set(err, ECHILD, "killed by signal %d", WTERMSIG(status));
        return quote(output_fd, err);
}

/* The state where every hook reads it from the start. A descriptor, or -1 with *err. */
static int keep_state(const struct oci_state *state, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_close int fd = -1;

        if (oci_state_print(state, false, &text, err) < 0)
                return -1;
        fd = memfd_create("state", MFD_CLOEXEC);
        if (fd < 0 || io_write_full(fd, text.data, text.length) < 0)
                return error_errno(err, "memory");
        return TAKE_FD(fd);
}

int hooks_run_all(const struct oci_hooks *hooks, const struct oci_state *state, struct error *err)
{
        auto_close int state_fd = -1;

        if (hooks->count == 0)
                return 0;
        state_fd = keep_state(state, err);
        if (state_fd < 0)
                return -1;
        for (size_t i = 0; i < hooks->count; i++)
                if (run(&hooks->items[i], state_fd, err) < 0)
                        return error_prefix(err, "hook %s", hooks->items[i].path);
        return 0;
}

void hooks_run_late(const struct oci_hooks *hooks, const struct oci_state *state,
                    struct report *report)
{
        for (size_t i = 0; i < hooks->count; i++) {
                const struct oci_hooks one = { .items = &hooks->items[i], .count = 1 };
                struct error err = ERROR_INIT;

                if (hooks_run_all(&one, state, &err) < 0)
                        report_warn(report, "%s", err.message);
        }
}
