#include "registry/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "util/cancel.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/launch.h"

/* The longest that a request to stop can go unnoticed, in milliseconds. */
#define TICK_MS 100

/* How often a program that has closed its output is asked whether it has ended. */
#define REAP_MS 5

/* A descriptor that holds text, to be read from its start: no pipe can be full or broken. */
static int input_fd(const char *text, struct error *err)
{
        auto_close int fd = memfd_create("input", MFD_CLOEXEC);

        if (fd < 0 || io_write_full(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return error_errno(err, "input of a program");
        return TAKE_FD(fd);
}

/* Read until the end of the output, within the time. */
static int collect(const struct program *program, int fd, int64_t deadline, struct strbuf *output,
                   struct error *err)
{
        char piece[4096];
        int rc = 0;

        while (rc == 0) {
                struct pollfd ready = { .fd = fd, .events = POLLIN };
                ssize_t n = 0;

                if (cancel_check(err) < 0) {
                        rc = -1;
                } else if (program->timeout > 0 && clock_ms() > deadline) {
                        rc = error_set(err, ETIMEDOUT, "%s: no answer after %ld seconds",
                                       program->argv[0], program->timeout);
                } else if (poll(&ready, 1, TICK_MS) > 0) {
                        n = read(fd, piece, sizeof(piece));
                        if (n == 0)
                                break;
                        if (n < 0 && errno != EINTR)
                                rc = error_errno(err, "%s", program->argv[0]);
                        else if (n > 0 && (size_t)n > program->output_limit - output->length)
                                rc = error_set(err, EFBIG, "%s: an answer of more than %zu bytes",
                                               program->argv[0], program->output_limit);
                        else if (n > 0 && strbuf_append_mem(output, piece, (size_t)n) < 0)
                                rc = error_no_memory(err);
                }
        }
        explicit_bzero(piece, sizeof(piece));
        return rc;
}

/* Wait for its end, within what is left of the time. Returns its status, or -1 with *err. */
static int reap(const struct program *program, pid_t pid, int64_t deadline, struct error *err)
{
        bool limited = program->timeout > 0;
        int status = 0;

        for (;;) {
                pid_t done = waitpid(pid, &status, limited ? WNOHANG : 0);

                if (done == pid)
                        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
                if (limited && clock_ms() > deadline)
                        return error_set(err, ETIMEDOUT, "%s: no end after %ld seconds",
                                         program->argv[0], program->timeout);
                if (limited)
                        (void)poll(NULL, 0, REAP_MS);
        }
}

int program_run(const struct program *program, struct strbuf *output, struct error *err)
{
        auto_close int input = program->input ? input_fd(program->input, err) : -1;
        auto_close int reader = -1, writer = -1;
        int64_t deadline = clock_ms() + program->timeout * 1000;
        int pipe_fds[2], code, status;
        pid_t pid;

        if (program->input && input < 0)
                return -1;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_errno(err, "pipe");
        reader = pipe_fds[0];
        writer = pipe_fds[1];

        const struct launch launch = { .argv = program->argv,
                                       .environment = program->environment,
                                       .input = input,
                                       .output = writer,
                                       .errors = -1 };

        code = launch_program(&launch, &pid);
        if (code)
                return error_set(err, code, "%s: %s", program->argv[0], strerror(code));
        (void)close(TAKE_FD(writer));
        status = collect(program, reader, deadline, output, err);
        if (status == 0)
                status = reap(program, pid, deadline, err);
        if (status < 0) {
                (void)kill(pid, SIGKILL);
                while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        return status;
}
