/* Which CDI devices are asked for, and their injection. */
#include <errno.h>
#include <string.h>

#include "env/env.h"
#include "gpu/cdi_edits.h"
#include "gpu/sysfs.h"

/* Under the root "run", the last one counting the most. */
static const char *const directories[] = { "/etc/cdi", "/var/run/cdi" };

#define VISIBLE_DEVICES "NVIDIA_VISIBLE_DEVICES"
#define SEPARATORS      ", \t\n"

/* ---- names ---- */

/* NVIDIA_VISIBLE_DEVICES where it names CDI devices, or NULL. No other form of it has a "=". */
static const char *visible_names(const struct gpu_request *request)
{
        const char *value = gpu_setting(request, VISIBLE_DEVICES);

        return value && strchr(value, '=') ? value : NULL;
}

bool gpu_cdi_wanted(const struct gpu_request *request)
{
        const char *setting = env_get(request->host, GPU_DEVICES);

        return (request->devices && request->devices->count > 0) || (setting && *setting) ||
               visible_names(request);
}

/* Append the names of a list; from says where it stands. */
static int add_names(struct strlist *names, const char *list, const char *from, struct error *err)
{
        for (;;) {
                auto_free char *name = NULL;
                const char *device;
                size_t length;

                list += strspn(list, SEPARATORS);
                if (!*list)
                        return 0;
                length = strcspn(list, SEPARATORS);
                name = strndup(list, length);
                if (!name)
                        return error_no_memory(err);
                list += length;
                if (!cdi_name_split(name, &length, &device))
                        return error_set(err, EINVAL,
                                         "%s: %.300s is not the name of a CDI device, "
                                         "VENDOR/CLASS=NAME (\"enroot devices list\" shows what "
                                         "there is)",
                                         from, name);
                if (!strlist_contains(names, name) && strlist_append(names, name) < 0)
                        return error_no_memory(err);
        }
}

int gpu_cdi_names(const struct gpu_request *request, struct strlist *names, struct error *err)
{
        const char *setting = env_get(request->host, GPU_DEVICES);
        const char *visible = visible_names(request);

        for (size_t i = 0; request->devices && i < request->devices->count; i++)
                if (add_names(names, request->devices->items[i], "--device", err) < 0)
                        return -1;
        if (setting && add_names(names, setting, GPU_DEVICES, err) < 0)
                return -1;
        return visible ? add_names(names, visible, VISIBLE_DEVICES, err) : 0;
}

/* ---- the injection ---- */

int cdi_registry_open(struct cdi_registry *registry, const struct gpu_roots *roots,
                      struct error *err)
{
        for (unsigned int i = 0; i < ARRAY_SIZE(directories); i++) {
                auto_free char *path = sysfs_path(err, "%s%s", roots->run, directories[i]);

                if (!path || cdi_registry_read(registry, path, i, err) < 0)
                        return -1;
        }
        return 0;
}

/*
 * Whether the devices bring an NVIDIA driver: by their vendor, or because their files say
 * that they stand for the native injection, as all that NVIDIA's toolkit writes do.
 */
static bool replaces_native(const struct strlist *names, const struct gpu_injection *injection)
{
        for (size_t i = 0; i < names->count; i++)
                if (strncmp(names->items[i], "nvidia.com/", 11) == 0)
                        return true;
        return env_get(&injection->environment, VISIBLE_DEVICES) != NULL;
}

int gpu_cdi_inject(const struct gpu_request *request, struct gpu_injection *injection,
                   bool *ret_native, struct error *err)
{
        auto_cdi_registry struct cdi_registry registry = CDI_REGISTRY_INIT;
        auto_strlist struct strlist names = STRLIST_INIT;
        auto_free struct cdi_match *matches = NULL;

        if (gpu_cdi_names(request, &names, err) < 0 ||
            cdi_registry_open(&registry, request->roots, err) < 0 ||
            cdi_registry_resolve(&registry, &names, &matches, err) < 0 ||
            cdi_edits_inject(request, matches, names.count, injection, err) < 0)
                return -1;
        *ret_native = !replaces_native(&names, injection) && !visible_names(request);
        if (*ret_native)
                return 0;
        return gpu_injection_setenv(injection, VISIBLE_DEVICES, "void", err);
}
