#include "registry/auth_file.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "registry/hub.h"
#include "util/base64.h"
#include "util/json.h"
#include "util/strbuf.h"

/* Docker's name for "the secret is an identity token" where a user is expected. */
#define TOKEN_USER "<token>"

void auth_file_answer_release(struct auth_file_answer *answer)
{
        credential_release(&answer->credential);
        free(answer->helper);
        *answer = (struct auth_file_answer)AUTH_FILE_ANSWER_INIT;
}

/* ---- names of registries ---- */

/*
 * Write a key of the file as host[:port][/path]. Old ones are URLs
 * ("https://index.docker.io/v1/"), of which the host alone counts, and Docker Hub
 * has several names.
 */
static int normalise(const char *key, struct strbuf *result)
{
        const char *scheme = strstr(key, "://"), *host = scheme ? scheme + 3 : key;
        size_t host_length = strcspn(host, "/");
        const char *path = host + host_length;
        auto_free char *name = strndup(host, host_length);

        if (!name)
                return -1;
        if (scheme || strcmp(path, "/") == 0 || strncmp(path, "/v1/", 4) == 0 ||
            strncmp(path, "/v2/", 4) == 0)
                path = "";
        strbuf_append(result, hub_is(name) ? HUB_NAME : name);
        return strbuf_append(result, path);
}

/* The member of object whose key means name. *ret is NULL when there is none. 0, or -1 with *err.
 */
static int find_key(const struct json_node *object, const char *name, const char **ret,
                    struct strlist *keys, struct error *err)
{
        *ret = NULL;
        if (keys->count == 0 && json_node_keys(object, keys, err) < 0)
                return -1;
        for (size_t i = 0; i < keys->count; i++) {
                auto_strbuf struct strbuf key = STRBUF_INIT;

                if (normalise(keys->items[i], &key) < 0)
                        return error_no_memory(err);
                if (strcasecmp(key.data, name) == 0)
                        *ret = keys->items[i];
        }
        return 0;
}

/* ---- secrets ---- */

static int take_secret(struct credential *credential, const char *user, const char *secret,
                       struct error *err)
{
        if (strcmp(user, TOKEN_USER) == 0) {
                credential->identity_token = strdup(secret);
                return credential->identity_token ? 0 : error_no_memory(err);
        }
        credential->user = strdup(user);
        credential->password = strdup(secret);
        return credential->user && credential->password ? 0 : error_no_memory(err);
}

/* "auth" is base64 of USER:PASSWORD. */
static int take_auth(struct credential *credential, const char *auth, struct error *err)
{
        auto_cleanup(secret_release) struct strbuf plain = STRBUF_INIT;
        char *colon;

        if (base64_decode(auth, &plain) < 0)
                return error_set(err, EBADMSG, "an \"auth\" that is not base64");
        colon = plain.data ? memchr(plain.data, ':', plain.length) : NULL;
        if (!colon || strlen(plain.data) != plain.length)
                return error_set(err, EBADMSG, "an \"auth\" that is not USER:PASSWORD");
        *colon = '\0';
        return take_secret(credential, plain.data, colon + 1, err);
}

/* An entry of auths; one without a secret says only that a store has it. */
static int take_entry(struct credential *credential, const struct json_node *entry,
                      struct error *err)
{
        const char *auth = NULL, *user = NULL, *password = NULL, *identity = NULL;

        if (json_node_text(entry, "auth", &auth, err) < 0 ||
            json_node_text(entry, "username", &user, err) < 0 ||
            json_node_text(entry, "password", &password, err) < 0 ||
            json_node_text(entry, "identitytoken", &identity, err) < 0)
                return -1;
        if (identity && *identity)
                return take_secret(credential, TOKEN_USER, identity, err);
        if (auth && *auth)
                return take_auth(credential, auth, err);
        return user && *user && password ? take_secret(credential, user, password, err) : 0;
}

static bool is_wanted(const struct credential *credential, const char *user)
{
        if (credential->identity_token)
                return true;
        return credential->user && (!user || strcmp(credential->user, user) == 0);
}

/* ---- the file ---- */

static int find_in_auths(const struct json_node *root, const struct auth_file_query *query,
                         struct credential *ret, struct error *err)
{
        auto_strbuf struct strbuf name = STRBUF_INIT;
        auto_strlist struct strlist keys = STRLIST_INIT;
        const struct json_node *auths = NULL;
        char *slash;

        if (json_node_member(root, "auths", JSON_NODE_OBJECT, &auths, err) < 0)
                return -1;
        strbuf_append(&name, hub_is(query->registry) ? HUB_NAME : query->registry);
        if (query->repository)
                strbuf_printf(&name, "/%s", query->repository);
        if (name.failed)
                return error_no_memory(err);
        do {
                auto_credential struct credential credential = CREDENTIAL_INIT;
                const struct json_node *entry = NULL;
                const char *key;

                if (find_key(auths, name.data, &key, &keys, err) < 0)
                        return -1;
                if (key && (json_node_member(auths, key, JSON_NODE_OBJECT, &entry, err) < 0 ||
                            take_entry(&credential, entry, err) < 0))
                        return error_prefix(err, "auths of %.200s", key);
                if (is_wanted(&credential, query->user)) {
                        *ret = TAKE(credential, (struct credential)CREDENTIAL_INIT);
                        return 1;
                }
                slash = strrchr(name.data, '/');
                if (slash)
                        *slash = '\0';
        } while (slash);
        return 0;
}

static int take_helper(const char *name, struct auth_file_answer *answer, struct error *err)
{
        size_t length = strlen(name);

        for (const char *p = name; *p; p++) {
                if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
                        length = 0;
        }
        if (length == 0 || length > AUTH_FILE_HELPER_LIMIT)
                return error_set(err, EBADMSG, "the name of a credential helper is malformed");
        answer->helper = strdup(name);
        return answer->helper ? 1 : error_no_memory(err);
}

int auth_file_find(const char *text, size_t length, const struct auth_file_query *query,
                   struct auth_file_answer *ret, struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        auto_strlist struct strlist keys = STRLIST_INIT;
        const char *host = hub_is(query->registry) ? HUB_NAME : query->registry;
        const struct json_node *helpers = NULL;
        const char *key, *helper = NULL;
        int rc;

        if (!root || json_node_member(root, "credHelpers", JSON_NODE_OBJECT, &helpers, err) < 0 ||
            find_key(helpers, host, &key, &keys, err) < 0 ||
            (key && json_node_text(helpers, key, &helper, err) < 0))
                return -1;
        if (helper && *helper)
                return take_helper(helper, ret, err);
        rc = find_in_auths(root, query, &ret->credential, err);
        if (rc != 0)
                return rc;
        if (json_node_text(root, "credsStore", &helper, err) < 0)
                return -1;
        return helper && *helper ? take_helper(helper, ret, err) : 0;
}

/* ---- helpers ---- */

const char *auth_file_helper_server(const char *registry)
{
        return hub_is(registry) ? "https://index.docker.io/v1/" : registry;
}

int auth_file_helper_answer(const char *text, size_t length, const char *user,
                            struct credential *ret, struct error *err)
{
        auto_json_node struct json_node *root = json_node_parse(text, length, err);
        auto_credential struct credential credential = CREDENTIAL_INIT;
        const char *name = NULL, *secret = NULL;

        if (!root || json_node_text(root, "Username", &name, err) < 0 ||
            json_node_text(root, "Secret", &secret, err) < 0)
                return -1;
        if (!name || !secret || !*secret)
                return 0;
        if (take_secret(&credential, name, secret, err) < 0)
                return -1;
        if (!is_wanted(&credential, user))
                return 0;
        *ret = TAKE(credential, (struct credential)CREDENTIAL_INIT);
        return 1;
}
