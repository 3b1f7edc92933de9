#include "registry/url.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char http[] = "http://";
static const char https[] = "https://";

struct authority {
        const char *text;
        size_t length;
};

/* Between the scheme and the path: "[user@]host[:port]". Empty when there is no known scheme. */
static struct authority authority_of(const char *url)
{
        const char *text = url;

        if (strncasecmp(url, https, strlen(https)) == 0)
                text += strlen(https);
        else if (strncasecmp(url, http, strlen(http)) == 0)
                text += strlen(http);
        else
                return (struct authority){ .text = url, .length = 0 };
        return (struct authority){ .text = text, .length = strcspn(text, "/?#") };
}

/* Cut the port off when it is the one that the scheme has anyway. */
static struct authority without_default_port(struct authority authority, bool is_https)
{
        const char *port = is_https ? ":443" : ":80";
        size_t length = strlen(port);

        if (authority.length > length &&
            memcmp(authority.text + authority.length - length, port, length) == 0)
                authority.length -= length;
        return authority;
}

static bool authority_equal(struct authority a, struct authority b)
{
        return a.length == b.length && a.length > 0 && strncasecmp(a.text, b.text, a.length) == 0 &&
               !memchr(a.text, '@', a.length);
}

bool url_valid(const char *url)
{
        for (const char *p = url; *p; p++) {
                if (*p <= ' ' || *p >= 0x7f)
                        return false;
        }
        return authority_of(url).length > 0;
}

bool url_is_https(const char *url)
{
        return strncasecmp(url, https, strlen(https)) == 0;
}

bool url_same_origin(const char *a, const char *b)
{
        bool is_https = url_is_https(a);

        return is_https == url_is_https(b) &&
               authority_equal(without_default_port(authority_of(a), is_https),
                               without_default_port(authority_of(b), is_https));
}

bool url_is_upgrade(const char *from, const char *to)
{
        struct authority host = without_default_port(authority_of(from), false);

        return !url_is_https(from) && url_is_https(to) &&
               authority_equal(host, without_default_port(authority_of(to), true)) &&
               !memchr(host.text, ':', host.length);
}

/* "host[:port]" of a url, or of what is one without scheme and path. */
static struct authority without_user(const char *url)
{
        struct authority authority = authority_of(url);
        const char *at;

        if (authority.length == 0)
                authority = (struct authority){ .text = url, .length = strcspn(url, "/") };
        at = memrchr(authority.text, '@', authority.length);
        if (at) {
                authority.length -= (size_t)(at + 1 - authority.text);
                authority.text = at + 1;
        }
        return authority;
}

int url_authority(const char *url, struct strbuf *authority)
{
        struct authority found = without_user(url);

        return strbuf_append_mem(authority, found.text, found.length);
}

int url_host(const char *url, struct strbuf *host)
{
        struct authority authority = without_user(url);
        const char *end;

        /* The colons of an IPv6 address stand in brackets, which are part of the host. */
        end = memchr(authority.text, authority.text[0] == '[' ? ']' : ':', authority.length);
        if (end)
                authority.length = (size_t)(end - authority.text) + (*end == ']');
        return strbuf_append_mem(host, authority.text, authority.length);
}

int url_encode(const char *text, struct strbuf *result)
{
        for (const char *p = text; *p; p++) {
                unsigned char c = (unsigned char)*p;

                if ((c < 0x80 && isalnum(c)) || strchr("-._~", c))
                        strbuf_append_char(result, (char)c);
                else
                        strbuf_printf(result, "%%%02X", c);
        }
        return result->failed ? -1 : 0;
}
