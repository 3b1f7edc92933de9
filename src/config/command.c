/*
 * The commands of $(…). Starting a shell costs about a millisecond, more than the
 * rest of reading the configuration, and site files use few commands.
 */
#include "config/expand.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/config.h"
#include "util/io.h"
#include "util/launch.h"
#include "util/name_service.h"
#include "util/strbuf.h"

#define ANSWER_SIZE 256 /* bytes; names of users and hosts are shorter */

unsigned int available_processors(void)
{
        cpu_set_t set;

        /* Fails on machines with more than 1024 processors; sysconf knows those that are on. */
        if (sched_getaffinity(0, sizeof(set), &set) < 0)
                return (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
        return (unsigned int)CPU_COUNT(&set);
}

static bool print_number(unsigned int number, char *answer)
{
        return snprintf(answer, ANSWER_SIZE, "%u", number) > 0;
}

static bool answer_uid(char *answer)
{
        return print_number(geteuid(), answer);
}

static bool answer_gid(char *answer)
{
        return print_number(getegid(), answer);
}

static bool answer_processors(char *answer)
{
        return print_number(available_processors(), answer);
}

static bool answer_user(char *answer)
{
        const struct passwd *entry = name_service_user(geteuid());

        return entry && snprintf(answer, ANSWER_SIZE, "%s", entry->pw_name) < ANSWER_SIZE;
}

static bool answer_host(char *answer)
{
        struct utsname name;

        return uname(&name) == 0 && snprintf(answer, ANSWER_SIZE, "%s", name.nodename) > 0;
}

static bool answer_short_host(char *answer)
{
        if (!answer_host(answer))
                return false;
        answer[strcspn(answer, ".")] = '\0';
        return true;
}

static bool answer_machine(char *answer)
{
        struct utsname name;

        return uname(&name) == 0 && snprintf(answer, ANSWER_SIZE, "%s", name.machine) > 0;
}

static const struct {
        const char *command;
        bool (*answer)(char answer[ANSWER_SIZE]); /* false: ask the shell */
} known_commands[] = {
        { "id -u", answer_uid },     { "id -un", answer_user },
        { "id -u -n", answer_user }, { "whoami", answer_user },
        { "id -g", answer_gid },     { "nproc", answer_processors },
        { "hostname", answer_host }, { "hostname -s", answer_short_host },
        { "uname -n", answer_host }, { "uname -m", answer_machine },
};

static bool answer_known(const char *command, char *answer)
{
        while (*command == ' ')
                command++;
        for (size_t i = 0; i < ARRAY_SIZE(known_commands); i++) {
                size_t length = strlen(known_commands[i].command);

                if (strncmp(command, known_commands[i].command, length) == 0 &&
                    command[length + strspn(command + length, " ")] == '\0')
                        return known_commands[i].answer(answer);
        }
        return false;
}

/*
 * The command's exit status does not count, as in the classic tool: files have
 * $(cat FILE 2> /dev/null). Its messages go to standard error.
 */
static int read_shell(const char *command, const struct strlist *environment, struct strbuf *output,
                      struct error *err)
{
        const char *const argv[] = { "/bin/sh", "-c", command, NULL };
        auto_close int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
        auto_close int read_end = -1, write_end = -1;
        int ends[2], result;
        pid_t pid;

        if (nothing < 0)
                return error_errno(err, "/dev/null");
        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_errno(err, "pipe");
        read_end = ends[0];
        write_end = ends[1];

        const struct launch launch = { .argv = argv,
                                       .environment = environment,
                                       .input = nothing,
                                       .output = write_end,
                                       .errors = -1 };

        result = launch_program(&launch, &pid);
        if (result) {
                errno = result;
                return error_errno(err, "/bin/sh");
        }

        (void)close(TAKE_FD(write_end));
        result = io_read_fd(read_end, "output", CONFIG_VALUE_LIMIT, output, err);
        (void)close(TAKE_FD(read_end));
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return result;
}

char *expand_run_command(const char *command, const struct strlist *environment, struct error *err)
{
        auto_strbuf struct strbuf output = STRBUF_INIT;
        char answer[ANSWER_SIZE], *text;

        if (answer_known(command, answer)) {
                strbuf_append(&output, answer);
        } else if (read_shell(command, environment, &output, err) < 0) {
                error_prefix(err, "$(%.200s)", command);
                return NULL;
        }

        text = strbuf_take(&output);
        if (!text) {
                error_no_memory(err);
                return NULL;
        }
        for (size_t length = strlen(text); length > 0 && text[length - 1] == '\n';)
                text[--length] = '\0';
        for (char *p = text; (p = strchr(p, '\n'));) /* a setting is one line */
                *p = ' ';
        return text;
}
