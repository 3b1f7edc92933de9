/* Policies, and manifests of signatures. */
#include "fuzz.h"
#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_policy_signatures struct policy_signatures signatures = { .items = NULL };
        struct error err;

        policy_free(policy_parse((const char *)data, size, "fuzz", &err));
        (void)policy_signatures_parse((const char *)data, size, &signatures, &err);
        return 0;
}
