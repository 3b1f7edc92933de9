#include "registry/auth.h"

#include <errno.h>
#include <string.h>

#include "registry/clock.h"
#include "registry/document.h"
#include "registry/session.h"
#include "registry/url.h"

void auth_release(struct auth *auth)
{
        credential_release(&auth->credential);
        challenge_release(&auth->challenge);
        free(auth->header);
        *auth = (struct auth){ .header = NULL };
}

char *auth_basic(const char *user, const char *password)
{
        static const char digits[] =
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        auto_strbuf struct strbuf plain = STRBUF_INIT;
        auto_strbuf struct strbuf header = STRBUF_INIT;

        strbuf_printf(&plain, "%s:%s", user, password);
        strbuf_append(&header, "Basic ");
        for (size_t i = 0; !plain.failed && i < plain.length; i += 3) {
                size_t left = plain.length - i;
                const unsigned char *in = (const unsigned char *)plain.data + i;
                unsigned int bits = (unsigned int)in[0] << 16;

                if (left > 1)
                        bits |= (unsigned int)in[1] << 8;
                if (left > 2)
                        bits |= in[2];
                strbuf_append_char(&header, digits[bits >> 18]);
                strbuf_append_char(&header, digits[bits >> 12 & 63]);
                strbuf_append_char(&header, left > 1 ? digits[bits >> 6 & 63] : '=');
                strbuf_append_char(&header, left > 2 ? digits[bits & 63] : '=');
        }
        return plain.failed ? NULL : strbuf_take(&header);
}

static int look_up(struct registry *registry, const struct challenge *challenge, struct error *err)
{
        struct auth *auth = &registry->auth;
        auto_strbuf struct strbuf realm_host = STRBUF_INIT;
        struct credential_query query = {
                .file = registry->options->credentials_file,
                .registry = registry->ref->registry,
                .user = registry->ref->user,
                .environment = registry->options->environment,
        };

        if (auth->looked_up)
                return 0;
        if (challenge->scheme == CHALLENGE_BEARER) {
                if (url_host(challenge->realm, &realm_host) < 0)
                        return error_no_memory(err);
                query.realm_host = realm_host.data;
        }
        if (credentials_find(&query, registry->report, &auth->credential, err) < 0)
                return -1;
        auth->looked_up = true;
        return 0;
}

/* realm?service=…&scope=… malloc'd, or NULL without memory. */
static char *token_url(const struct registry *registry, const struct challenge *challenge)
{
        auto_strbuf struct strbuf url = STRBUF_INIT;

        strbuf_append(&url, challenge->realm);
        strbuf_append_char(&url, strchr(challenge->realm, '?') ? '&' : '?');
        if (challenge->service) {
                strbuf_append(&url, "service=");
                url_encode(challenge->service, &url);
                strbuf_append_char(&url, '&');
        }
        strbuf_append(&url, "scope=");
        if (challenge->scope) {
                url_encode(challenge->scope, &url);
        } else {
                strbuf_append(&url, "repository%3A");
                url_encode(registry->ref->repository, &url);
                strbuf_append(&url, "%3Apull");
        }
        return strbuf_take(&url);
}

/* A token becomes part of a header line: nothing but visible ASCII may be in it. */
static bool token_valid(const char *token)
{
        for (const char *p = token; *p; p++) {
                if (*p <= ' ' || *p >= 0x7f)
                        return false;
        }
        return *token != '\0';
}

static int check_realm(const struct registry *registry, const char *realm, struct error *err)
{
        if (!realm || !url_valid(realm))
                return error_set(err, EPROTO, "the registry names no valid token server");
        if (!url_is_https(realm) && !registry->options->allow_http)
                return error_set(err, EPROTO,
                                 "the token server %.200s is not on HTTPS; ENROOT_ALLOW_HTTP=yes "
                                 "allows it",
                                 realm);
        return 0;
}

static int set_header(struct auth *auth, char *header, int64_t expires, struct error *err)
{
        if (!header)
                return error_no_memory(err);
        free(auth->header);
        auth->header = header;
        auth->expires = expires;
        auth->generation++;
        return 0;
}

static int fetch_token(struct registry *registry, const struct challenge *challenge,
                       struct error *err)
{
        struct auth *auth = &registry->auth;
        struct credential *credential = &auth->credential;
        auto_document struct document answer = DOCUMENT_INIT;
        auto_strbuf struct strbuf header = STRBUF_INIT;
        auto_free char *basic = NULL, *token = NULL, *url = token_url(registry, challenge);
        struct document_request request = { .url = url, .limit = AUTH_TOKEN_LIMIT };
        int64_t lifetime = 0;

        if (credential->user) {
                basic = auth_basic(credential->user, credential->password);
                request.authorization = basic;
        }
        if (!url || (credential->user && !basic))
                return error_no_memory(err);
        if (document_get(registry, &request, &answer, err) < 0) {
                error_prefix(err, "token server %.200s", challenge->realm);
                return err->code == EACCES ? auth_explain(registry, err) : -1;
        }
        token = image_parse_token(strbuf_text(&answer.text), answer.text.length, &lifetime, err);
        if (!token)
                return error_prefix(err, "token server %.200s", challenge->realm);
        if (!token_valid(token))
                return error_set(err, EPROTO, "token server %.200s: the token is malformed",
                                 challenge->realm);
        if (lifetime < 0 || lifetime > INT32_MAX)
                lifetime = INT32_MAX;
        strbuf_printf(&header, "Bearer %s", token);
        return set_header(auth, strbuf_take(&header), clock_ms() + lifetime * 1000, err);
}

static int answer_bearer(struct registry *registry, const struct challenge *challenge,
                         struct error *err)
{
        struct auth *auth = &registry->auth;

        if (check_realm(registry, challenge->realm, err) < 0)
                return -1;
        /* What was found for one token server is not for another. */
        if (auth->challenge.realm && !url_same_origin(auth->challenge.realm, challenge->realm)) {
                credential_release(&auth->credential);
                auth->looked_up = false;
        }
        if (look_up(registry, challenge, err) < 0)
                return -1;
        return fetch_token(registry, challenge, err);
}

static int answer_basic(struct registry *registry, const struct challenge *challenge,
                        struct error *err)
{
        struct auth *auth = &registry->auth;

        if (look_up(registry, challenge, err) < 0)
                return -1;
        if (!auth->credential.user) {
                error_set(err, EACCES, "%s asks for a user and a password",
                          registry->ref->registry);
                return auth_explain(registry, err);
        }
        return set_header(auth, auth_basic(auth->credential.user, auth->credential.password),
                          INT64_MAX, err);
}

/* Choose among all challenges: a token before a password, which then stays with its owner. */
static int choose(const struct http_request *response, struct challenge *ret)
{
        const char *value;

        for (size_t i = 0; (value = http_header(response, "WWW-Authenticate", i)); i++) {
                for (;;) {
                        auto_challenge struct challenge challenge = CHALLENGE_INIT;

                        if (challenge_next(&value, &challenge) <= 0)
                                break;
                        if (challenge.scheme <= ret->scheme)
                                continue;
                        challenge_release(ret);
                        *ret = challenge;
                        challenge = (struct challenge)CHALLENGE_INIT;
                }
        }
        return ret->scheme == CHALLENGE_OTHER ? -1 : 0;
}

int auth_answer(struct registry *registry, const struct http_request *response, struct error *err)
{
        struct auth *auth = &registry->auth;
        auto_challenge struct challenge challenge = CHALLENGE_INIT;
        int rc;

        if (choose(response, &challenge) < 0)
                return error_set(err, EPROTONOSUPPORT,
                                 "%s asks for a way of authentication that is neither Bearer nor "
                                 "Basic",
                                 registry->ref->registry);
        rc = challenge.scheme == CHALLENGE_BEARER ? answer_bearer(registry, &challenge, err)
                                                  : answer_basic(registry, &challenge, err);
        if (rc < 0)
                return -1;
        challenge_release(&auth->challenge);
        auth->challenge = challenge;
        challenge = (struct challenge)CHALLENGE_INIT;
        return 0;
}

int auth_refresh(struct registry *registry, struct error *err)
{
        struct auth *auth = &registry->auth;

        if (!auth->header || auth->expires == INT64_MAX ||
            clock_ms() < auth->expires - AUTH_EXPIRY_MARGIN_MS)
                return 0;
        return fetch_token(registry, &auth->challenge, err);
}

int auth_explain(struct registry *registry, struct error *err)
{
        const struct registry_options *options = registry->options;
        const char *user = registry->auth.credential.user;
        auto_strbuf struct strbuf host = STRBUF_INIT;

        if (url_host(registry->ref->registry, &host) < 0)
                return error_no_memory(err);
        if (user)
                error_append(err, "; the user was %s", user);
        else
                error_append(err, "; no credentials were given");
        return error_append(err,
                            "; credentials go into %s: machine %s login USER password PASSWORD",
                            options->credentials_file, host.data);
}
