/*
 * A site's own importer (importer=PATH in plugstack.conf), called as Pyxis calls it:
 *
 *      PATH get URI    prints the path of an image file, which stays until
 *      PATH release    may be called more than once, and after a "get" that has failed
 *
 * Both run as the user, with the environment of an import. What they print beside the path
 * goes where the worker's own messages go. A signal that ends the worker leaves its program to
 * the holder, which kills what it inherits and then calls "release".
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands/step_work.h"
#include "util/io.h"
#include "util/launch.h"

#define OUTPUT_LIMIT (64u << 10) /* bytes that an importer prints, of which one line counts */

bool step_has_importer(const struct step_arguments *arguments)
{
        return arguments->importer && !step_image_is_file(arguments);
}

static int start(const struct step_job *job, const char *const *argv, int output, pid_t *ret,
                 struct error *err)
{
        auto_strlist struct strlist environment = STRLIST_INIT;
        auto_close int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        const struct launch launch = {
                .argv = argv,
                .environment = &environment,
                .input = null,
                .output = output,
                .errors = -1,
        };
        int code;

        if (null < 0)
                return error_errno(err, "/dev/null");
        for (char *const *item = job->environment; *item; item++)
                if (strlist_append(&environment, *item) < 0)
                        return error_no_memory(err);
        code = launch_program(&launch, ret);
        return code ? error_set(err, code, "importer %s: %s", argv[0], strerror(code)) : 0;
}

static int finish(pid_t pid, const char *const *argv, struct error *err)
{
        int status = 0;

        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return error_errno(err, "importer %s", argv[0]);
        if (WIFSIGNALED(status))
                return error_set(err, EIO, "importer %s %s ended by signal %d", argv[0], argv[1],
                                 WTERMSIG(status));
        if (WEXITSTATUS(status) != 0)
                return error_set(err, EIO, "importer %s %s failed with exit status %d", argv[0],
                                 argv[1], WEXITSTATUS(status));
        return 0;
}

/* The first line of its output, read to the end so that nothing it prints can fail. */
static int read_path(int fd, const char *importer, struct strbuf *ret, struct error *err)
{
        char *end;

        if (io_read_fd(fd, importer, OUTPUT_LIMIT, ret, err) < 0)
                return -1;
        end = ret->data ? strchr(ret->data, '\n') : NULL;
        if (end)
                *end = '\0';
        return 0;
}

/* Returns 0 and what it has printed, or -1 with *err. */
static int run_get(const struct step_job *job, const char *const *argv, struct strbuf *ret,
                   struct error *err)
{
        auto_close int reader = -1, writer = -1;
        struct error failure = ERROR_INIT;
        int pipe_fds[2], heard;
        pid_t pid;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_errno(err, "pipe");
        reader = pipe_fds[0];
        writer = pipe_fds[1];
        if (start(job, argv, writer, &pid, err) < 0)
                return -1;
        (void)close(TAKE_FD(writer));
        heard = read_path(reader, argv[0], ret, &failure);
        (void)close(TAKE_FD(reader));
        /* Its own failure is the reason for anything else. */
        if (finish(pid, argv, err) < 0)
                return -1;
        if (heard < 0)
                *err = failure;
        return heard;
}

char *step_importer_get(const struct step_job *job, const char *uri, struct error *err)
{
        const char *const argv[] = { job->arguments->importer, "get", uri, NULL };
        auto_strbuf struct strbuf path = STRBUF_INIT;
        char *result = NULL;

        if (run_get(job, argv, &path, err) < 0)
                return NULL;
        if (!path.data || *path.data != '/') {
                error_set(err, EINVAL,
                          "importer %s has printed no absolute path of an image: \"%s\"", argv[0],
                          strbuf_text(&path));
                return NULL;
        }
        /* For the holder, where the image itself is started. */
        if (io_write_full(job->result_fd, path.data, strlen(path.data) + 1) < 0)
                error_errno(err, "result");
        else if (!(result = strbuf_take(&path)))
                error_no_memory(err);
        return result;
}

int step_importer_release(const struct step_job *job, struct error *err)
{
        const char *const argv[] = { job->arguments->importer, "release", NULL };
        pid_t pid;

        if (start(job, argv, STDERR_FILENO, &pid, err) < 0)
                return -1;
        return finish(pid, argv, err);
}

char *step_importer_result(const struct step_job *job, struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;
        char *result = NULL;

        if (lseek(job->result_fd, 0, SEEK_SET) < 0)
                error_errno(err, "result");
        else if (io_read_fd(job->result_fd, "result", OUTPUT_LIMIT, &path, err) == 0 &&
                 !(result = strbuf_take(&path)))
                error_no_memory(err);
        return result;
}
