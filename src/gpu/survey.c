/* All devices that can be asked for, native and of CDI, as a list. */
#include <stdio.h>
#include <string.h>

#include "gpu/amd.h"
#include "gpu/cdi.h"
#include "gpu/infiniband.h"
#include "gpu/nvidia.h"
#include "gpu/survey.h"
#include "gpu/sysfs.h"

static void device_release(struct gpu_device *device)
{
        free(device->name);
        free(device->ask);
        free(device->description);
        free(device->problem);
}

void gpu_survey_release(struct gpu_survey *survey)
{
        for (size_t i = 0; i < survey->count; i++)
                device_release(&survey->items[i]);
        free(survey->items);
        strlist_release(&survey->failures);
        *survey = (struct gpu_survey)GPU_SURVEY_INIT;
}

/* Add a device, whose strings become the list's (also on failure). */
static int add_device(struct gpu_survey *survey, struct gpu_device device, struct error *err)
{
        struct gpu_device *items = reallocarray(survey->items, survey->count + 1, sizeof(*items));

        if (items)
                survey->items = items;
        if (!items || !device.name || !device.ask || !device.description) {
                device_release(&device);
                return error_no_memory(err);
        }
        items[survey->count++] = device;
        return 0;
}

/* The problem of the node at a path below a root; ret is NULL for none. */
static int find_problem(const char *root, const char *dir, const char *name, char **ret,
                        struct error *err)
{
        auto_free char *path = sysfs_path(err, "%s%s/%s", root, dir, name);
        auto_free char *mend = NULL;

        return path ? gpu_node_problem(path, ret, &mend, err) : -1;
}

static int add_nvidia(struct gpu_survey *survey, const struct gpu_roots *roots, struct error *err)
{
        auto_nvidia_driver struct nvidia_driver driver = { .gpus = NULL };
        unsigned int index = 0;

        if (nvidia_driver_find(roots, &driver, err) < 0)
                return strlist_append(&survey->failures, err->message) < 0 ? error_no_memory(err)
                                                                           : 0;
        for (size_t i = 0; i < driver.gpu_count; i++) {
                const struct nvidia_gpu *gpu = &driver.gpus[i];
                struct gpu_device device = { .kind = "nvidia" };
                char node[32];

                if (gpu->excluded)
                        continue;
                (void)snprintf(node, sizeof(node), "nvidia%d", gpu->minor);
                if (find_problem(roots->dev, "/dev", node, &device.problem, err) < 0)
                        return -1;
                /* Indexes count what may be opened. */
                device.name = device.problem ? strdup(*gpu->uuid ? gpu->uuid : gpu->name)
                                             : sysfs_path(err, "%u", index++);
                device.ask = sysfs_path(err, "NVIDIA_VISIBLE_DEVICES=%s",
                                        device.name ? device.name : "");
                device.description = sysfs_path(err, "%s, %s, %s", gpu->model, gpu->name,
                                                *gpu->uuid ? gpu->uuid : "no UUID yet");
                if (add_device(survey, device, err) < 0)
                        return -1;
        }
        return 0;
}

static int add_amd(struct gpu_survey *survey, const struct gpu_roots *roots, struct error *err)
{
        auto_amd_gpus struct amd_gpus gpus = AMD_GPUS_INIT;

        if (amd_gpus_find(roots, &gpus, err) < 0)
                return -1;
        for (size_t i = 0; i < gpus.count; i++) {
                const struct amd_gpu *gpu = &gpus.items[i];
                struct gpu_device device = { .kind = "amd" };
                int result = find_problem(roots->dev, "/dev", "kfd", &device.problem, err);

                for (size_t j = 0; result == 0 && !device.problem && j < gpu->nodes.count; j++)
                        result = find_problem(roots->dev, "/dev/dri", gpu->nodes.items[j],
                                              &device.problem, err);
                if (result < 0)
                        return -1;
                device.name = sysfs_path(err, "%zu", i);
                device.ask = sysfs_path(err, "AMD_VISIBLE_DEVICES=%zu", i);
                device.description = gpu->unique_id
                                             ? sysfs_path(err, "AMD GPU, %s, 0x%llx", gpu->address,
                                                          (unsigned long long)gpu->unique_id)
                                             : sysfs_path(err, "AMD GPU, %s", gpu->address);
                if (add_device(survey, device, err) < 0)
                        return -1;
        }
        return 0;
}

static int add_infiniband(struct gpu_survey *survey, const struct gpu_roots *roots,
                          struct error *err)
{
        auto_ib_devices struct ib_devices devices = IB_DEVICES_INIT;

        if (ib_devices_find(roots, &devices, err) < 0)
                return -1;
        for (size_t i = 0; i < devices.count; i++) {
                const struct ib_device *item = &devices.items[i];
                struct gpu_device device = { .kind = "infiniband" };

                if (find_problem(roots->dev, "/dev/infiniband", item->verbs, &device.problem, err) <
                    0)
                        return -1;
                device.name = sysfs_path(err, "%zu", i);
                device.ask = sysfs_path(err, "MELLANOX_VISIBLE_DEVICES=%zu", i);
                device.description = sysfs_path(err, "%s, %s, %s",
                                                item->interface ? item->interface : "no interface",
                                                item->verbs, item->address);
                if (add_device(survey, device, err) < 0)
                        return -1;
        }
        return 0;
}

static int add_cdi_device(struct gpu_survey *survey, const struct cdi_registry *registry,
                          const struct cdi_spec *spec, const struct cdi_device *item,
                          struct error *err)
{
        auto_free char *name = sysfs_path(err, "%s=%s", spec->kind, item->name);
        struct gpu_device device = { .kind = "cdi" };
        struct cdi_match match;

        /* One line for each name: that of the file that counts. */
        if (!name)
                return -1;
        if (!cdi_registry_find(registry, name, &match) || match.spec != spec)
                return 0;
        if (match.conflict)
                device.problem = sysfs_path(err, "%s and %s both describe it", match.spec->path,
                                            match.conflict->path);
        device.ask = sysfs_path(err, "--device %s", name);
        device.description = strdup(spec->path);
        device.name = TAKE_PTR(name);
        return add_device(survey, device, err);
}

static int add_cdi(struct gpu_survey *survey, const struct gpu_roots *roots, struct error *err)
{
        auto_cdi_registry struct cdi_registry registry = CDI_REGISTRY_INIT;

        if (cdi_registry_open(&registry, roots, err) < 0)
                return -1;
        for (size_t i = 0; i < registry.count; i++)
                for (size_t j = 0; j < registry.specs[i].device_count; j++)
                        if (add_cdi_device(survey, &registry, &registry.specs[i],
                                           &registry.specs[i].devices[j], err) < 0)
                                return -1;
        for (size_t i = 0; i < registry.failures.count; i++)
                if (strlist_append(&survey->failures, registry.failures.items[i]) < 0)
                        return error_no_memory(err);
        return 0;
}

int gpu_survey_make(const struct gpu_roots *roots, struct gpu_survey *ret, struct error *err)
{
        auto_gpu_survey struct gpu_survey survey = GPU_SURVEY_INIT;

        if (add_nvidia(&survey, roots, err) < 0 || add_amd(&survey, roots, err) < 0 ||
            add_infiniband(&survey, roots, err) < 0 || add_cdi(&survey, roots, err) < 0)
                return -1;
        *ret = TAKE(survey, (struct gpu_survey)GPU_SURVEY_INIT);
        return 0;
}
