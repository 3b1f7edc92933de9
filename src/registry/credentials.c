#include "registry/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "registry/netrc.h"
#include "registry/prompt.h"
#include "registry/url.h"
#include "util/io.h"
#include "util/strbuf.h"

#define DOCKER_HUB "registry-1.docker.io"

/* Names under which people write down what they use at Docker Hub. */
static const char *const docker_hub_names[] = { DOCKER_HUB, "docker.io", "index.docker.io",
                                                "auth.docker.io" };

static void secret_free(char *secret)
{
        if (secret)
                explicit_bzero(secret, strlen(secret));
        free(secret);
}

void credential_release(struct credential *credential)
{
        free(credential->user);
        secret_free(credential->password);
        *credential = (struct credential)CREDENTIAL_INIT;
}

static void cleanup_secret(struct strbuf *buf)
{
        if (buf->data)
                explicit_bzero(buf->data, buf->capacity);
        strbuf_release(buf);
}
#define auto_secret auto_cleanup(cleanup_secret)

/* ---- expansion by a shell ---- */

/* Start "/bin/sh -c script" with its output on a pipe; *ret_output is the end to read. */
static int spawn_shell(const char *script, const struct strlist *environment, pid_t *ret_pid,
                       int *ret_output, struct error *err)
{
        char *const argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
        char *const none[] = { NULL };
        auto_close int reader = -1, writer = -1;
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        sigset_t defaults, unblocked;
        int pipe_fds[2], code;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return error_errno(err, "pipe");
        reader = pipe_fds[0];
        writer = pipe_fds[1];

        /* Importing ignores SIGPIPE, and a child of a thread inherits that thread's mask. */
        sigemptyset(&unblocked);
        sigemptyset(&defaults);
        sigaddset(&defaults, SIGPIPE);
        if (posix_spawn_file_actions_init(&actions) != 0)
                return error_no_memory(err);
        if (posix_spawnattr_init(&attributes) != 0) {
                posix_spawn_file_actions_destroy(&actions);
                return error_no_memory(err);
        }
        posix_spawnattr_setsigdefault(&attributes, &defaults);
        posix_spawnattr_setsigmask(&attributes, &unblocked);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);

        code = posix_spawn_file_actions_adddup2(&actions, writer, STDOUT_FILENO);
        if (code == 0)
                code = posix_spawn(ret_pid, "/bin/sh", &actions, &attributes, argv,
                                   environment && environment->items ? environment->items : none);
        posix_spawnattr_destroy(&attributes);
        posix_spawn_file_actions_destroy(&actions);
        if (code != 0)
                return error_set(err, code, "/bin/sh: %s", strerror(code));
        *ret_output = TAKE_FD(reader);
        return 0;
}

/* The password that the shell makes of text, as "echo TEXT" would show it. */
static int expand(const char *text, const struct strlist *environment, char **ret,
                  struct error *err)
{
        auto_strbuf struct strbuf script = STRBUF_INIT;
        auto_secret struct strbuf output = STRBUF_INIT;
        auto_close int reader = -1;
        int status = 0, rc;
        pid_t pid;

        /* Unlike echo, printf leaves backslashes alone, which JSON keys are full of. */
        if (strbuf_printf(&script, "set -- %s\nprintf %%s \"$*\"", text) < 0)
                return error_no_memory(err);
        if (spawn_shell(script.data, environment, &pid, &reader, err) < 0)
                return -1;
        rc = io_read_fd(reader, "its password command", CREDENTIALS_SECRET_LIMIT, &output, err);
        (void)close(TAKE_FD(reader));
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (rc < 0)
                return -1;
        if (status != 0 || output.length == 0 || strlen(output.data) != output.length)
                return error_set(err, EACCES, "its password command gave no password");
        *ret = strbuf_take(&output);
        return *ret ? 0 : error_no_memory(err);
}

/* ---- the file ---- */

static void cleanup_netrc(struct netrc *netrc)
{
        for (size_t i = 0; i < netrc->count; i++) {
                if (netrc->entries[i].password)
                        explicit_bzero(netrc->entries[i].password,
                                       strlen(netrc->entries[i].password));
        }
        netrc_release(netrc);
}

/* Read the file; one that does not exist is empty. */
static int load(const char *file, struct report *report, struct netrc *ret, struct error *err)
{
        auto_close int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        auto_secret struct strbuf text = STRBUF_INIT;
        struct stat st;

        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
                return 0;
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, "credentials file %s", file);
        if (io_read_fd(fd, file, CREDENTIALS_FILE_LIMIT, &text, err) < 0 ||
            netrc_parse(strbuf_text(&text), ret, err) < 0)
                return error_prefix(err, "credentials file %s", file);

        if (st.st_mode & (S_IRWXG | S_IRWXO))
                report_warn(report, "Others may read your passwords: chmod 600 %s", file);
        if (ret->odd_line)
                report_warn(report, "%s:%u: a word is neither keyword nor value", file,
                            ret->odd_line);
        return 0;
}

/* The entry that a registry has of its own. */
static const struct netrc_entry *find_for_registry(const struct netrc *netrc, const char *registry,
                                                   const char *host, const char *user)
{
        const char *const own_names[] = { registry, host };
        bool hub = strcmp(registry, DOCKER_HUB) == 0;
        const char *const *names = hub ? docker_hub_names : own_names;
        size_t count = hub ? ARRAY_SIZE(docker_hub_names) : ARRAY_SIZE(own_names);

        for (size_t i = 0; i < count; i++) {
                const struct netrc_entry *entry = netrc_find(netrc, names[i], user);

                if (entry)
                        return entry;
        }
        return NULL;
}

/*
 * The entry to use, and the user's name when the reference gave none.
 *
 * "default" counts only for a user that the reference names: nobody's password
 * goes to a registry that he mentioned nowhere.
 */
static const struct netrc_entry *find_entry(const struct netrc *netrc, const char *host,
                                            const struct credential_query *query,
                                            const char **ret_user)
{
        const char *user = query->user;
        const struct netrc_entry *entry = find_for_registry(netrc, query->registry, host, user);
        const struct netrc_entry *of_realm = NULL;

        *ret_user = user;
        if (!entry)
                return user ? netrc_find(netrc, NULL, user) : NULL;
        if (!user)
                user = entry->login;
        if (user && query->realm_host)
                of_realm = netrc_find(netrc, query->realm_host, user);
        *ret_user = user;
        return of_realm ? of_realm : entry;
}

static int take_entry(const struct netrc_entry *entry, const char *user,
                      const struct credential_query *query, struct credential *ret,
                      struct error *err)
{
        auto_credential struct credential credential = CREDENTIAL_INIT;

        credential.user = strdup(user);
        if (!credential.user)
                return error_no_memory(err);
        if (entry->expand) {
                if (expand(entry->password, query->environment, &credential.password, err) < 0)
                        return error_prefix(err, "credentials file %s: machine %s", query->file,
                                            entry->machine ? entry->machine : "default");
        } else {
                credential.password = strdup(entry->password);
                if (!credential.password)
                        return error_no_memory(err);
        }
        *ret = credential;
        credential = (struct credential)CREDENTIAL_INIT;
        return 0;
}

static int ask(const struct credential_query *query, const char *host, const char *user,
               struct credential *ret, struct error *err)
{
        auto_credential struct credential credential = CREDENTIAL_INIT;

        if (prompt_password(user, query->registry, &credential.password, err) < 0) {
                if (err->code == EINTR || err->code == ENOMEM)
                        return -1;
                return error_set(err, EACCES,
                                 "no password for the user %s of %s; write \"machine %s login %s "
                                 "password PASSWORD\" into %s",
                                 user, query->registry, host, user, query->file);
        }
        credential.user = strdup(user);
        if (!credential.user)
                return error_no_memory(err);
        *ret = credential;
        credential = (struct credential)CREDENTIAL_INIT;
        return 0;
}

int credentials_find(const struct credential_query *query, struct report *report,
                     struct credential *ret, struct error *err)
{
        auto_cleanup(cleanup_netrc) struct netrc netrc = { .entries = NULL };
        auto_strbuf struct strbuf host = STRBUF_INIT;
        const struct netrc_entry *entry;
        const char *user;

        *ret = (struct credential)CREDENTIAL_INIT;
        if (url_host(query->registry, &host) < 0)
                return error_no_memory(err);
        if (load(query->file, report, &netrc, err) < 0)
                return -1;

        entry = find_entry(&netrc, host.data, query, &user);
        report_info(report, "Authenticating with user: %s", user ? user : "<anonymous>");
        if (!user)
                return 0;
        if (!entry || !entry->password)
                return ask(query, host.data, user, ret, err);
        if (take_entry(entry, user, query, ret, err) < 0)
                return -1;
        report_info(report, "Using credentials from file: %s", query->file);
        return 0;
}
