/* Configurations of bundles, whole, of a process and of limits alone, and seccomp filters. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "oci/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_oci_spec struct oci_spec spec = { .document = NULL };
        auto_oci_process struct oci_process process = { .terminal = false };
        auto_oci_filter struct oci_filter filter = OCI_FILTER_INIT;
        auto_oci_resources struct oci_resources resources = { .unified = STRLIST_INIT };
        struct error err = ERROR_INIT;

        (void)oci_resources_parse((const char *)data, size, &resources, &err);
        for (size_t i = 0; i < resources.unified.count; i++)
                if (!strchr(resources.unified.items[i], '='))
                        abort();
        (void)oci_process_parse((const char *)data, size, &process, &err);
        if (oci_spec_parse((const char *)data, size, "/bundle", &spec, &err) < 0)
                return 0;
        if (!spec.rootfs || *spec.rootfs != '/' || !spec.version)
                abort();
        if (spec.has_process && (spec.process.args.count == 0 || *spec.process.cwd != '/'))
                abort();
        if (spec.seccomp)
                (void)oci_filter_compile(spec.seccomp, &filter, &err);
        return 0;
}
