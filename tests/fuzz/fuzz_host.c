/* What a check reads of the machine: os-release, kernel configuration, driver, linker cache. */
#include <stdlib.h>
#include <string.h>

#include "check/devices.h"
#include "check/kernel_config.h"
#include "fuzz.h"
#include "host/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct kernel_config config = { .path = "" };
        struct host_distribution distribution;
        const char *text = (const char *)data, *path;
        char version[8];

        host_distribution_parse(text, size, &distribution);
        path = ld_cache_find(text, size, "lib.so");
        if (path && (*path != '/' || path + strlen(path) >= text + size))
                abort();
        if (strbuf_append_mem(&config.text, data, size) == 0) {
                (void)kernel_config_option(&config, "CONFIG_A");
                if (nvidia_version_parse(strbuf_text(&config.text), version, sizeof(version)) &&
                    !strchr(version, '.'))
                        abort();
        }
        kernel_config_release(&config);
        return 0;
}
