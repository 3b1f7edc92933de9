#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands/step_holder.h"
#include "util/clock.h"
#include "util/io.h"

#define LOG_LIMIT (1u << 20) /* bytes of a worker's output that are told */

void holder_release(struct holder *holder)
{
        int *fds[] = { &holder->control_fd, &holder->signal_fd, &holder->log_fd, &holder->result_fd,
                       &holder->environment_fd, &holder->tell_fd, &holder->transfer_fd,
                       &holder->failure_fd };

        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (*fds[i] >= 0)
                        (void)close(TAKE_FD(*fds[i]));
        for (size_t i = 0; i < holder->answer_count; i++)
                (void)close(holder->answers[i]);
        for (size_t i = 0; i < holder->task_count; i++)
                (void)close(holder->tasks[i]);
        free(holder->answers);
        free(holder->tasks);
        free(holder->target);
        free(holder->directory);
        strlist_release(&holder->lines);
        strlist_release(&holder->task_environment);
        runtime_entrance_release(&holder->entrance);
        if (holder->report)
                (void)munmap(holder->report, sizeof(*holder->report));
}

/* ---- what the tasks are told ---- */

int holder_send(int socket, enum step_kind kind, const char *line)
{
        struct step_message message = { .kind = kind };
        struct error ignored = ERROR_INIT;

        (void)snprintf(message.text, sizeof(message.text), "%s", line);
        return step_send(socket, &message, &ignored);
}

static void forget_task(struct holder *holder, size_t i)
{
        (void)close(holder->answers[i]);
        holder->answer_count--;
        memmove(holder->answers + i, holder->answers + i + 1,
                (holder->answer_count - i) * sizeof(*holder->answers));
}

/* Tell the first task that can hear it. */
void holder_flush(struct holder *holder)
{
        while (!holder->asks && holder->lines.count > 0 && holder->answer_count > 0) {
                enum step_kind kind = holder->lines_are_errors ? STEP_ERROR : STEP_INFO;

                if (holder_send(holder->answers[0], kind, holder->lines.items[0]) < 0)
                        forget_task(holder, 0);
                else
                        strlist_remove(&holder->lines, 0);
        }
}

void holder_tell(struct holder *holder, const char *fmt, ...)
{
        char *line = NULL;
        va_list args;

        va_start(args, fmt);
        if (vasprintf(&line, fmt, args) >= 0)
                (void)strlist_append_owned(&holder->lines, line);
        va_end(args);
}

/* What the worker has printed, line by line, with something in front. */
void holder_tell_log(struct holder *holder, const char *indent)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        char *rest, *line;

        if (holder->log_fd < 0 || lseek(holder->log_fd, 0, SEEK_SET) < 0)
                return;
        (void)io_read_fd(holder->log_fd, "log", LOG_LIMIT, &text, &ignored);
        rest = text.data;
        while ((line = strsep(&rest, "\n")) != NULL)
                if (*line)
                        holder_tell(holder, "%s%s", indent, line);
}

void holder_tell_signal(struct holder *holder, int status)
{
        int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

        if (sig)
                holder_tell(holder, "enroot was killed by signal %d (%s)%s", sig, strsignal(sig),
                            sig == SIGKILL ? ": does the step need more memory (--mem)?" : "");
}

/* ---- progress ---- */

/* Who looks at a terminal wants to see that something goes on; a log file must stay short. */
#define TERMINAL_PERIOD 10000 /* milliseconds */
#define LOG_PERIOD      60000

/* The node that imports tells it, and of those that receive the last: they all go alike. */
static bool tells_progress(const struct holder *holder)
{
        const struct step_arguments *arguments = holder->arguments;

        if (holder->state != STATE_MAKING || !step_image_is_cached(arguments))
                return false;
        return holder->worker || arguments->node + 1 == arguments->node_count;
}

static void tell_progress(struct holder *holder)
{
        const struct report *report = holder->report;
        uint64_t total = report->progress.bytes_total, done = report->progress.bytes_done;
        const char *image = holder->arguments->image;

        /* While another node imports, that one tells. */
        if (!holder->worker && total > 0)
                holder_tell(holder, "receiving docker image: %s: %.1f of %.1f MB", image,
                            (double)done / 1e6, (double)total / 1e6);
        else if (holder->worker && !holder->received)
                holder_tell(holder,
                            "importing docker image: %s: fetched %.1f of %.1f MB, %" PRIu64
                            " of %" PRIu64 " layers done",
                            image, (double)done / 1e6, (double)total / 1e6,
                            (uint64_t)report->progress.layers_done,
                            (uint64_t)report->progress.layers_total);
}

int holder_tell_progress(struct holder *holder)
{
        int64_t period = holder->terminal ? TERMINAL_PERIOD : LOG_PERIOD, left;

        if (!tells_progress(holder))
                return -1;
        if (holder->told == 0)
                holder->told = clock_ms();
        left = holder->told + period - clock_ms();
        if (left > 0)
                return (int)left;
        holder->told = clock_ms();
        tell_progress(holder);
        return (int)period;
}

/* ---- the end of it ---- */

void holder_fail(struct holder *holder, const char *reason, bool with_log)
{
        holder->state = STATE_FAILED;
        /* What was still to be told is of no interest any more. */
        strlist_release(&holder->lines);
        holder->lines_are_errors = true;
        holder_tell(holder, "%s", reason);
        if (!with_log)
                return;
        holder_tell(holder, "printing enroot log file:");
        holder_tell_log(holder, "    ");
}
