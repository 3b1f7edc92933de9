/*
 * AMD GPUs: their device nodes. Images bring ROCm along, so no library goes in.
 *
 * A GPU is a PCI function of the driver amdgpu, or a partition of one (a platform device).
 * They are numbered in the order of the PCI addresses, the partitions of a GPU behind it in
 * the order of their render nodes, as AMD's container toolkit does. The unique id is what
 * the driver KFD says of the render node (Linux, Documentation/gpu/amdgpu).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gpu/amd.h"
#include "gpu/device_names.h"
#include "gpu/sysfs.h"

#define VISIBLE_DEVICES "AMD_VISIBLE_DEVICES"

#define DRIVER_DIR    "/sys/module/amdgpu/drivers/pci:amdgpu"
#define PARTITION_DIR "/sys/devices/platform"
#define TOPOLOGY_DIR  "/sys/class/kfd/kfd/topology/nodes"

void amd_gpus_release(struct amd_gpus *gpus)
{
        for (size_t i = 0; i < gpus->count; i++) {
                free(gpus->items[i].address);
                strlist_release(&gpus->items[i].nodes);
        }
        free(gpus->items);
        *gpus = (struct amd_gpus)AMD_GPUS_INIT;
}

/* ---- finding ---- */

static int add_gpu(struct amd_gpus *gpus, const char *address, struct amd_gpu **ret,
                   struct error *err)
{
        struct amd_gpu *items = reallocarray(gpus->items, gpus->count + 1, sizeof(*items));
        char *copy = strdup(address);

        if (items)
                gpus->items = items;
        if (!items || !copy) {
                free(copy);
                return error_no_memory(err);
        }
        *ret = &items[gpus->count++];
        **ret = (struct amd_gpu){ .address = copy, .render_minor = -1 };
        return 0;
}

/* Add the device in a directory of sysfs if it has nodes. */
static int add_device(struct amd_gpus *gpus, const char *dir, const char *address,
                      struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;
        auto_free char *path = sysfs_path(err, "%s/%s/drm", dir, address);
        struct amd_gpu *gpu = NULL;

        if (!path || sysfs_list(path, "", &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++) {
                const char *name = names.items[i];

                if (strncmp(name, "card", 4) != 0 && strncmp(name, "renderD", 7) != 0)
                        continue;
                if (!gpu && add_gpu(gpus, address, &gpu, err) < 0)
                        return -1;
                if (strncmp(name, "renderD", 7) == 0)
                        gpu->render_minor = atoi(name + 7);
                if (strlist_append(&gpu->nodes, name) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

static int add_devices(struct amd_gpus *gpus, const char *root, const char *dir, const char *prefix,
                       struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;
        auto_free char *path = sysfs_path(err, "%s%s", root, dir);

        if (!path || sysfs_list(path, prefix, &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count && gpus->count < DEVICE_LIMIT; i++)
                if (add_device(gpus, path, names.items[i], err) < 0)
                        return -1;
        return 0;
}

/* A number of a file's "KEY VALUE" lines, 0 when there is none. */
static uint64_t number_of(const char *text, const char *key)
{
        auto_free char *value = sysfs_value(text, key);

        return value ? strtoull(value, NULL, 10) : 0;
}

static int read_unique_ids(struct amd_gpus *gpus, const char *root, struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_free char *dir = sysfs_path(err, "%s" TOPOLOGY_DIR, root);

        if (!dir || sysfs_list(dir, "", &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++) {
                auto_free char *path = sysfs_path(err, "%s/%s/properties", dir, names.items[i]);
                uint64_t minor;

                if (!path)
                        return -1;
                sysfs_read(path, &text);
                minor = number_of(strbuf_text(&text), "drm_render_minor");
                for (size_t j = 0; minor > 0 && j < gpus->count; j++)
                        if (gpus->items[j].render_minor == (int64_t)minor)
                                gpus->items[j].unique_id =
                                        number_of(strbuf_text(&text), "unique_id");
        }
        return 0;
}

/* Where the GPU that a device is, or is a part of, stands among the PCI functions. */
static size_t position_of(const struct amd_gpus *gpus, size_t index, size_t function_count)
{
        for (size_t i = 0; gpus->items[index].unique_id && i < function_count; i++)
                if (gpus->items[i].unique_id == gpus->items[index].unique_id)
                        return i;
        return index;
}

static int compare_gpus(const void *a, const void *b)
{
        const struct amd_gpu *first = a, *second = b;

        if (first->position != second->position)
                return first->position < second->position ? -1 : 1;
        return (first->render_minor > second->render_minor) -
               (first->render_minor < second->render_minor);
}

int amd_gpus_find(const struct gpu_roots *roots, struct amd_gpus *ret, struct error *err)
{
        auto_amd_gpus struct amd_gpus gpus = AMD_GPUS_INIT;
        size_t function_count;

        if (add_devices(&gpus, roots->sys, DRIVER_DIR, "", err) < 0)
                return -1;
        function_count = gpus.count;
        if (add_devices(&gpus, roots->sys, PARTITION_DIR, "amdgpu_xcp_", err) < 0 ||
            read_unique_ids(&gpus, roots->sys, err) < 0)
                return -1;
        for (size_t i = 0; i < gpus.count; i++)
                gpus.items[i].position = position_of(&gpus, i, function_count);
        if (gpus.count > 0)
                qsort(gpus.items, gpus.count, sizeof(*gpus.items), compare_gpus);
        *ret = TAKE(gpus, (struct amd_gpus)AMD_GPUS_INIT);
        return 0;
}

/* ---- choosing ---- */

bool gpu_amd_wanted(const struct gpu_request *request)
{
        return device_list_wanted(gpu_setting(request, VISIBLE_DEVICES));
}

static int unknown(const struct amd_gpus *gpus, const struct device_item *item, struct error *err)
{
        error_set(err, ENODEV, VISIBLE_DEVICES ": unknown device: %.*s (there are %zu AMD GPUs",
                  item->length < 100 ? (int)item->length : 100, item->text, gpus->count);
        return gpus->count > 0 ? error_append(err, ", 0 to %zu)", gpus->count - 1)
                               : error_append(err, "; is the driver amdgpu loaded?)");
}

/* Mark what an item stands for; false when that is nothing. */
static bool choose_item(struct amd_gpus *gpus, const struct device_item *item)
{
        bool found = false;

        if (!item->is_id && item->last >= gpus->count)
                return false;
        for (size_t i = 0; i < gpus->count; i++) {
                struct amd_gpu *gpu = &gpus->items[i];
                bool chosen = item->is_id ? gpu->unique_id && gpu->unique_id == item->id
                                          : i >= item->first && i <= item->last;

                gpu->chosen |= chosen;
                found |= chosen;
        }
        return found;
}

int amd_gpus_choose(struct amd_gpus *gpus, const char *list, struct error *err)
{
        struct device_item item = { .text = list, .length = strlen(list) };
        int result;

        if (device_list_is_all(list)) {
                for (size_t i = 0; i < gpus->count; i++)
                        gpus->items[i].chosen = true;
                return gpus->count > 0 ? 0 : unknown(gpus, &item, err);
        }
        while ((result = device_list_next(&list, &item)) > 0)
                if (!choose_item(gpus, &item))
                        return unknown(gpus, &item, err);
        return result < 0 ? unknown(gpus, &item, err) : 0;
}

/* ---- the injection ---- */

/* The node below a directory of /dev. */
static int add_node(const struct gpu_request *request, const char *dir, const char *name,
                    struct gpu_injection *injection, struct error *err)
{
        auto_free char *source = sysfs_path(err, "%s%s/%s", request->roots->dev, dir, name);

        if (!source)
                return -1;
        if (access(source, F_OK) < 0)
                return error_errno(err,
                                   "%s: the AMD GPUs cannot be used: is the driver amdgpu "
                                   "loaded, and may this job use them?",
                                   source);
        if (access(source, R_OK | W_OK) < 0 &&
            gpu_injection_warn(injection, err,
                               "%s: you may not open it (its group is usually \"render\" or "
                               "\"video\")",
                               source) < 0)
                return -1;
        return gpu_injection_bind(injection, GPU_DEVICE, source,
                                  source + strlen(request->roots->dev), false, err);
}

int gpu_amd_inject(const struct gpu_request *request, struct gpu_injection *injection,
                   struct error *err)
{
        auto_amd_gpus struct amd_gpus gpus = AMD_GPUS_INIT;

        if (amd_gpus_find(request->roots, &gpus, err) < 0 ||
            amd_gpus_choose(&gpus, gpu_setting(request, VISIBLE_DEVICES), err) < 0 ||
            add_node(request, "/dev", "kfd", injection, err) < 0)
                return -1;
        for (size_t i = 0; i < gpus.count; i++)
                for (size_t j = 0; gpus.items[i].chosen && j < gpus.items[i].nodes.count; j++)
                        if (add_node(request, "/dev/dri", gpus.items[i].nodes.items[j], injection,
                                     err) < 0)
                                return -1;
        return 0;
}
