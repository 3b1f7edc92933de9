/*
 * What a login does: the environment and settings of a user's session, and which
 * program is executed. Everything that is read belongs to the image and is data.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/env.h"
#include "hooks/hooks.h"
#include "runtime/container.h"
#include "util/path.h"

#define RC_SCRIPT     "/etc/rc"
#define DEFAULT_SHELL "/bin/sh"

/* For images whose login.defs says nothing: what its maintainers recommend in it. */
#define ROOT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define USER_PATH "/usr/local/bin:/usr/bin:/bin"

/* The descriptor that a shell reads a --rc script from, the first after the standard ones. */
#define RC_FD      3
#define RC_FD_PATH "/proc/self/fd/3"

void login_release(struct login *login)
{
        strlist_release(&login->environment);
        free(TAKE_PTR(login->program));
        free(TAKE_PTR(login->argv));
        free(TAKE_PTR(login->arg0));
        free(TAKE_PTR(login->home));
        free(TAKE_PTR(login->work_dir));
        strlist_release(&login->recorded);
}

/* A file of the image as text; a missing or odd one counts as empty. */
static const char *read_text(const struct container *container, const char *path,
                             struct strbuf *text)
{
        struct error ignored = ERROR_INIT;

        if (container->view.read(&container->view, path, ACCOUNT_FILE_LIMIT, text, &ignored) < 0)
                strbuf_reset(text);
        return strbuf_text(text);
}

/* ---- environment ---- */

static int set_default(struct login *login, const char *name, const char *value)
{
        if (!value || !*value || env_get(&login->environment, name))
                return 0;
        return env_set(&login->environment, name, value);
}

/* HOME, SHELL, USER of the user inside, LOGNAME of the one who he is on the host. */
static int set_account(struct login *login, const struct container *container)
{
        const struct identity *identity = &container->identity;
        auto_strbuf struct strbuf buffer = STRBUF_INIT;
        auto_account struct account inside = { .name = NULL }, outside = { .name = NULL };
        const char *passwd = read_text(container, "/etc/passwd", &buffer);

        if (account_find(passwd, identity->uid, &inside) < 0 ||
            account_find(passwd, identity->uid_outside, &outside) < 0)
                return -1;
        if (set_default(login, "HOME", inside.home) < 0 ||
            set_default(login, "SHELL", inside.shell) < 0 ||
            set_default(login, "USER", inside.name) < 0)
                return -1;
        return set_default(login, "LOGNAME", outside.name);
}

/* login.defs writes "ENV_PATH PATH=/bin", older ones "ENV_PATH /bin". */
static const char *without_name(const char *value, const char *name)
{
        size_t length = strlen(name);

        if (value && strncmp(value, name, length) == 0 && value[length] == '=')
                return value + length + 1;
        return value;
}

static int set_path(struct login *login, const char *defs, bool root)
{
        auto_free char *setting = login_setting(defs, root ? "ENV_SUPATH" : "ENV_PATH");
        const char *path = without_name(setting, "PATH");

        if (!path || !*path)
                path = root ? ROOT_PATH : USER_PATH;
        return set_default(login, "PATH", path);
}

/* ENV_TZ is "TZ=zone", "zone", or the path of a file whose first line is one of them. */
static int set_time_zone(struct login *login, const char *defs, const struct container *container)
{
        auto_free char *setting = login_setting(defs, "ENV_TZ");
        auto_strbuf struct strbuf text = STRBUF_INIT;
        const char *zone = setting;

        if (zone && *zone == '/') {
                zone = read_text(container, zone, &text);
                if (text.data)
                        text.data[strcspn(text.data, "\n")] = '\0';
        }
        return set_default(login, "TZ", without_name(zone, "TZ"));
}

static int set_locale(struct login *login, const struct container *container)
{
        static const char *const names[] = {
                "LANG",       "LANGUAGE",     "LC_CTYPE",       "LC_NUMERIC",        "LC_TIME",
                "LC_COLLATE", "LC_MONETARY",  "LC_MESSAGES",    "LC_PAPER",          "LC_NAME",
                "LC_ADDRESS", "LC_TELEPHONE", "LC_MEASUREMENT", "LC_IDENTIFICATION",
        };
        auto_strbuf struct strbuf buffer = STRBUF_INIT;
        const char *text = read_text(container, "/etc/locale.conf", &buffer);

        for (size_t i = 0; *text && i < ARRAY_SIZE(names); i++) {
                auto_free char *value = login_setting(text, names[i]);

                if (set_default(login, names[i], value) < 0)
                        return -1;
        }
        return 0;
}

static int set_mail(struct login *login, const char *defs)
{
        auto_free char *check = login_setting(defs, "MAIL_CHECK_ENAB");
        auto_free char *dir = login_setting(defs, "MAIL_DIR");
        const char *user = env_get(&login->environment, "USER");
        auto_free char *path = NULL;

        if (!check || strcasecmp(check, "yes") != 0 || !user)
                return 0;
        path = path_join(dir ? dir : "/var/mail", user);
        return path ? set_default(login, "MAIL", path) : -1;
}

/* ---- limits ---- */

/* A number of login.defs: octal with a leading 0, as strtol has it. False for anything else. */
static bool parse_number(const char *text, int base, unsigned long long *ret)
{
        char *end;

        if (!text || !isdigit((unsigned char)*text))
                return false;
        errno = 0;
        *ret = strtoull(text, &end, base);
        return errno == 0 && *end == '\0';
}

/* Whether the user has a group of his own, of the same name and number. */
static bool has_own_group(const struct login *login, const struct container *container)
{
        const struct identity *identity = &container->identity;
        const char *user = env_get(&login->environment, "USER");
        auto_strbuf struct strbuf buffer = STRBUF_INIT;
        char line[LOGIN_NAME_MAX + 32];
        const char *found;
        const char *groups;

        if (identity->uid == 0 || identity->uid != identity->gid || !user)
                return false;
        groups = read_text(container, "/etc/group", &buffer);
        (void)snprintf(line, sizeof(line), "%s:x:%u:", user, identity->gid);
        found = strstr(groups, line);
        return found && (found == groups || found[-1] == '\n');
}

static void set_limits(struct login *login, const struct container *container, const char *defs)
{
        auto_free char *mask = login_setting(defs, "UMASK");
        auto_free char *limit = login_setting(defs, "ULIMIT");
        auto_free char *user_groups = login_setting(defs, "USERGROUPS_ENAB");
        unsigned long long number;

        if (parse_number(mask, 0, &number) && number <= 0777) {
                login->has_umask = true;
                login->umask = (mode_t)number;
                /* login.defs(5): the group gets what the owner has. */
                if (user_groups && strcasecmp(user_groups, "yes") == 0 &&
                    has_own_group(login, container))
                        login->umask = (login->umask & ~070u) | (login->umask >> 3 & 070u);
        }
        if (limit && strcmp(limit, "-1") == 0) {
                login->has_file_limit = true;
                login->file_limit = RLIM_INFINITY;
        } else if (parse_number(limit, 10, &number) && number <= LLONG_MAX / 512) {
                login->has_file_limit = true;
                login->file_limit = number * 512; /* login.defs(5): units of 512 bytes */
        }
}

static int set_session(struct login *login, const struct container *container)
{
        auto_strbuf struct strbuf buffer = STRBUF_INIT;
        const char *defs = read_text(container, "/etc/login.defs", &buffer);

        if (set_account(login, container) < 0)
                return -1;
        set_limits(login, container, defs);
        if (set_default(login, "TERM", "dumb") < 0 ||
            set_path(login, defs, container->identity.uid == 0) < 0 ||
            set_time_zone(login, defs, container) < 0 || set_locale(login, container) < 0)
                return -1;
        return set_mail(login, defs);
}

/* ---- the program ---- */

/* Whether a shell reads scripts in the language of sh(1). */
static bool is_bourne_shell(const char *path)
{
        static const char *const names[] = { "sh", "bash", "dash", "ash", "ksh", "mksh", "zsh" };
        const char *name = strrchr(path, '/');

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcmp(name ? name + 1 : path, names[i]) == 0)
                        return true;
        return false;
}

/* The user's shell; for scripts only where it understands them. NULL when the image has none. */
static const char *choose_shell(const struct login *login, const struct container *container,
                                bool script)
{
        const char *shell = env_get(&login->environment, "SHELL");

        if (shell && (!script || is_bourne_shell(shell)) &&
            root_view_is_executable(&container->view, shell))
                return shell;
        return root_view_is_executable(&container->view, DEFAULT_SHELL) ? DEFAULT_SHELL : NULL;
}

static size_t count_words(char *const *words)
{
        size_t count = 0;

        while (words[count])
                count++;
        return count;
}

int login_set_command(struct login *login, char *const *command)
{
        size_t count = count_words(command);

        login->argv = calloc(count + 1, sizeof(*login->argv));
        if (!login->argv)
                return -1;
        memcpy(login->argv, command, count * sizeof(*command));
        return 0;
}

/* argv = the shell's name, then the words, then the command. 0, or -1 without memory. */
static int set_shell_command(struct login *login, bool login_shell, const char *shell,
                             char *const *words, char *const *command)
{
        const char *name = strrchr(shell, '/');
        size_t word_count = count_words(words), count = count_words(command);

        login->program = strdup(shell);
        login->argv = calloc(1 + word_count + count + 1, sizeof(*login->argv));
        if (!login->program || !login->argv ||
            asprintf(&login->arg0, "%s%s", login_shell ? "-" : "", name ? name + 1 : shell) < 0)
                return -1;
        login->argv[0] = login->arg0;
        memcpy(login->argv + 1, words, word_count * sizeof(*words));
        memcpy(login->argv + 1 + word_count, command, count * sizeof(*command));
        return 0;
}

/* Without a shell: what the image's import recorded, else the command itself. */
static int choose_without_shell(struct login *login, const struct container *container,
                                bool script, struct error *err)
{
        char *const *command = container->start->command;
        int recorded;

        if (container->rc_fd >= 0)
                return error_set(err, ENOENT,
                                 "the image has no shell (%s) that could run the --rc script",
                                 DEFAULT_SHELL);
        recorded = script || !*command ? login_set_recorded(login, container, command, err) : 0;
        if (recorded != 0)
                return recorded < 0 ? -1 : 0;
        if (!*command)
                return error_set(err, ENOENT,
                                 "the image has no shell (%s) and names no program: give the path "
                                 "of one as the command",
                                 DEFAULT_SHELL);
        if (script)
                report_warn(container->report,
                            "the image has no shell, so its %s is not run: executing %s directly",
                            RC_SCRIPT, *command);
        return login_set_command(login, command) < 0 ? error_no_memory(err) : 0;
}

static int choose_program(struct login *login, const struct container *container, struct error *err)
{
        static char rc_path[] = RC_SCRIPT, rc_fd_path[] = RC_FD_PATH, dash_c[] = "-c", sh[] = "sh";
        char *const *command = container->start->command;
        bool script = container->rc_fd >= 0 || (!container->start->no_rc &&
                                                root_view_exists(&container->view, RC_SCRIPT));
        bool one_line = !script && *command && strchr(*command, ' ');
        const char *shell = choose_shell(login, container, script || one_line);
        char *words[4] = { NULL };
        int result;

        if (script) {
                words[0] = container->rc_fd >= 0 ? rc_fd_path : rc_path;
        } else if (one_line) {
                words[0] = dash_c;
                words[1] = command[0];
                words[2] = sh; /* $0 of the line; the other words are $1 … */
        }
        if (shell && (script || one_line || !*command)) {
                result = set_shell_command(login, container->config->login_shell, shell, words,
                                           command + one_line);
        } else if (!script && *command) {
                result = login_set_command(login, command);
        } else {
                return choose_without_shell(login, container, script, err);
        }
        return result < 0 ? error_no_memory(err) : 0;
}

int login_prepare(struct login *login, const struct container *container, struct error *err)
{
        const char *home;

        for (size_t i = 0; i < container->environment.count; i++)
                if (strlist_append(&login->environment, container->environment.items[i]) < 0)
                        return error_no_memory(err);
        if (container->config->login_shell && set_session(login, container) < 0)
                return error_no_memory(err);
        home = env_get(&login->environment, "HOME");
        if (container->config->login_shell && home) {
                login->home = strdup(home);
                if (!login->home)
                        return error_no_memory(err);
        }
        if (container->start->hold)
                return login_set_recorded_directory(login, container, err);
        return choose_program(login, container, err);
}

/* ---- becoming it ---- */

/* Leave nothing open but the standard descriptors and the --rc script. */
static int close_descriptors(int rc_fd, struct error *err)
{
        int keep[] = { RC_FD };

        if (rc_fd >= 0 && (rc_fd == RC_FD ? fcntl(rc_fd, F_SETFD, 0) : dup2(rc_fd, RC_FD)) < 0)
                return error_errno(err, "cannot pass the --rc script on");
        runtime_close_descriptors(keep, rc_fd >= 0 ? 1 : 0);
        return 0;
}

static void reset_signals(void)
{
        sigset_t none;

        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        /* execve(2) resets handlers; what is ignored stays so, as nohup(1) wants of SIGHUP. */
        (void)signal(SIGPIPE, SIG_DFL);
}

static int explain_exec(const struct login *login, struct error *err)
{
        const char *program = login->program ? login->program : login->argv[0];

        error_errno(err, "cannot execute %s", program);
        if (err->code == ENOEXEC)
                return error_append(err, " (is the image for another architecture?)");
        if (err->code == ENOENT && strchr(program, '/') && access(program, F_OK) == 0)
                return error_append(err, " (the interpreter or loader that it asks for is missing "
                                         "in the image)");
        return -1;
}

int login_exec(struct login *login, const struct container *container, struct error *err)
{
        if (login->work_dir) {
                if (chdir(login->work_dir) < 0)
                        return error_errno(err, "the working directory %s",
                                           login->work_dir);
        } else if (login->home && chdir(login->home) < 0) {
                report_warn(container->report, "cannot change to the home directory %s: %s",
                            login->home, strerror(errno));
        }
        if (login->has_umask)
                (void)umask(login->umask);
        if (login->has_file_limit) {
                struct rlimit limit = { login->file_limit, login->file_limit };

                if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
                        report_warn(container->report, "ULIMIT of the image's login.defs: %s",
                                    strerror(errno));
        }
        if (close_descriptors(container->rc_fd, err) < 0)
                return -1;
        reset_signals();
        if (container->user_namespace && !container->subids && seccomp_install(err) < 0)
                return -1;
        if (login->program) {
                (void)execve(login->program, login->argv, login->environment.items);
        } else {
                environ = login->environment.items; /* its PATH is searched */
                (void)execvp(login->argv[0], login->argv);
        }
        return explain_exec(login, err);
}
