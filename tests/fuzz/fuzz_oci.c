/* Configurations of bundles, whole and of a process alone, and their seccomp filters. */
#include <stdlib.h>

#include "fuzz.h"
#include "oci/oci.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_oci_spec struct oci_spec spec = { .document = NULL };
        auto_oci_process struct oci_process process = { .terminal = false };
        auto_oci_filter struct oci_filter filter = OCI_FILTER_INIT;
        struct error err = ERROR_INIT;

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
