/* WWW-Authenticate, Retry-After and the credentials file. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "registry/challenge.h"
#include "registry/netrc.h"
#include "registry/retry.h"
#include "registry/url.h"

static void read_challenges(const char *text)
{
        const char *cursor = text;

        for (;;) {
                auto_challenge struct challenge challenge = CHALLENGE_INIT;
                const char *before = cursor;

                if (challenge_next(&cursor, &challenge) <= 0)
                        return;
                if (cursor <= before)
                        abort();
                if (challenge.realm && url_valid(challenge.realm) &&
                    url_same_origin(challenge.realm, "https://registry.example"))
                        (void)url_is_https(challenge.realm);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_free char *text = strndup((const char *)data, size);
        struct netrc netrc = { .entries = NULL };
        struct error err;

        if (!text)
                return 0;
        read_challenges(text);
        (void)retry_after(text, 0);
        if (netrc_parse(text, &netrc, &err) == 0) {
                (void)netrc_find(&netrc, "registry.example", NULL);
                netrc_release(&netrc);
        }
        return 0;
}
