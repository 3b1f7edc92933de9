#include "registry/challenge.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "util/strbuf.h"

void challenge_release(struct challenge *challenge)
{
        free(challenge->realm);
        free(challenge->service);
        free(challenge->scope);
        *challenge = (struct challenge)CHALLENGE_INIT;
}

/* tchar of RFC 9110 */
static bool is_token_char(char c)
{
        return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static size_t token_length(const char *text)
{
        size_t length = 0;

        while (is_token_char(text[length]))
                length++;
        return length;
}

static const char *skip_space(const char *p)
{
        return p + strspn(p, " \t");
}

/*
 * The length of a token68 (the base64 of Negotiate and others) that is all that
 * follows a scheme; 0 when something else stands here.
 */
static size_t token68_length(const char *text)
{
        size_t length = 0;
        const char *after;

        while (isalnum((unsigned char)text[length]) ||
               (text[length] && strchr("-._~+/", text[length])))
                length++;
        if (length == 0)
                return 0;
        length += strspn(text + length, "=");
        after = skip_space(text + length);
        return *after == '\0' || *after == ',' ? length : 0;
}

/* Parse a token or a quoted string at *cursor into value. Returns 0, or -1. */
static int parse_value(const char **cursor, struct strbuf *value)
{
        const char *p = *cursor;

        if (*p != '"') {
                size_t length = token_length(p);

                *cursor = p + length;
                return length > 0 ? strbuf_append_mem(value, p, length) : -1;
        }
        for (p++; *p != '"'; p++) {
                if (*p == '\\')
                        p++;
                if (*p == '\0')
                        return -1;
                strbuf_append_char(value, *p);
        }
        *cursor = p + 1;
        return value->failed ? -1 : 0;
}

/* Keep a parameter that is of use here; the first one counts when it comes twice. */
static int keep_parameter(struct challenge *challenge, const char *name, size_t length,
                          struct strbuf *value)
{
        const struct {
                const char *name;
                char **slot;
        } known[] = {
                { "realm", &challenge->realm },
                { "service", &challenge->service },
                { "scope", &challenge->scope },
        };

        for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
                if (strlen(known[i].name) != length ||
                    strncasecmp(name, known[i].name, length) != 0 || *known[i].slot)
                        continue;
                *known[i].slot = strbuf_take(value);
                return *known[i].slot ? 0 : -1;
        }
        return 0;
}

/*
 * Take the parameters that belong to one challenge. A word without "=" is the
 * scheme of the next one, and stays.
 */
static int parse_parameters(const char **cursor, struct challenge *challenge)
{
        for (;;) {
                auto_strbuf struct strbuf value = STRBUF_INIT;
                const char *name = *cursor + strspn(*cursor, " \t,");
                size_t length = token_length(name);
                const char *p = skip_space(name + length);

                if (length == 0 || *p != '=') {
                        *cursor = name;
                        return length > 0 || *name == '\0' ? 0 : -1;
                }
                p = skip_space(p + 1);
                if (parse_value(&p, &value) < 0 ||
                    keep_parameter(challenge, name, length, &value) < 0)
                        return -1;
                *cursor = p;
        }
}

static enum challenge_scheme scheme_of(const char *text, size_t length)
{
        if (length == 5 && strncasecmp(text, "Basic", length) == 0)
                return CHALLENGE_BASIC;
        if (length == 6 && strncasecmp(text, "Bearer", length) == 0)
                return CHALLENGE_BEARER;
        return CHALLENGE_OTHER;
}

int challenge_next(const char **cursor, struct challenge *ret)
{
        auto_challenge struct challenge challenge = CHALLENGE_INIT;
        const char *p = *cursor + strspn(*cursor, " \t,");
        size_t length = token_length(p);

        *cursor = p;
        if (*p == '\0')
                return 0;
        if (length == 0)
                return -1;
        challenge.scheme = scheme_of(p, length);
        p += length;
        if (*p && !strchr(" \t,", *p))
                return -1;

        p = skip_space(p);
        if (*p && *p != ',') {
                length = token68_length(p);
                p += length;
                if (length == 0 && parse_parameters(&p, &challenge) < 0)
                        return -1;
        }
        *cursor = p;
        *ret = challenge;
        challenge = (struct challenge)CHALLENGE_INIT;
        return 1;
}
