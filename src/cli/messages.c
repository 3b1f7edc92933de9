#include "cli/messages.h"
#include "util/thread.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "util/json_writer.h"
#include "util/strbuf.h"

#define REFRESH_NANOSECONDS 100000000L

static struct {
        bool colour;
        pthread_mutex_t lock; /* standard error, and everything below */
        pthread_cond_t wake;
        pthread_t thread;
        bool running, drawn;
        struct report *report;
        struct timespec started;
} terminal = {
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .wake = PTHREAD_COND_INITIALIZER,
};

static void erase_progress(void)
{
        if (terminal.drawn)
                fputs("\r\033[K", stderr);
        terminal.drawn = false;
}

static void print(const char *level, const char *colour, const char *text)
{
        (void)pthread_mutex_lock(&terminal.lock);
        erase_progress();
        if (terminal.colour)
                fprintf(stderr, "\033[1;%sm[%s]\033[0m %s\n", colour, level, text);
        else
                fprintf(stderr, "[%s] %s\n", level, text);
        (void)fflush(stderr);
        (void)pthread_mutex_unlock(&terminal.lock);
}

/* ---- the log ---- */

static struct {
        FILE *file; /* NULL: none */
        bool json;
} message_log;

int messages_log_to(const char *path, bool json, struct error *err)
{
        message_log.json = json;
        message_log.file = fopen(path, "ae");
        return message_log.file ? 0 : error_errno(err, "--log %s", path);
}

/* In the form of runc, which those who read it know: a value a line, with msg and level. */
static void append_to_log(const char *level, const char *text)
{
        auto_strbuf struct strbuf line = STRBUF_INIT;
        struct json_writer writer = { .text = &line, .compact = true };
        char now[32] = "";
        time_t seconds = time(NULL);
        struct tm utc;

        if (gmtime_r(&seconds, &utc))
                (void)strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", &utc);
        if (message_log.json) {
                json_write_object(&writer, NULL);
                json_write_text(&writer, "level", level);
                json_write_text(&writer, "msg", text);
                json_write_text(&writer, "time", now);
                json_write_end(&writer);
        } else {
                (void)strbuf_printf(&line, "%s %s: %s\n", now, level, text);
        }
        if (!line.failed)
                (void)fputs(line.data, message_log.file);
        (void)fflush(message_log.file);
}

void message_error(const char *text)
{
        if (message_log.file)
                append_to_log("error", text);
        print("ERROR", "31", text);
}

void message_warn(const char *text)
{
        /* Podman takes a log in JSON for one value, the error. */
        if (!message_log.file)
                print("WARN", "33", text);
        else if (!message_log.json)
                append_to_log("warning", text);
}

static void print_report(struct report *report, enum report_level level, const char *text)
{
        (void)report;
        switch (level) {
        case REPORT_INFO:
                print("INFO", "34", text);
                break;
        case REPORT_WARN:
                message_warn(text);
                break;
        }
}

void messages_init(struct report *report)
{
        terminal.colour = isatty(STDERR_FILENO);
        report->message = print_report;
}

static double seconds_since(const struct timespec *start)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

/* One line that fits the terminal: bytes and rate while there are any, then what was made. */
static void draw_progress(void)
{
        const struct report *report = terminal.report;
        uint64_t total = report->progress.bytes_total, done = report->progress.bytes_done;
        uint64_t layers = report->progress.layers_total;
        struct winsize window = { .ws_col = 80 };
        char line[256] = "";
        size_t used = 0;

        if (total > 0)
                used += (size_t)snprintf(line, sizeof(line), "%.1f / %.1f MB (%.1f MB/s)  ",
                                         (double)done / 1e6, (double)total / 1e6,
                                         (double)done / 1e6 / seconds_since(&terminal.started));
        if (layers > 0)
                used += (size_t)snprintf(line + used, sizeof(line) - used,
                                         "layers %" PRIu64 "/%" PRIu64 "  ",
                                         (uint64_t)report->progress.layers_done, layers);
        (void)snprintf(line + used, sizeof(line) - used, "%" PRIu64 " files, %.1f MB",
                       (uint64_t)report->progress.entries,
                       (double)report->progress.bytes_written / 1e6);

        if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) < 0 || window.ws_col == 0)
                window.ws_col = 80;
        if (window.ws_col < sizeof(line))
                line[window.ws_col - 1] = '\0';
        erase_progress();
        fputs(line, stderr);
        (void)fflush(stderr);
        terminal.drawn = true;
}

static void *run_progress(void *unused)
{
        (void)unused;
        (void)pthread_mutex_lock(&terminal.lock);
        while (terminal.running) {
                struct timespec until;

                (void)clock_gettime(CLOCK_REALTIME, &until);
                until.tv_nsec += REFRESH_NANOSECONDS;
                if (until.tv_nsec >= 1000000000L) {
                        until.tv_nsec -= 1000000000L;
                        until.tv_sec++;
                }
                (void)pthread_cond_timedwait(&terminal.wake, &terminal.lock, &until);
                if (terminal.running && terminal.report->progress.entries > 0)
                        draw_progress();
        }
        erase_progress();
        (void)fflush(stderr);
        (void)pthread_mutex_unlock(&terminal.lock);
        return NULL;
}

void messages_progress_start(struct report *report)
{
        if (!isatty(STDERR_FILENO))
                return;
        terminal.report = report;
        terminal.running = true;
        (void)clock_gettime(CLOCK_MONOTONIC, &terminal.started);
        terminal.running = thread_start(&terminal.thread, run_progress, NULL) == 0;
}

void messages_progress_stop(void)
{
        (void)pthread_mutex_lock(&terminal.lock);
        if (!terminal.running) {
                (void)pthread_mutex_unlock(&terminal.lock);
                return;
        }
        terminal.running = false;
        (void)pthread_cond_signal(&terminal.wake);
        (void)pthread_mutex_unlock(&terminal.lock);
        (void)pthread_join(terminal.thread, NULL);
}
