/*
 * NVIDIA_REQUIRE_*: whether the driver is new enough for what the image holds, and so on.
 * CUDA images state it, so that the usual answer must not need NVML: which version of CUDA a
 * driver has is known from its own version.
 */
#include <errno.h>
#include <string.h>

#include "env/env.h"
#include "gpu/nvidia.h"
#include "gpu/requirement.h"

#define PREFIX "NVIDIA_REQUIRE_"

/* CUDA Toolkit release notes: the first driver of each version of CUDA. */
static const struct {
        const char *driver, *cuda;
} cuda_versions[] = {
        { "590", "13.1" }, { "580", "13.0" }, { "575", "12.9" }, { "570", "12.8" },
        { "565", "12.7" }, { "560", "12.6" }, { "555", "12.5" }, { "550", "12.4" },
        { "545", "12.3" }, { "535", "12.2" }, { "530", "12.1" }, { "525", "12.0" },
        { "520", "11.8" }, { "515", "11.7" }, { "510", "11.6" }, { "495", "11.5" },
        { "470", "11.4" }, { "465", "11.3" }, { "460", "11.2" }, { "455", "11.1" },
        { "450", "11.0" }, { "440", "10.2" }, { "418", "10.1" }, { "410", "10.0" },
        { "396", "9.2" },  { "390", "9.1" },  { "384", "9.0" },
};

const char *nvidia_cuda_version(const char *driver, bool *ret_exact)
{
        for (size_t i = 0; i < ARRAY_SIZE(cuda_versions); i++)
                if (requirement_compare_versions(driver, cuda_versions[i].driver) >= 0) {
                        *ret_exact = i > 0; /* drivers newer than any here may have newer ones */
                        return cuda_versions[i].cuda;
                }
        return NULL;
}

static void set_cuda(const struct nvidia *nvidia, struct requirement_facts *facts)
{
        bool exact = false;
        const char *cuda = nvidia_cuda_version(nvidia->driver.version, &exact);

        facts->cuda_at_least = cuda;
        facts->cuda = exact ? cuda : NULL;
}

static void set_nvml(const struct nvidia_gpu *gpu, const struct nvml_answer *nvml,
                     struct requirement_facts *facts)
{
        if (*nvml->cuda_version)
                facts->cuda = nvml->cuda_version;
        for (uint32_t i = 0; gpu && i < nvml->gpu_count; i++) {
                const struct nvml_gpu *found = &nvml->gpus[i];

                if (!nvidia_pci_is_equal(&found->pci, &gpu->pci))
                        continue;
                facts->brand = *found->brand ? found->brand : NULL;
                facts->architecture = *found->architecture ? found->architecture : NULL;
        }
}

/* One expression for one GPU, or for none. */
static int check(struct nvidia *nvidia, const struct nvidia_gpu *gpu, const char *name,
                 const char *text, struct error *err)
{
        struct requirement_facts facts = { .driver = nvidia->driver.version, .no_gpu = !gpu };
        char condition[REQUIREMENT_CONDITION_SIZE];
        enum requirement_result result;

        set_cuda(nvidia, &facts);
        if (requirement_evaluate(text, &facts, &result, condition, err) < 0)
                return error_prefix(err, "%s", name);
        if (result == REQUIREMENT_UNKNOWN && nvidia_nvml(nvidia)) {
                set_nvml(gpu, nvidia_nvml(nvidia), &facts);
                if (requirement_evaluate(text, &facts, &result, condition, err) < 0)
                        return error_prefix(err, "%s", name);
        }
        if (result == REQUIREMENT_UNKNOWN)
                return gpu_injection_warn(nvidia->injection, err,
                                          "%s: whether %s holds is not known%s%s", name, condition,
                                          nvidia->nvml_failed ? ": " : "",
                                          nvidia->nvml_failed ? nvidia->nvml_error.message : "");
        if (result == REQUIREMENT_MET)
                return 0;
        error_set(err, ENOTSUP, "requirement error: unsatisfied condition: %s", condition);
        if (strncmp(condition, "cuda", 4) == 0 || strncmp(condition, "driver", 6) == 0)
                error_append(err, ", please update your driver to a newer version, or use an "
                                  "earlier cuda container");
        return error_append(err, " (%s; the driver is %s; NVIDIA_DISABLE_REQUIRE=1 skips this)",
                            name, nvidia->driver.version);
}

/* For each GPU that will be seen. */
static int check_all(struct nvidia *nvidia, const char *name, const char *text, struct error *err)
{
        bool any = false;

        for (size_t i = 0; i < nvidia->driver.gpu_count; i++) {
                const struct nvidia_gpu *gpu = &nvidia->driver.gpus[i];

                if (!gpu->chosen)
                        continue;
                any = true;
                if (check(nvidia, gpu, name, text, err) < 0)
                        return -1;
        }
        return any ? 0 : check(nvidia, NULL, name, text, err);
}

/* Names of the variables in an environment that are not known yet. */
static int add_names(const struct strlist *environment, struct strlist *names)
{
        for (size_t i = 0; i < environment->count; i++) {
                const char *item = environment->items[i];
                auto_free char *name = NULL;

                if (strncmp(item, PREFIX, strlen(PREFIX)) != 0)
                        continue;
                name = strndup(item, strcspn(item, "="));
                if (!name || (!strlist_contains(names, name) && strlist_append(names, name) < 0))
                        return -1;
        }
        return 0;
}

/* What an image of old stands for: "cuda>=X.Y". */
static int check_legacy(struct nvidia *nvidia, const char *version, struct error *err)
{
        size_t major = strcspn(version, ".");
        size_t minor = version[major] ? 1 + strcspn(version + major + 1, ".") : 0;
        auto_free char *text = nvidia_path("cuda>=", "%.*s", (int)(major + minor), version);

        return text ? check_all(nvidia, "CUDA_VERSION", text, err) : error_no_memory(err);
}

int nvidia_check_requirements(struct nvidia *nvidia, const char *legacy_cuda, struct error *err)
{
        const struct gpu_request *request = nvidia->request;
        auto_strlist struct strlist names = STRLIST_INIT;

        if (gpu_setting(request, "NVIDIA_DISABLE_REQUIRE"))
                return 0;
        if (legacy_cuda && check_legacy(nvidia, legacy_cuda, err) < 0)
                return -1;
        if (add_names(request->host, &names) < 0 || add_names(request->container, &names) < 0)
                return error_no_memory(err);
        for (size_t i = 0; i < names.count; i++) {
                const char *text = gpu_setting(request, names.items[i]);

                if (text && check_all(nvidia, names.items[i], text, err) < 0)
                        return -1;
        }
        return 0;
}
