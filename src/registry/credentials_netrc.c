#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "registry/credential_sources.h"
#include "registry/hub.h"
#include "registry/netrc.h"
#include "registry/program.h"
#include "registry/url.h"
#include "util/io.h"

/* Names under which people write down what they use at Docker Hub. */
static const char *const docker_hub_names[] = { HUB_HOST, HUB_NAME, "index.docker.io",
                                                "auth.docker.io" };

/* The password that the shell makes of text, as "echo TEXT" would show it. */
static int expand(const char *text, const struct strlist *environment, char **ret,
                  struct error *err)
{
        auto_strbuf struct strbuf script = STRBUF_INIT;
        auto_secret struct strbuf output = STRBUF_INIT;
        int status;

        /* Unlike echo, printf leaves backslashes alone, which JSON keys are full of. */
        if (strbuf_printf(&script, "set -- %s\nprintf %%s \"$*\"", text) < 0)
                return error_no_memory(err);

        const char *const argv[] = { "/bin/sh", "-c", script.data, NULL };
        const struct program shell = { .argv = argv,
                                       .environment = environment,
                                       .output_limit = CREDENTIALS_SECRET_LIMIT };

        status = program_run(&shell, &output, err);
        if (status < 0)
                return error_prefix(err, "its password command");
        if (status != 0 || output.length == 0 || strlen(output.data) != output.length)
                return error_set(err, EACCES, "its password command gave no password");
        *ret = strbuf_take(&output);
        return *ret ? 0 : error_no_memory(err);
}

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
        bool hub = hub_is(registry);
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

int credentials_from_netrc(const struct credential_query *query, struct report *report,
                           struct credential *ret, char **ret_user, struct error *err)
{
        auto_cleanup(cleanup_netrc) struct netrc netrc = { .entries = NULL };
        auto_strbuf struct strbuf host = STRBUF_INIT;
        const struct netrc_entry *entry;
        const char *user = NULL;

        *ret_user = NULL;
        if (url_host(query->registry, &host) < 0)
                return error_no_memory(err);
        if (!query->file || load(query->file, report, &netrc, err) < 0)
                return query->file ? -1 : 0;
        entry = find_entry(&netrc, host.data, query, &user);
        if (user) {
                *ret_user = strdup(user);
                if (!*ret_user)
                        return error_no_memory(err);
        }
        if (!user || !entry || !entry->password)
                return 0;
        if (take_entry(entry, user, query, ret, err) < 0)
                return -1;
        report_info(report, "Using credentials from file: %s", query->file);
        return 1;
}
