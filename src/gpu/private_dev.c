/*
 * What stays of the host's /dev when only some devices of a kind are asked for: everything
 * else that is of use. The rest of a start then adds those that are.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu/device_names.h"
#include "gpu/injection.h"
#include "gpu/sysfs.h"
#include "util/strbuf.h"

/* The most entries that are kept, each of which is a mount. */
#define KEPT_LIMIT 256u

/* The nodes of each kind in /dev; "#" stands for a number. */
static const struct {
        unsigned int kinds;
        const char *name;
} nodes[] = {
        { GPU_KIND_NVIDIA, "nvidia#" },
        { GPU_KIND_NVIDIA, "nvidia-caps" },
        { GPU_KIND_NVIDIA, "nvidia-caps-imex-channels" },
        { GPU_KIND_NVIDIA | GPU_KIND_AMD, "dri" },
        { GPU_KIND_AMD, "kfd" },
        { GPU_KIND_INFINIBAND, "infiniband" },
};

/* ---- whether a part is asked for ---- */

static bool is_subset(const struct gpu_request *request, const char *name)
{
        const char *value = gpu_setting(request, name);

        return device_list_wanted(value) && !device_list_is_all(value);
}

/* Of a CDI device "all", nothing is left out. */
static unsigned int kind_of_name(const char *name)
{
        const char *device = strchr(name, '=');

        if (!device || strcmp(device, "=all") == 0)
                return 0;
        if (strncmp(name, "nvidia.com/", 11) == 0)
                return GPU_KIND_NVIDIA;
        return strncmp(name, "amd.com/", 8) == 0 ? GPU_KIND_AMD : 0;
}

unsigned int gpu_subsets(const struct gpu_request *request)
{
        auto_strlist struct strlist names = STRLIST_INIT;
        struct error ignored = ERROR_INIT; /* the injection says what is wrong with them */
        unsigned int kinds = 0;

        if (gpu_cdi_wanted(request))
                (void)gpu_cdi_names(request, &names, &ignored);
        else if (is_subset(request, "NVIDIA_VISIBLE_DEVICES"))
                kinds |= GPU_KIND_NVIDIA;
        for (size_t i = 0; i < names.count; i++)
                kinds |= kind_of_name(names.items[i]);
        if (is_subset(request, "AMD_VISIBLE_DEVICES"))
                kinds |= GPU_KIND_AMD;
        if (is_subset(request, "MELLANOX_VISIBLE_DEVICES"))
                kinds |= GPU_KIND_INFINIBAND;
        return kinds;
}

/* ---- what is kept ---- */

static bool matches(const char *pattern, const char *name)
{
        size_t length = strcspn(pattern, "#");

        if (pattern[length] == '\0')
                return strcmp(pattern, name) == 0;
        return strncmp(pattern, name, length) == 0 && name[length] != '\0' &&
               name[length + strspn(name + length, "0123456789")] == '\0';
}

static bool is_left_out(const char *name, unsigned int kinds, const char *const *without)
{
        for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
                if ((nodes[i].kinds & kinds) && matches(nodes[i].name, name))
                        return true;
        for (; *without; without++)
                if (strcmp(*without, name) == 0)
                        return true;
        return false;
}

/* Whether a user has any use of it: nodes that he may open, directories that he may look into. */
static bool is_usable(const char *path)
{
        struct stat st;

        if (lstat(path, &st) < 0)
                return false;
        if (S_ISDIR(st.st_mode))
                return access(path, R_OK | X_OK) == 0;
        return S_ISCHR(st.st_mode) && access(path, R_OK) == 0;
}

int gpu_private_dev(const struct gpu_request *request, unsigned int kinds,
                    const char *const *without, struct mount_plan *plan, struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;
        auto_gpu_injection struct gpu_injection injection = GPU_INJECTION_INIT;
        auto_free char *dir = sysfs_path(err, "%s/dev", request->roots->dev);

        if (!dir || sysfs_list(dir, "", &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count && injection.mounts.count < KEPT_LIMIT; i++) {
                auto_free char *source = sysfs_path(err, "%s/%s", dir, names.items[i]);

                if (!source)
                        return -1;
                if (!is_left_out(names.items[i], kinds, without) && is_usable(source) &&
                    gpu_injection_bind(&injection, GPU_DEVICE, source,
                                       source + strlen(request->roots->dev), true, err) < 0)
                        return -1;
        }
        return mount_plan_take(plan, &injection.mounts) < 0 ? error_no_memory(err) : 0;
}
