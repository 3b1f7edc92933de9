/* enroot.conf: lines and the expansion of their values. Commands are not run. */
#include <string.h>

#include "config/config.h"
#include "config/expand.h"
#include "config/file.h"
#include "fuzz.h"

static char *answer(const char *command, const struct strlist *environment, struct error *err)
{
        (void)environment;
        (void)err;
        return strdup(command);
}

static int set(void *context, const char *key, const char *value, struct error *err)
{
        auto_free char *text = expand_value(value, context, answer, err);

        (void)key;
        return text ? 0 : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_strlist struct strlist environment = STRLIST_INIT;
        struct error err = ERROR_INIT;

        (void)strlist_append(&environment, "HOME=/home/me");
        (void)strlist_append(&environment, "A=a b");
        (void)file_parse((const char *)data, size, "enroot.conf", set, &environment, &err);
        return 0;
}
