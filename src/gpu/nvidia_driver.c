#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu/nvidia.h"
#include "util/io.h"

#define PROC_NVIDIA "/proc/driver/nvidia"

char *nvidia_path(const char *root, const char *fmt, ...)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;
        char *rest;
        va_list args;
        int length;

        va_start(args, fmt);
        length = vasprintf(&rest, fmt, args);
        va_end(args);
        if (length < 0)
                return NULL;
        strbuf_append(&path, root);
        strbuf_append(&path, rest);
        free(rest);
        return strbuf_take(&path);
}

/* ---- what procfs says ---- */

bool nvidia_pci_parse(const char *text, struct nvidia_pci *ret)
{
        struct nvidia_pci pci = { .domain = 0 };
        size_t length = strlen(text);
        const char *colon = strchr(text, ':');
        const char *rest = colon && strchr(colon + 1, ':') ? colon + 1 : text;
        char end;

        if (length > 16 || strspn(text, "0123456789abcdefABCDEF:.") != length ||
            (rest != text && sscanf(text, "%x", &pci.domain) != 1) ||
            sscanf(rest, "%x:%x.%x%c", &pci.bus, &pci.device, &pci.function, &end) != 3)
                return false;
        if (pci.bus > 0xff || pci.device > 0x1f || pci.function > 7)
                return false;
        *ret = pci;
        return true;
}

bool nvidia_pci_is_equal(const struct nvidia_pci *a, const struct nvidia_pci *b)
{
        return a->domain == b->domain && a->bus == b->bus && a->device == b->device &&
               a->function == b->function;
}

static int compare_gpus(const void *a, const void *b)
{
        const struct nvidia_pci *first = &((const struct nvidia_gpu *)a)->pci;
        const struct nvidia_pci *second = &((const struct nvidia_gpu *)b)->pci;
        const unsigned int left[] = { first->domain, first->bus, first->device, first->function };
        const unsigned int right[] = { second->domain, second->bus, second->device,
                                       second->function };

        for (size_t i = 0; i < ARRAY_SIZE(left); i++)
                if (left[i] != right[i])
                        return left[i] < right[i] ? -1 : 1;
        return 0;
}

/* The value of a line "Key: \t value" when the line has that key; a copy in a fixed buffer. */
static bool take_value(const char *line, size_t length, const char *key, char *ret, size_t size)
{
        size_t name = strlen(key);

        if (length <= name || memcmp(line, key, name) != 0 || line[name] != ':')
                return false;
        line += name + 1;
        length -= name + 1;
        while (length > 0 && isspace((unsigned char)*line)) {
                line++;
                length--;
        }
        while (length > 0 && isspace((unsigned char)line[length - 1]))
                length--;
        if (length >= size)
                length = size - 1;
        memcpy(ret, line, length);
        ret[length] = '\0';
        return true;
}

void nvidia_information_parse(const char *text, struct nvidia_gpu *gpu)
{
        char value[NVIDIA_NAME_SIZE];
        unsigned int minor;

        gpu->minor = -1;
        while (*text) {
                size_t length = strcspn(text, "\n");

                if (take_value(text, length, "GPU UUID", value, sizeof(value)))
                        memcpy(gpu->uuid, value, sizeof(value));
                else if (take_value(text, length, "Model", value, sizeof(value)))
                        memcpy(gpu->model, value, sizeof(value));
                else if (take_value(text, length, "Device Minor", value, sizeof(value)) &&
                         isdigit((unsigned char)*value) && sscanf(value, "%3u", &minor) == 1 &&
                         minor < NVIDIA_GPU_LIMIT)
                        gpu->minor = (int)minor;
                else if (take_value(text, length, "GPU Excluded", value, sizeof(value)))
                        gpu->excluded = strcmp(value, "Yes") == 0;
                text += length;
                text += *text == '\n';
        }
}

/*
 * Why a node cannot be opened, or 0. Opening it would wake the GPU; the kernel's answer is
 * the same, that of a devices cgroup included (inode_permission asks it).
 */
static int node_errno(const struct gpu_roots *roots, int minor)
{
        auto_free char *path = nvidia_path(roots->dev, "/dev/nvidia%d", minor);

        if (minor < 0 || !path)
                return ENODEV;
        return faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) == 0 ? 0 : errno;
}

static int read_gpu(const struct gpu_roots *roots, const char *name, struct nvidia_gpu *gpu,
                    struct error *err)
{
        auto_free char *path = nvidia_path(roots->proc, PROC_NVIDIA "/gpus/%s/information", name);
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (!path)
                return error_no_memory(err);
        if (io_read_file(AT_FDCWD, path, NVIDIA_FILE_LIMIT, &text, err) < 0)
                return -1;
        (void)snprintf(gpu->name, sizeof(gpu->name), "%s", name);
        nvidia_information_parse(strbuf_text(&text), gpu);
        gpu->access_errno = node_errno(roots, gpu->minor);
        return 0;
}

static int read_gpus(const struct gpu_roots *roots, struct nvidia_driver *driver, struct error *err)
{
        auto_free char *path = nvidia_path(roots->proc, PROC_NVIDIA "/gpus");
        auto_closedir DIR *dir = NULL;
        const struct dirent *entry;

        if (!path)
                return error_no_memory(err);
        dir = opendir(path);
        while (dir && (entry = readdir(dir)) && driver->gpu_count < NVIDIA_GPU_LIMIT) {
                struct nvidia_gpu gpu = { .minor = -1 }, *gpus;

                if (strlen(entry->d_name) >= sizeof(gpu.name) ||
                    !nvidia_pci_parse(entry->d_name, &gpu.pci))
                        continue;
                if (read_gpu(roots, entry->d_name, &gpu, err) < 0)
                        return -1;
                gpus = reallocarray(driver->gpus, driver->gpu_count + 1, sizeof(*gpus));
                if (!gpus)
                        return error_no_memory(err);
                driver->gpus = gpus;
                gpus[driver->gpu_count++] = gpu;
        }
        if (driver->gpu_count > 0)
                qsort(driver->gpus, driver->gpu_count, sizeof(*driver->gpus), compare_gpus);
        return 0;
}

void nvidia_driver_release(struct nvidia_driver *driver)
{
        free(driver->gpus);
        *driver = (struct nvidia_driver){ .gpus = NULL };
}

int nvidia_driver_find(const struct gpu_roots *roots, struct nvidia_driver *driver,
                       struct error *err)
{
        auto_free char *path = nvidia_path(roots->proc, PROC_NVIDIA "/version");
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (!path)
                return error_no_memory(err);
        if (io_read_file(AT_FDCWD, path, NVIDIA_FILE_LIMIT, &text, err) < 0)
                return err->code == ENOENT ? 0 : -1;
        if (!gpu_nvidia_version_parse(strbuf_text(&text), driver->version,
                                      sizeof(driver->version)))
                return error_set(err, EBADMSG, "%s names no version", path);
        return read_gpus(roots, driver, err);
}

/* ---- sysfs ---- */

/* Whether a file of a PCI device starts with the text. */
static bool sysfs_starts(const char *dir, const char *device, const char *file, const char *start)
{
        auto_free char *path = nvidia_path(dir, "/%s/%s", device, file);
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;

        return path && io_read_file(AT_FDCWD, path, NVIDIA_FILE_LIMIT, &text, &ignored) == 0 &&
               strncmp(strbuf_text(&text), start, strlen(start)) == 0;
}

bool nvidia_has_hardware(const struct gpu_roots *roots)
{
        auto_free char *path = nvidia_path(roots->sys, "/sys/bus/pci/devices");
        auto_closedir DIR *dir = path ? opendir(path) : NULL;
        const struct dirent *entry;

        /* Vendor 0x10de; class 0x03: displays, and what only computes. */
        while (dir && (entry = readdir(dir)))
                if (sysfs_starts(path, entry->d_name, "vendor", "0x10de") &&
                    sysfs_starts(path, entry->d_name, "class", "0x03"))
                        return true;
        return false;
}
