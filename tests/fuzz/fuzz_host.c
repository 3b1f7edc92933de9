/* What a check reads of the machine: os-release, kernel configuration, driver. */
#include <stdlib.h>
#include <string.h>

#include "check/kernel_config.h"
#include "fuzz.h"
#include "gpu/gpu.h"
#include "host/host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct kernel_config config = { .path = "" };
        struct host_distribution distribution;
        const char *text = (const char *)data;
        char version[8];

        host_distribution_parse(text, size, &distribution);
        if (strbuf_append_mem(&config.text, data, size) == 0) {
                (void)kernel_config_option(&config, "CONFIG_A");
                if (gpu_nvidia_version_parse(strbuf_text(&config.text), version, sizeof(version)) &&
                    !strchr(version, '.'))
                        abort();
        }
        kernel_config_release(&config);
        return 0;
}
