/*
 * The WWW-Authenticate header (RFC 9110 section 11.6.1): how a server wants to be
 * asked. Pure.
 */
#pragma once

#include "util/cleanup.h"

enum challenge_scheme {
        CHALLENGE_OTHER,
        CHALLENGE_BASIC,  /* RFC 7617 */
        CHALLENGE_BEARER, /* RFC 6750, with the parameters of the distribution specification */
};

struct challenge {
        enum challenge_scheme scheme;
        char *realm, *service, *scope; /* NULL when not given */
};

#define CHALLENGE_INIT { .scheme = CHALLENGE_OTHER }

void challenge_release(struct challenge *challenge);
#define auto_challenge auto_cleanup(challenge_release)

/*
 * Take the next challenge off a header's value, which may hold several.
 *
 * cursor  the value at first; moved behind what was taken
 *
 * Returns 1 and fills *ret (to be released by the caller), 0 at the end of the
 * value, or -1 when it is malformed or memory has run out.
 */
int challenge_next(const char **cursor, struct challenge *ret);
