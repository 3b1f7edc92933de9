/* What "oci ps", "oci events" and "oci update" read and print. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/print.h"
#include "oci/oci.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/json_writer.h"
#include "util/launch.h"

#define PS_LIMIT        (64u << 20) /* bytes that ps(1) may print */
#define RESOURCES_LIMIT (1u << 20)

/* ---- ps ---- */

static int print_json(const pid_t *pids, size_t count, FILE *out, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct json_writer writer = { .text = &text, .compact = true };

        json_write_array(&writer, NULL);
        for (size_t i = 0; i < count; i++)
                json_write_number(&writer, NULL, pids[i]);
        json_write_end(&writer);
        return print_result(&text, out, err);
}

/* What ps(1) prints of all processes; its own options are the caller's. */
static int run_ps(char *const *words, struct strbuf *text, struct error *err)
{
        static const char *const usual[] = { "ps", "-ef", NULL };
        auto_free const char **argv = NULL;
        struct launch launch = { .argv = usual, .input = -1, .errors = -1 };
        auto_close int from = -1, to = -1;
        struct strlist environment = { .items = environ };
        size_t count = 0;
        int fds[2], status, failure;
        pid_t child;

        while (words[count])
                count++;
        argv = calloc(count + 2, sizeof(*argv));
        if (!argv)
                return error_no_memory(err);
        argv[0] = "ps";
        memcpy(argv + 1, words, count * sizeof(*words));
        if (count > 0)
                launch.argv = argv;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_errno(err, "pipe");
        from = fds[0];
        to = fds[1];
        launch.output = to;
        launch.environment = &environment;
        failure = launch_program(&launch, &child);
        if (failure)
                return error_set(err, failure, "ps: %s; --format json needs no program",
                                 strerror(failure));
        (void)close(TAKE_FD(to));
        failure = io_read_fd(from, "ps", PS_LIMIT, text, err);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
                ;
        if (failure < 0)
                return -1;
        return status == 0 ? 0 : error_set(err, ECHILD, "ps has failed");
}

/* The number of the column with the heading PID, from 0; -1 without one. */
static int pid_column(const char *line)
{
        for (int column = 0;; column++) {
                size_t length;

                line += strspn(line, " ");
                length = strcspn(line, " \n");
                if (length == 0)
                        return -1;
                if (length == 3 && memcmp(line, "PID", 3) == 0)
                        return column;
                line += length;
        }
}

static bool is_listed(const char *line, int column, const pid_t *pids, size_t count)
{
        pid_t pid;

        for (int i = 0; i < column; i++) {
                line += strspn(line, " ");
                line += strcspn(line, " \n");
        }
        pid = (pid_t)strtol(line, NULL, 10);
        for (size_t i = 0; i < count; i++)
                if (pids[i] == pid)
                        return true;
        return false;
}

static int print_table(const pid_t *pids, size_t count, char *const *words, FILE *out,
                       struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        const char *line;
        int column;

        if (run_ps(words, &text, err) < 0)
                return -1;
        line = strbuf_text(&text);
        column = pid_column(line);
        if (column < 0)
                return error_set(err, EINVAL, "ps: there is no column PID: its options must have "
                                              "it shown");
        for (bool heading = true; *line; heading = false) {
                size_t length = strcspn(line, "\n");

                if (heading || is_listed(line, column, pids, count))
                        fprintf(out, "%.*s\n", (int)length, line);
                line += length;
                line += *line == '\n';
        }
        return 0;
}

int command_oci_ps(const char *root, const char *id, bool json, char *const *words, FILE *out,
                   struct error *err)
{
        auto_free pid_t *pids = NULL;
        size_t count = 0;

        if (oci_processes(root, id, &pids, &count, err) < 0)
                return -1;
        return json ? print_json(pids, count, out, err)
                    : print_table(pids, count, words, out, err);
}

/* ---- events ---- */

static void print_kill(const char *id, FILE *out)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct json_writer writer = { .text = &text, .compact = true };

        json_write_object(&writer, NULL);
        json_write_text(&writer, "type", "oom");
        json_write_text(&writer, "id", id);
        json_write_end(&writer);
        (void)fputs(strbuf_text(&text), out);
}

int command_oci_events(const char *root, const char *id, int interval, FILE *out,
                       struct error *err)
{
        const struct timespec pause = { .tv_sec = interval / 1000,
                                        .tv_nsec = interval % 1000 * 1000000L };
        int64_t kills = -1;

        for (;;) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                struct oci_statistics found;

                if (oci_statistics(root, id, &found, &text, err) < 0) {
                        /* Deleted while it was watched. */
                        return kills >= 0 && err->code == ENOENT ? 0 : -1;
                }
                if (!found.running)
                        return kills >= 0 ? 0
                                          : error_set(err, ESRCH, "container %s is not running",
                                                      id);
                if (kills >= 0 && found.memory_kills > kills)
                        print_kill(id, out);
                kills = found.memory_kills;
                if (fputs(strbuf_text(&text), out) < 0 || fflush(out) == EOF)
                        return error_errno(err, "standard output");
                if (interval == 0)
                        return 0;
                (void)nanosleep(&pause, NULL);
        }
}

/* ---- update ---- */

int command_oci_update(const char *root, const char *id, const char *file,
                       const char *resources, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (!file)
                return oci_update(root, id, resources, strlen(resources), err);
        if (strcmp(file, "-") == 0
                    ? io_read_fd(STDIN_FILENO, "standard input", RESOURCES_LIMIT, &text, err) < 0
                    : io_read_file(AT_FDCWD, file, RESOURCES_LIMIT, &text, err) < 0)
                return -1;
        return oci_update(root, id, strbuf_text(&text), text.length, err);
}
