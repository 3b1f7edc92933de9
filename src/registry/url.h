/*
 * The little that the client must know about URLs. Pure. No URL is taken apart
 * for a request (libcurl does that); these functions only decide whom a secret
 * may be sent to, and refuse what they do not understand.
 */
#pragma once

#include <stdbool.h>

#include "util/strbuf.h"

/* Whether url is http:// or https:// with a host, and holds only printable ASCII without spaces. */
bool url_valid(const char *url);
bool url_is_https(const char *url);

/*
 * Whether both lead to the same server: same scheme, host and port. A user name
 * in front of the host makes a URL different from all others.
 */
bool url_same_origin(const char *a, const char *b);

/* Whether to is from with https for http, on the same host and both on their default ports. */
bool url_is_upgrade(const char *from, const char *to);

/* Append the host of a valid url, or of "host[:port]", without user and port. */
int url_host(const char *url, struct strbuf *host);

/* The same with the port, where there is one. */
int url_authority(const char *url, struct strbuf *authority);

/* Append text percent-encoded for a query (RFC 3986, unreserved characters stay). */
int url_encode(const char *text, struct strbuf *result);
