#include "registry/credentials.h"

#include <errno.h>
#include <string.h>

#include "env/env.h"
#include "registry/credential_sources.h"
#include "registry/prompt.h"
#include "registry/url.h"

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
        secret_free(credential->identity_token);
        *credential = (struct credential)CREDENTIAL_INIT;
}

void secret_release(struct strbuf *buf)
{
        if (buf->data)
                explicit_bzero(buf->data, buf->capacity);
        strbuf_release(buf);
}

/*
 * The variables are for the registry that ENROOT_REGISTRY_HOST names; without it, for
 * the one that the reference names. No mirror gets them unless it is named.
 */
static int from_environment(const struct credential_query *query, struct report *report,
                            struct credential *ret, struct error *err)
{
        const struct strlist none = STRLIST_INIT;
        const struct strlist *environment = query->environment ? query->environment : &none;
        const char *host = env_get(environment, "ENROOT_REGISTRY_HOST");
        const char *user = env_get(environment, "ENROOT_REGISTRY_USER");
        const char *password = env_get(environment, "ENROOT_REGISTRY_PASSWORD");

        if (!password || !*password || (!user && !query->user))
                return 0;
        if (host && *host ? strcasecmp(host, query->registry) != 0 : query->is_mirror)
                return 0;
        if (user && query->user && strcmp(user, query->user) != 0)
                return 0;
        ret->user = strdup(user ? user : query->user);
        ret->password = strdup(password);
        if (!ret->user || !ret->password)
                return error_no_memory(err);
        report_info(report, "Using credentials from the environment: ENROOT_REGISTRY_PASSWORD");
        return 1;
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

/* Returns 1 and fills *ret, 0 when nobody is known, or -1 with *err. */
static int find(const struct credential_query *query, struct report *report, struct credential *ret,
                struct error *err)
{
        auto_free char *user = NULL; /* named by the credentials file, without a password */
        auto_strbuf struct strbuf host = STRBUF_INIT;
        int rc = from_environment(query, report, ret, err);

        if (rc == 0)
                rc = credentials_from_netrc(query, report, ret, &user, err);
        if (rc == 0)
                rc = credentials_from_auth_files(query, report, ret, err);
        if (rc != 0 || !(query->user || user))
                return rc;
        if (url_host(query->registry, &host) < 0)
                return error_no_memory(err);
        return ask(query, host.data, query->user ? query->user : user, ret, err) < 0 ? -1 : 1;
}

int credentials_find(const struct credential_query *query, struct report *report,
                     struct credential *ret, struct error *err)
{
        auto_credential struct credential credential = CREDENTIAL_INIT;

        if (find(query, report, &credential, err) < 0)
                return -1;
        report_info(report, "Authenticating with user: %s",
                    credential.user             ? credential.user
                    : credential.identity_token ? "<identity token>"
                                                : "<anonymous>");
        *ret = TAKE(credential, (struct credential)CREDENTIAL_INIT);
        return 0;
}
