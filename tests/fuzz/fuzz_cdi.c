/* CDI: names, specification files in JSON and YAML, and lists of devices. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gpu/cdi.h"
#include "gpu/device_names.h"

/* A name is its kind, "=" and its device, and nothing else. */
static void check_name(const char *text)
{
        const char *device;
        size_t length;

        if (cdi_name_split(text, &length, &device) &&
            (text[length] != '=' || device != text + length + 1 ||
             !cdi_kind_valid(text, length) || !cdi_device_valid(device)))
                abort();
}

static void check_list(const char *text)
{
        struct device_item item;

        while (device_list_next(&text, &item) > 0)
                if (!item.is_id && (item.first > item.last || item.last > DEVICE_LIMIT))
                        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static const enum cdi_format formats[] = { CDI_JSON, CDI_YAML };
        auto_free char *text = strndup((const char *)data, size);

        if (!text)
                return 0;
        check_name(text);
        check_list(text);
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
                auto_cdi_registry struct cdi_registry registry = CDI_REGISTRY_INIT;
                auto_cdi_spec struct cdi_spec spec = { .path = NULL };
                struct error err;

                if (cdi_spec_parse((const char *)data, size, formats[i], &spec, &err) == 0 &&
                    (!cdi_kind_valid(spec.kind, strlen(spec.kind)) || spec.device_count == 0 ||
                     cdi_registry_add(&registry, &spec) < 0))
                        abort();
        }
        return 0;
}
