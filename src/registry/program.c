#include "registry/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "registry/clock.h"
#include "util/cancel.h"
#include "util/io.h"

/* The longest that a request to stop can go unnoticed, in milliseconds. */
#define TICK_MS 100

/* A descriptor that holds text, to be read from its start: no pipe can be full or broken. */
static int input_fd(const char *text, struct error *err)
{
        auto_close int fd = memfd_create("input", MFD_CLOEXEC);

        if (fd < 0 || io_write_full(fd, text, strlen(text)) < 0 || lseek(fd, 0, SEEK_SET) < 0)
                return error_errno(err, "input of a program");
        return TAKE_FD(fd);
}

/* Importing ignores SIGPIPE, and a child of a thread inherits that thread's mask. */
static void set_signals(posix_spawnattr_t *attributes)
{
        sigset_t defaults, unblocked;

        sigemptyset(&unblocked);
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        posix_spawnattr_setsigdefault(attributes, &defaults);
        posix_spawnattr_setsigmask(attributes, &unblocked);
        posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

static int spawn(const struct program *program, int input, int output, pid_t *ret,
                 struct error *err)
{
        char *const none[] = { NULL };
        const struct strlist *environment = program->environment;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int code;

        if (posix_spawn_file_actions_init(&actions) != 0)
                return error_no_memory(err);
        if (posix_spawnattr_init(&attributes) != 0) {
                posix_spawn_file_actions_destroy(&actions);
                return error_no_memory(err);
        }
        set_signals(&attributes);
        code = posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
        if (code == 0 && input >= 0)
                code = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
        if (code == 0)
                code = posix_spawnp(ret, program->argv[0], &actions, &attributes,
                                    (char *const *)program->argv,
                                    environment && environment->items ? environment->items : none);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        return code ? error_set(err, code, "%s: %s", program->argv[0], strerror(code)) : 0;
}

/* Read until the end of the output, within the time. */
static int collect(const struct program *program, int fd, struct strbuf *output, struct error *err)
{
        int64_t deadline = clock_ms() + program->timeout * 1000;
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

int program_run(const struct program *program, struct strbuf *output, struct error *err)
{
        auto_close int input = program->input ? input_fd(program->input, err) : -1;
        auto_close int reader = -1, writer = -1;
        int pipe_fds[2], status = 0, rc;
        pid_t pid;

        if (program->input && input < 0)
                return -1;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_errno(err, "pipe");
        reader = pipe_fds[0];
        writer = pipe_fds[1];
        if (spawn(program, input, writer, &pid, err) < 0)
                return -1;
        (void)close(TAKE_FD(writer));
        rc = collect(program, reader, output, err);
        if (rc < 0)
                (void)kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (rc < 0)
                return -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}
