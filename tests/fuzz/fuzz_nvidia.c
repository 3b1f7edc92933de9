/* What of a driver or an image is read for GPUs: requirements, capabilities, procfs, notes. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gpu/nvidia.h"
#include "gpu/requirement.h"

static void try_requirement(const char *text)
{
        static const struct requirement_facts facts[] = {
                { .cuda = "12.2", .driver = "535.1", .architecture = "8.0", .brand = "tesla" },
                { .driver = "999.1", .cuda_at_least = "13.1" },
                { .driver = "1", .no_gpu = true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(facts); i++) {
                char condition[REQUIREMENT_CONDITION_SIZE];
                struct error err = ERROR_INIT;
                enum requirement_result result;

                if (requirement_evaluate(text, &facts[i], &result, condition, &err) == 0 &&
                    (result == REQUIREMENT_MET) != (condition[0] == '\0'))
                        abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct nvidia_gpu gpu = { .minor = 0 };
        struct error err = ERROR_INIT;
        struct nvidia_pci pci;
        unsigned int capabilities;

        if (strbuf_append_mem(&text, data, size) < 0)
                return 0;
        try_requirement(strbuf_text(&text));
        (void)nvidia_capabilities_parse(strbuf_text(&text), &capabilities, &err);
        nvidia_information_parse(strbuf_text(&text), &gpu);
        if (gpu.minor < -1 || gpu.minor >= (int)NVIDIA_GPU_LIMIT)
                abort();
        if (nvidia_pci_parse(strbuf_text(&text), &pci) && pci.bus > 0xff)
                abort();
        (void)nvidia_library_capabilities(strbuf_text(&text));
        (void)nvidia_compat_allows(strbuf_text(&text), text.length, "535.1", "550.1", "12.2");
        return 0;
}
