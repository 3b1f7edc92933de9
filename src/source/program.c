#include "source/program.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "util/cleanup.h"
#include "util/launch.h"

/* The end of its standard error that goes into a message, in bytes. */
#define ERRORS_SHOWN 400

struct stream *program_start(struct program *program, const char *const *argv,
                             const struct strlist *environment, struct error *err)
{
        auto_close int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
        auto_close int reader = -1, writer = -1;
        int pipe_fds[2], code;

        if (nothing < 0) {
                error_errno(err, "/dev/null");
                return NULL;
        }
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

        const struct launch launch = { .argv = argv,
                                       .environment = environment,
                                       .input = nothing,
                                       .output = writer,
                                       .errors = program->errors };

        code = launch_program(&launch, &program->pid);
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
