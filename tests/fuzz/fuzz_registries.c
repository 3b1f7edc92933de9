/* registries.conf (TOML), Docker's and Podman's credential files. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "registry/auth_file.h"
#include "registry/registries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        const struct auth_file_query query = { .registry = "a.io", .repository = "b/c" };
        auto_auth_file_answer struct auth_file_answer answer = AUTH_FILE_ANSWER_INIT;
        auto_registries struct registries registries = { .entries = NULL };
        auto_credential struct credential credential = CREDENTIAL_INIT;
        auto_free char *text = strndup((const char *)data, size);
        struct error err;

        if (!text)
                return 0;
        if (registries_parse(&registries, text, strlen(text), "fuzz", &err) == 0) {
                const struct registries_entry *entry = registries_find(&registries, "a.io/b/c");
                auto_free char *name =
                        entry ? registries_rewrite(entry, entry->location, "a.io/b/c") : NULL;

                if (entry && !name)
                        abort();
        }
        (void)auth_file_find(text, strlen(text), &query, &answer, &err);
        (void)auth_file_helper_answer(text, strlen(text), NULL, &credential, &err);
        return 0;
}
