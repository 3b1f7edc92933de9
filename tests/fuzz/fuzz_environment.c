/* Environment files: whatever they hold, the list stays one of well-formed variables. */
#include <stdlib.h>
#include <string.h>

#include "env/env.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_strlist struct strlist env = STRLIST_INIT, host = STRLIST_INIT;
        struct error err = ERROR_INIT;

        (void)strlist_append(&host, "A=1\nENROOT_B=2");
        (void)env_add_text(&env, (const char *)data, size, &host, &err);
        for (size_t i = 0; i < env.count; i++) {
                const char *equals = strchr(env.items[i], '=');

                if (!equals || !env_name_valid(env.items[i], (size_t)(equals - env.items[i])) ||
                    strncmp(env.items[i], "ENROOT_", 7) == 0)
                        abort();
        }
        return 0;
}
