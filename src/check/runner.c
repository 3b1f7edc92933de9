/*
 * One child for each probe: whatever it does to its namespaces, credentials and memory
 * is gone with it, and one that hangs or crashes is a failed line and no failed check.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/probe.h"
#include "util/cleanup.h"
#include "util/io.h"

/* What the child says. Less than PIPE_BUF, so it is there as a whole or not at all. */
struct message {
        int result;
        struct probe_answer answer;
        struct error err;
};

_Static_assert(sizeof(struct message) <= 4096, "pipe(7): writes up to PIPE_BUF are atomic");

static void run_in_child(const struct probe *probe, const struct probe_context *context, int pipe)
{
        const struct rlimit no_core = { 0 };
        int null = open("/dev/null", O_RDWR);
        struct message message = { .result = -1 };

        /* A group of its own, so that what the probe has started is killed with it. */
        (void)setpgid(0, 0);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)setrlimit(RLIMIT_CORE, &no_core);
        /* Probes wait for children, whose status is lost where this is ignored. */
        (void)signal(SIGCHLD, SIG_DFL);
        for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
                (void)dup2(null, fd);
        message.result = probe->run(context, probe, &message.answer, &message.err);
        (void)io_write_full(pipe, &message, sizeof(message));
        _exit(EXIT_SUCCESS);
}

/* Why there is no message. The child is not waited for when it hangs: it may be in the kernel. */
static void explain_silence(pid_t child, bool timed_out, int limit_ms, struct message *message)
{
        int status = 0;

        if (timed_out) {
                (void)kill(-child, SIGKILL);
                (void)kill(child, SIGKILL);
                (void)waitpid(child, NULL, WNOHANG);
                error_set(&message->err, ETIMEDOUT, "no answer in %d seconds", limit_ms / 1000);
        } else if (waitpid(child, &status, 0) == child && WIFSIGNALED(status)) {
                error_set(&message->err, ECHILD, "the probe was killed by signal %d (%s)",
                          WTERMSIG(status), strsignal(WTERMSIG(status)));
        } else {
                error_set(&message->err, ECHILD, "the probe ended without an answer");
        }
        message->result = -1;
}

static int run(const struct probe *probe, const struct probe_context *context, int limit_ms,
               struct message *message, struct error *err)
{
        auto_close int reader = -1, writer = -1;
        struct pollfd wait = { .events = POLLIN };
        int fds[2], ready;
        pid_t child;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_errno(err, "cannot make a pipe");
        wait.fd = reader = fds[0];
        writer = fds[1];
        child = fork();
        if (child < 0)
                return error_errno(err, "cannot start a process");
        if (child == 0)
                run_in_child(probe, context, writer);
        (void)close(TAKE_FD(writer));

        do
                ready = poll(&wait, 1, limit_ms);
        while (ready < 0 && errno == EINTR);
        if (ready > 0 && io_read_full(reader, message, sizeof(*message)) == sizeof(*message))
                (void)waitpid(child, NULL, 0);
        else
                explain_silence(child, ready == 0, limit_ms, message);
        return 0;
}

int probe_run(const struct probe *probe, const struct probe_context *context, int limit_ms,
              struct check_line *ret, struct error *err)
{
        struct message message = { .result = -1 };

        *ret = (struct check_line){ .group = probe->group, .name = probe->name, .tried = true };
        if (run(probe, context, limit_ms, &message, err) < 0)
                return -1;
        if (message.result == PROBE_ABSENT)
                return PROBE_ABSENT;
        if (message.result == 0) {
                ret->status = message.answer.module ? CHECK_OK_MODULE : CHECK_OK;
                (void)snprintf(ret->detail, sizeof(ret->detail), "%s", message.answer.detail);
                return 0;
        }
        ret->status = probe->required && !message.answer.harmless ? CHECK_KO : CHECK_KO_OPTIONAL;
        ret->effect = probe->effect;
        (void)snprintf(ret->detail, sizeof(ret->detail), "%s", message.err.message);
        (void)snprintf(ret->mend, sizeof(ret->mend), "%s", message.answer.mend);
        return 0;
}

/* ---- helpers for probes ---- */

int probe_refused(const struct probe_context *context, enum host_feature feature,
                  struct probe_answer *answer, struct error *err)
{
        struct host_advice advice;

        host_advise(context->root, feature, err->code, &advice);
        memcpy(answer->mend, advice.mend, sizeof(answer->mend));
        return *advice.cause ? error_append(err, "; %s", advice.cause) : -1;
}

int probe_found(struct probe_answer *answer, const char *fmt, ...)
{
        va_list args;

        va_start(args, fmt);
        (void)vsnprintf(answer->detail, sizeof(answer->detail), fmt, args);
        va_end(args);
        return 0;
}

#define PROC_FILE_LIMIT (64u << 20) /* mountinfo of a host with thousands of mounts */

int probe_read(const struct probe_context *context, const char *path, struct strbuf *text,
               struct error *err)
{
        auto_strbuf struct strbuf full = STRBUF_INIT;

        if (strbuf_printf(&full, "%s%s", context->root, path) < 0)
                return error_no_memory(err);
        return io_read_file(AT_FDCWD, full.data, PROC_FILE_LIMIT, text, err);
}

bool probe_exists(const struct probe_context *context, const char *path)
{
        auto_strbuf struct strbuf full = STRBUF_INIT;

        return strbuf_printf(&full, "%s%s", context->root, path) == 0 &&
               access(full.data, F_OK) == 0;
}

bool probe_module_loaded(const struct probe_context *context, const char *module)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        size_t length = strlen(module);

        if (probe_read(context, "/proc/modules", &text, &ignored) < 0)
                return false;
        for (const char *line = strbuf_text(&text); *line;) {
                if (strncmp(line, module, length) == 0 && line[length] == ' ')
                        return true;
                line += strcspn(line, "\n");
                line += *line == '\n';
        }
        return false;
}

bool probe_wait(int pid)
{
        int status = -1;

        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
