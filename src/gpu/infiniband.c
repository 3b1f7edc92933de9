/*
 * InfiniBand and RoCE adapters of Mellanox: nodes, and directories of sysfs that show the
 * chosen devices only.
 *
 * The devices are those of the classes "infiniband_verbs" of the PCI functions of the
 * drivers mlx4_core and mlx5_core, in the order of driver and address. A function may lack
 * any class: on DPUs, for virtual functions given away and for ports that only do Ethernet.
 * What else belongs to a verbs device is told by its file "ibdev"
 * (Linux, Documentation/ABI/stable/sysfs-class-infiniband), not by its number.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gpu/device_names.h"
#include "gpu/infiniband.h"
#include "gpu/sysfs.h"

#define VISIBLE_DEVICES "MELLANOX_VISIBLE_DEVICES"

#define DRIVERS_DIR "/sys/bus/pci/drivers"

/* Hidden but for what is chosen. */
static const char *const classes[] = { "infiniband", "infiniband_verbs", "infiniband_cm",
                                       "infiniband_mad" };

void ib_devices_release(struct ib_devices *devices)
{
        for (size_t i = 0; i < devices->count; i++) {
                free(devices->items[i].address);
                free(devices->items[i].verbs);
                free(devices->items[i].interface);
                strlist_release(&devices->items[i].management);
        }
        free(devices->items);
        *devices = (struct ib_devices)IB_DEVICES_INIT;
}

/* ---- finding ---- */

/* The names in a directory of a PCI function. */
static int list_class(const char *dir, const char *class, const char *prefix, struct strlist *names,
                      struct error *err)
{
        auto_free char *path = sysfs_path(err, "%s/%s", dir, class);

        return path ? sysfs_list(path, prefix, names, err) : -1;
}

/*
 * Whether the device of a class, DIR/CLASS/NAME, belongs to an interface, as far as is
 * known: 1, 0, or -1 with *err.
 */
static int belongs_to(const char *dir, const char *class, const char *name, const char *interface,
                      struct error *err)
{
        auto_free char *path = sysfs_path(err, "%s/%s/%s/ibdev", dir, class, name);
        auto_strbuf struct strbuf value = STRBUF_INIT;

        if (!path)
                return -1;
        sysfs_read(path, &value);
        return value.length == 0 || !interface || strcmp(value.data, interface) == 0;
}

/* The interface of a verbs device, and what manages it. */
static int find_companions(struct ib_device *device, const char *dir, struct error *err)
{
        auto_strlist struct strlist interfaces = STRLIST_INIT, management = STRLIST_INIT;
        int belongs;

        if (list_class(dir, "infiniband", "", &interfaces, err) < 0 ||
            list_class(dir, "infiniband_mad", "", &management, err) < 0)
                return -1;
        for (size_t i = 0; i < interfaces.count && !device->interface; i++) {
                const char *name = interfaces.items[i];

                belongs = belongs_to(dir, "infiniband_verbs", device->verbs, name, err);
                if (belongs < 0)
                        return -1;
                if (belongs && !(device->interface = strdup(name)))
                        return error_no_memory(err);
        }
        for (size_t i = 0; i < management.count; i++) {
                const char *name = management.items[i];

                belongs = belongs_to(dir, "infiniband_mad", name, device->interface, err);
                if (belongs < 0)
                        return -1;
                if (belongs && strlist_append(&device->management, name) < 0)
                        return error_no_memory(err);
        }
        return 0;
}

static int add_device(struct ib_devices *devices, const char *dir, const char *address,
                      const char *verbs, struct error *err)
{
        struct ib_device *items = reallocarray(devices->items, devices->count + 1, sizeof(*items));
        struct ib_device *device;

        if (!items)
                return error_no_memory(err);
        devices->items = items;
        device = &items[devices->count++];
        *device = (struct ib_device){ .address = strdup(address), .verbs = strdup(verbs) };
        if (!device->address || !device->verbs)
                return error_no_memory(err);
        return find_companions(device, dir, err);
}

/* The verbs devices of a PCI function. */
static int add_function(struct ib_devices *devices, const char *dir, const char *address,
                        struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;

        if (list_class(dir, "infiniband_verbs", "uverbs", &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count && devices->count < DEVICE_LIMIT; i++)
                if (add_device(devices, dir, address, names.items[i], err) < 0)
                        return -1;
        return 0;
}

static int add_functions(struct ib_devices *devices, const char *driver_dir, struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;

        if (sysfs_list(driver_dir, "", &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++) {
                auto_free char *path = NULL;

                /* Besides functions, whose names are addresses, a driver has its controls. */
                if (!strchr(names.items[i], ':'))
                        continue;
                path = sysfs_path(err, "%s/%s", driver_dir, names.items[i]);
                if (!path || add_function(devices, path, names.items[i], err) < 0)
                        return -1;
        }
        return 0;
}

int ib_devices_find(const struct gpu_roots *roots, struct ib_devices *ret, struct error *err)
{
        static const char *const drivers[] = { "mlx4_core", "mlx5_core" };
        auto_ib_devices struct ib_devices devices = IB_DEVICES_INIT;

        for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
                auto_free char *path =
                        sysfs_path(err, "%s" DRIVERS_DIR "/%s", roots->sys, drivers[i]);

                if (!path || add_functions(&devices, path, err) < 0)
                        return -1;
        }
        *ret = TAKE(devices, (struct ib_devices)IB_DEVICES_INIT);
        return 0;
}

/* ---- choosing ---- */

bool gpu_infiniband_wanted(const struct gpu_request *request)
{
        return device_list_wanted(gpu_setting(request, VISIBLE_DEVICES));
}

static int unknown(const struct ib_devices *devices, const struct device_item *item,
                   struct error *err)
{
        error_set(err, ENODEV, VISIBLE_DEVICES ": unknown device: %.*s (there are %zu devices",
                  item->length < 100 ? (int)item->length : 100, item->text, devices->count);
        return devices->count > 0 ? error_append(err, ", 0 to %zu)", devices->count - 1)
                                  : error_append(err, "; are mlx5_core and mlx5_ib loaded?)");
}

int ib_devices_choose(struct ib_devices *devices, const char *list, struct error *err)
{
        bool all = device_list_is_all(list);
        struct device_item item;
        int result = 0;

        for (size_t i = 0; i < devices->count; i++)
                devices->items[i].chosen = all;
        while (!all && (result = device_list_next(&list, &item)) > 0) {
                if (item.is_id || item.last >= devices->count)
                        return unknown(devices, &item, err);
                for (unsigned int i = item.first; i <= item.last; i++)
                        devices->items[i].chosen = true;
        }
        return result < 0 ? unknown(devices, &item, err) : 0;
}

/* ---- the injection ---- */

/* An empty directory over a class, with the version of its interface if it tells one. */
static int hide_class(const struct gpu_request *request, const char *class,
                      struct gpu_injection *injection, struct error *err)
{
        auto_free char *version =
                sysfs_path(err, "%s/sys/class/%s/abi_version", request->roots->sys, class);
        auto_free char *directory = sysfs_path(err, "%s/sys/class/%s", request->roots->sys, class);
        size_t root = strlen(request->roots->sys);

        if (!version || !directory)
                return -1;
        if (access(directory, F_OK) < 0)
                return 0;
        if (mount_plan_add_line(&injection->mounts, err,
                                "tmpfs %s tmpfs x-create=dir,nosuid,noexec,nodev,mode=755,private",
                                directory + root) < 0)
                return -1;
        if (access(version, F_OK) < 0)
                return 0;
        return gpu_injection_bind(injection, GPU_FILE, version, version + root, false, err);
}

/* A device back into its class: the link that sysfs has there, made absolute. */
static int show_in_class(const struct gpu_request *request, const char *class, const char *name,
                         struct gpu_injection *injection, struct error *err)
{
        const char *root = request->roots->sys;
        auto_free char *path = sysfs_path(err, "%s/sys/class/%s/%s", root, class, name);
        auto_free char *target = path ? realpath(path, NULL) : NULL;

        if (!path)
                return -1;
        if (!target || strncmp(target, root, strlen(root)) != 0)
                return 0;
        return gpu_injection_link(injection, path + strlen(root), target + strlen(root), err);
}

/* name is below /dev/infiniband. */
static int add_node(const struct gpu_request *request, const char *name, bool needed,
                    struct gpu_injection *injection, struct error *err)
{
        auto_free char *source = sysfs_path(err, "%s/dev/infiniband/%s", request->roots->dev, name);

        if (!source)
                return -1;
        if (access(source, F_OK) < 0)
                return needed ? error_errno(err,
                                            "%s: the InfiniBand devices cannot be used: is the "
                                            "module ib_uverbs loaded, and may this job use them?",
                                            source)
                              : 0;
        return gpu_injection_bind(injection, GPU_DEVICE, source,
                                  source + strlen(request->roots->dev), false, err);
}

static int add_chosen(const struct gpu_request *request, const struct ib_device *device,
                      struct gpu_injection *injection, struct error *err)
{
        if (add_node(request, device->verbs, true, injection, err) < 0 ||
            show_in_class(request, "infiniband_verbs", device->verbs, injection, err) < 0)
                return -1;
        if (device->interface &&
            show_in_class(request, "infiniband", device->interface, injection, err) < 0)
                return -1;
        /* What manages the fabric is for an administrator (as in the classic tool). */
        for (size_t i = 0; request->superuser && i < device->management.count; i++)
                if (add_node(request, device->management.items[i], false, injection, err) < 0 ||
                    show_in_class(request, "infiniband_mad", device->management.items[i], injection,
                                  err) < 0)
                        return -1;
        return 0;
}

int gpu_infiniband_inject(const struct gpu_request *request, struct gpu_injection *injection,
                          struct error *err)
{
        auto_ib_devices struct ib_devices devices = IB_DEVICES_INIT;

        if (ib_devices_find(request->roots, &devices, err) < 0 ||
            ib_devices_choose(&devices, gpu_setting(request, VISIBLE_DEVICES), err) < 0)
                return -1;
        if (devices.count == 0)
                return gpu_injection_warn(injection, err,
                                          VISIBLE_DEVICES "=all: there is no InfiniBand device "
                                                          "of Mellanox here");
        for (size_t i = 0; i < ARRAY_SIZE(classes); i++)
                if (hide_class(request, classes[i], injection, err) < 0)
                        return -1;
        if (add_node(request, "rdma_cm", false, injection, err) < 0)
                return -1;
        for (size_t i = 0; i < devices.count; i++)
                if (devices.items[i].chosen &&
                    add_chosen(request, &devices.items[i], injection, err) < 0)
                        return -1;
        return 0;
}
