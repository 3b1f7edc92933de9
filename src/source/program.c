#include "source/program.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "util/cleanup.h"

/* The end of its standard error that goes into a message, in bytes. */
#define ERRORS_SHOWN 400

static int add_descriptors(posix_spawn_file_actions_t *actions, int output, int errors)
{
        int code =
                posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);

        if (code == 0)
                code = posix_spawn_file_actions_adddup2(actions, output, STDOUT_FILENO);
        if (code == 0)
                code = posix_spawn_file_actions_adddup2(actions, errors, STDERR_FILENO);
        return code;
}

/* An import ignores SIGPIPE, and its threads block signals; the program shall do neither. */
static int spawn(struct program *program, const char *const *argv,
                 const struct strlist *environment, int output)
{
        char *const none[] = { NULL };
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t defaults, unblocked;
        int code = posix_spawn_file_actions_init(&actions);

        if (code)
                return code;
        code = posix_spawnattr_init(&attributes);
        if (code) {
                (void)posix_spawn_file_actions_destroy(&actions);
                return code;
        }
        (void)sigemptyset(&unblocked);
        (void)sigemptyset(&defaults);
        (void)sigaddset(&defaults, SIGPIPE);
        (void)posix_spawnattr_setsigdefault(&attributes, &defaults);
        (void)posix_spawnattr_setsigmask(&attributes, &unblocked);
        (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        code = add_descriptors(&actions, output, program->errors);
        if (code == 0)
                code = posix_spawnp(&program->pid, argv[0], &actions, &attributes,
                                    (char *const *)argv,
                                    environment && environment->items ? environment->items : none);
        (void)posix_spawnattr_destroy(&attributes);
        (void)posix_spawn_file_actions_destroy(&actions);
        return code;
}

struct stream *program_start(struct program *program, const char *const *argv,
                             const struct strlist *environment, struct error *err)
{
        auto_close int reader = -1, writer = -1;
        int pipe_fds[2], code;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
                error_errno(err, "pipe");
                return NULL;
        }
        reader = pipe_fds[0];
        writer = pipe_fds[1];
        program->name = argv[0];
        program->errors = memfd_create("errors", MFD_CLOEXEC);
        if (program->errors < 0) {
                error_errno(err, "memfd_create");
                return NULL;
        }
        code = spawn(program, argv, environment, writer);
        if (code) {
                program->pid = 0;
                error_set(err, code, "%s: %s", argv[0], strerror(code));
                return NULL;
        }
        return stream_from_fd(TAKE_FD(reader), err);
}

/* The end of what it said, in one line. */
static void append_errors(const struct program *program, struct error *err)
{
        char text[ERRORS_SHOWN + 1];
        off_t size = lseek(program->errors, 0, SEEK_END);
        ssize_t n = pread(program->errors, text, ERRORS_SHOWN,
                          size > ERRORS_SHOWN ? size - ERRORS_SHOWN : 0);

        while (n > 0 && isspace((unsigned char)text[n - 1]))
                n--;
        if (n <= 0)
                return;
        text[n] = '\0';
        for (char *p = text; *p; p++)
                if (iscntrl((unsigned char)*p))
                        *p = ' ';
        error_append(err, ": %s", text);
}

int program_finish(struct program *program, struct error *err)
{
        int status = 0;

        while (waitpid(program->pid, &status, 0) < 0 && errno == EINTR)
                ;
        program->pid = 0;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
                return 0;
        if (WIFSIGNALED(status))
                error_set(err, EIO, "%s ended by signal %d", program->name, WTERMSIG(status));
        else
                error_set(err, EIO, "%s failed with status %d", program->name, WEXITSTATUS(status));
        append_errors(program, err);
        return -1;
}

void program_release(struct program *program)
{
        if (program->pid > 0) {
                (void)kill(program->pid, SIGTERM);
                while (waitpid(program->pid, NULL, 0) < 0 && errno == EINTR)
                        ;
        }
        cleanup_close(&program->errors);
        *program = (struct program)PROGRAM_INIT;
}
