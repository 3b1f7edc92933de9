#include "registry/hub.h"

#include <stddef.h>
#include <strings.h>

#include "util/cleanup.h"

bool hub_is(const char *host)
{
        static const char *const names[] = { HUB_NAME, HUB_HOST, "index.docker.io" };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (strcasecmp(host, names[i]) == 0)
                        return true;
        return false;
}
