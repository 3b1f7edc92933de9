#include "hooks/conf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "hooks/conf_script.h"
#include "util/io.h"

/* The longest answer: the names of all functions. */
#define ANSWER_SIZE 64

static const char *const names[CONF_FUNCTIONS] = {
        [CONF_ENVIRON] = "environ",
        [CONF_MOUNTS] = "mounts",
        [CONF_HOOKS] = "hooks",
        [CONF_RC] = "rc",
};

char *conf_function_name(const struct conf *conf, enum conf_function function)
{
        char *text;

        return asprintf(&text, "%s: %s()", conf->path, names[function]) < 0 ? NULL : text;
}

/* bash ends when it has no more requests to expect. */
void conf_release(struct conf *conf)
{
        struct error ignored = ERROR_INIT;
        int status;

        if (conf->fd >= 0)
                (void)close(TAKE_FD(conf->fd));
        if (conf->process.pid != 0)
                (void)process_wait(&conf->process, -1, &status, &ignored);
        process_release(&conf->process);
}

/* What it means that bash has ended. Always -1. */
static int explain_end(const char *what, int status, struct error *err)
{
        if (status == 0)
                return error_set(err, ECANCELED,
                                 "%s has ended the script with \"exit\" (a function ends with "
                                 "\"return\")",
                                 what);
        return process_failed(what, status, err);
}

/*
 * Wait for an answer. what is what bash is doing, for messages. Returns 0, or -1 with
 * *err when it has ended instead.
 */
static int read_answer(struct conf *conf, const char *what, char answer[ANSWER_SIZE],
                       struct error *err)
{
        size_t length = 0;
        int status;

        while (length == 0 || answer[length - 1] != '\n') {
                int result = process_wait(&conf->process, conf->fd, &status, err);

                if (result > 0 && length < ANSWER_SIZE - 1 &&
                    io_read_full(conf->fd, answer + length, 1) == 1) {
                        length++;
                        continue;
                }
                if (result > 0) /* it has closed its end */
                        result = process_wait(&conf->process, -1, &status, err);
                return result < 0 ? error_prefix(err, "%s", what) : explain_end(what, status, err);
        }
        answer[length - 1] = '\0';
        return 0;
}

static void note_functions(struct conf *conf, char *answer)
{
        for (char *word = strtok(answer, " "); word; word = strtok(NULL, " "))
                for (size_t i = 0; i < CONF_FUNCTIONS; i++)
                        if (strcmp(word, names[i]) == 0)
                                conf->defined[i] = true;
}

static int start_bash(struct conf *conf, char *const *command, const struct exchange *exchange,
                      struct error *err)
{
        int sockets[2], fds[3] = { -1, -1, -1 }; /* standard output and error are the user's */
        auto_close int other_end = -1;
        auto_free char **argv = NULL;
        size_t count = 0;

        while (command[count])
                count++;
        argv = calloc(count + 5, sizeof(*argv));
        if (!argv)
                return error_no_memory(err);
        argv[0] = (char *)"bash";
        argv[1] = (char *)"-c";
        argv[2] = (char *)conf_script;
        argv[3] = (char *)conf->path;
        memcpy(argv + 4, command, count * sizeof(*argv));

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_errno(err, "socket");
        conf->fd = sockets[0];
        fds[2] = other_end = sockets[1];
        if (process_start(&conf->process, argv, exchange->variables.items, fds, ARRAY_SIZE(fds),
                          err) < 0)
                return error_append(err, " (a start configuration needs bash)");
        return 0;
}

int conf_open(struct conf *conf, const char *path, char *const *command,
              const struct exchange *exchange, struct error *err)
{
        char answer[ANSWER_SIZE];

        conf->path = path;
        if (start_bash(conf, command, exchange, err) < 0 ||
            read_answer(conf, path, answer, err) < 0)
                return -1;
        note_functions(conf, answer);
        return 0;
}

int conf_call(struct conf *conf, enum conf_function function, struct error *err)
{
        auto_free char *what = NULL;
        char answer[ANSWER_SIZE], request[16];
        int length;

        if (!conf->defined[function])
                return 0;
        what = conf_function_name(conf, function);
        if (!what)
                return error_no_memory(err);
        length = snprintf(request, sizeof(request), "%s\n", names[function]);
        if (send(conf->fd, request, (size_t)length, MSG_NOSIGNAL) != length)
                return error_errno(err, "%s: bash takes no request", what);
        return read_answer(conf, what, answer, err);
}
