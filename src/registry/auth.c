#include "registry/auth.h"

#include <errno.h>
#include <string.h>

#include "registry/document.h"
#include "registry/session.h"
#include "registry/url.h"
#include "util/base64.h"
#include "util/clock.h"

void auth_release(struct auth *auth)
{
        credential_release(&auth->credential);
        challenge_release(&auth->challenge);
        free(auth->header);
        *auth = (struct auth){ .header = NULL };
}

char *auth_basic(const char *user, const char *password)
{
        auto_secret struct strbuf plain = STRBUF_INIT;
        auto_strbuf struct strbuf header = STRBUF_INIT;

        strbuf_printf(&plain, "%s:%s", user, password);
        strbuf_append(&header, "Basic ");
        if (plain.failed || base64_encode(plain.data, plain.length, &header) < 0)
                return NULL;
        return strbuf_take(&header);
}

static int look_up(struct registry *registry, struct endpoint *endpoint,
                   const struct challenge *challenge, struct error *err)
{
        struct auth *auth = &endpoint->auth;
        auto_strbuf struct strbuf realm_host = STRBUF_INIT;
        struct credential_query query = {
                .file = registry->options->credentials_file,
                .registry = endpoint->host,
                .repository = endpoint->repository,
                .user = endpoint->is_mirror ? NULL : registry->ref->user,
                .is_mirror = endpoint->is_mirror,
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

/* Append service=…&scope=…, which a GET has in its query and a POST in its form. */
static int append_parameters(const struct endpoint *endpoint, const struct challenge *challenge,
                             struct strbuf *text)
{
        if (challenge->service) {
                strbuf_append(text, "service=");
                url_encode(challenge->service, text);
                strbuf_append_char(text, '&');
        }
        strbuf_append(text, "scope=");
        if (challenge->scope)
                return url_encode(challenge->scope, text);
        strbuf_append(text, "repository%3A");
        url_encode(endpoint->repository, text);
        return strbuf_append(text, "%3Apull");
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

static int check_realm(struct registry *registry, const struct endpoint *endpoint,
                       const char *realm, struct error *err)
{
        const struct http_trust *trust;

        if (!realm || !url_valid(realm))
                return error_set(err, EPROTO, "the registry names no valid token server");
        trust = endpoint_trust(registry, endpoint, realm, err);
        if (!trust)
                return -1;
        if (!url_is_https(realm) && !trust->allow_http)
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

/*
 * Ask for a token as the distribution specification has it: GET with the password,
 * or, for an identity token, POST as OAuth2 has it (docs/spec/auth/oauth.md).
 */
static int request_token(struct registry *registry, struct endpoint *endpoint,
                         const struct challenge *challenge, struct document *answer,
                         struct error *err)
{
        const struct credential *credential = &endpoint->auth.credential;
        auto_strbuf struct strbuf url = STRBUF_INIT;
        auto_secret struct strbuf form = STRBUF_INIT;
        auto_free char *basic = NULL;
        struct document_request request = { .limit = AUTH_TOKEN_LIMIT, .endpoint = endpoint };

        strbuf_append(&url, challenge->realm);
        if (credential->identity_token) {
                strbuf_append(&form, "grant_type=refresh_token&client_id=enroot&refresh_token=");
                url_encode(credential->identity_token, &form);
                strbuf_append_char(&form, '&');
                append_parameters(endpoint, challenge, &form);
                request.form = form.data;
        } else {
                strbuf_append_char(&url, strchr(challenge->realm, '?') ? '&' : '?');
                append_parameters(endpoint, challenge, &url);
        }
        if (credential->user) {
                basic = auth_basic(credential->user, credential->password);
                request.authorization = basic;
        }
        if (url.failed || form.failed || (credential->user && !basic))
                return error_no_memory(err);
        request.url = url.data;
        return document_get(registry, &request, answer, err);
}

static int fetch_token(struct registry *registry, struct endpoint *endpoint,
                       const struct challenge *challenge, struct error *err)
{
        struct auth *auth = &endpoint->auth;
        auto_document struct document answer = DOCUMENT_INIT;
        auto_strbuf struct strbuf header = STRBUF_INIT;
        auto_free char *token = NULL;
        int64_t lifetime = 0;

        if (request_token(registry, endpoint, challenge, &answer, err) < 0) {
                error_prefix(err, "token server %.200s", challenge->realm);
                return err->code == EACCES ? auth_explain(registry, endpoint, err) : -1;
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

static int answer_bearer(struct registry *registry, struct endpoint *endpoint,
                         const struct challenge *challenge, struct error *err)
{
        struct auth *auth = &endpoint->auth;

        if (check_realm(registry, endpoint, challenge->realm, err) < 0)
                return -1;
        /* What was found for one token server is not for another. */
        if (auth->challenge.realm && !url_same_origin(auth->challenge.realm, challenge->realm)) {
                credential_release(&auth->credential);
                auth->looked_up = false;
        }
        if (look_up(registry, endpoint, challenge, err) < 0)
                return -1;
        return fetch_token(registry, endpoint, challenge, err);
}

static int answer_basic(struct registry *registry, struct endpoint *endpoint,
                        const struct challenge *challenge, struct error *err)
{
        struct auth *auth = &endpoint->auth;

        if (look_up(registry, endpoint, challenge, err) < 0)
                return -1;
        if (!auth->credential.user) {
                error_set(err, EACCES, "%s asks for a user and a password", endpoint->host);
                return auth_explain(registry, endpoint, err);
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

int auth_answer(struct registry *registry, struct endpoint *endpoint,
                const struct http_request *response, struct error *err)
{
        struct auth *auth = &endpoint->auth;
        auto_challenge struct challenge challenge = CHALLENGE_INIT;
        int rc;

        if (choose(response, &challenge) < 0)
                return error_set(err, EPROTONOSUPPORT,
                                 "%s asks for a way of authentication that is neither Bearer nor "
                                 "Basic",
                                 endpoint->host);
        rc = challenge.scheme == CHALLENGE_BEARER
                     ? answer_bearer(registry, endpoint, &challenge, err)
                     : answer_basic(registry, endpoint, &challenge, err);
        if (rc < 0)
                return -1;
        challenge_release(&auth->challenge);
        auth->challenge = challenge;
        challenge = (struct challenge)CHALLENGE_INIT;
        return 0;
}

int auth_refresh(struct registry *registry, struct endpoint *endpoint, struct error *err)
{
        struct auth *auth = &endpoint->auth;

        if (!auth->header || auth->expires == INT64_MAX ||
            clock_ms() < auth->expires - AUTH_EXPIRY_MARGIN_MS)
                return 0;
        return fetch_token(registry, endpoint, &auth->challenge, err);
}

int auth_explain(struct registry *registry, const struct endpoint *endpoint, struct error *err)
{
        const struct credential *credential = &endpoint->auth.credential;
        auto_strbuf struct strbuf host = STRBUF_INIT;

        if (url_host(endpoint->host, &host) < 0)
                return error_no_memory(err);
        if (credential->user)
                error_append(err, "; the user was %s", credential->user);
        else
                error_append(err, credential->identity_token ? "; an identity token was used"
                                                             : "; no credentials were given");
        return error_append(err,
                            "; credentials go into %s: machine %s login USER password PASSWORD",
                            registry->options->credentials_file, host.data);
}
