#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/probe.h"
#include "gpu/gpu.h"
#include "util/cleanup.h"

#define NVIDIA_VENDOR  "0x10de"
#define NVIDIA_VERSION "/proc/driver/nvidia/version"

/* Whether a PCI device of the vendor shows pictures or computes (class 0x03). */
static bool has_gpu(const struct probe_context *context, const char *vendor)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;
        auto_closedir DIR *dir = NULL;
        const struct dirent *entry;

        if (strbuf_printf(&path, "%s/sys/bus/pci/devices", context->root) < 0)
                return false;
        dir = opendir(path.data);
        while (dir && (entry = readdir(dir))) {
                auto_strbuf struct strbuf text = STRBUF_INIT, class = STRBUF_INIT;
                struct error ignored = ERROR_INIT;
                char file[512];

                (void)snprintf(file, sizeof(file), "/sys/bus/pci/devices/%.200s/vendor",
                               entry->d_name);
                if (probe_read(context, file, &text, &ignored) < 0 ||
                    strncmp(strbuf_text(&text), vendor, strlen(vendor)) != 0)
                        continue;
                (void)snprintf(file, sizeof(file), "/sys/bus/pci/devices/%.200s/class",
                               entry->d_name);
                if (probe_read(context, file, &class, &ignored) == 0 &&
                    strncmp(strbuf_text(&class), "0x03", 4) == 0)
                        return true;
        }
        return false;
}

int probe_nvidia_driver(const struct probe_context *context, const struct probe *probe,
                        struct probe_answer *answer, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        char version[64];

        (void)probe;
        if (probe_read(context, NVIDIA_VERSION, &text, err) < 0) {
                if (!has_gpu(context, NVIDIA_VENDOR))
                        return error_set(err, ENODEV, "no NVIDIA driver, and no NVIDIA GPU found");
                (void)snprintf(answer->mend, sizeof(answer->mend),
                               "as root, install the NVIDIA driver and run \"modprobe nvidia\"");
                return error_set(err, ENODEV, "no NVIDIA driver, but an NVIDIA GPU");
        }
        if (!gpu_nvidia_version_parse(strbuf_text(&text), version, sizeof(version)))
                return error_set(err, EBADMSG, NVIDIA_VERSION " names no version");
        answer->module = probe_module_loaded(context, "nvidia");
        return probe_found(answer, "%s", version);
}

int probe_nvidia_devices(const struct probe_context *context, const struct probe *probe,
                         struct probe_answer *answer, struct error *err)
{
        static const char *const always[] = { "/dev/nvidiactl", "/dev/nvidia-uvm" };
        unsigned int count = 0;

        (void)probe;
        if (!probe_exists(context, NVIDIA_VERSION))
                return PROBE_ABSENT;
        (void)snprintf(answer->mend, sizeof(answer->mend),
                       "as root, run \"nvidia-modprobe -u -c0\"; in a job or pod, ask for a GPU");
        for (size_t i = 0; i < ARRAY_SIZE(always); i++) {
                auto_close int fd = open(always[i], O_RDWR | O_CLOEXEC);

                if (fd < 0)
                        return error_errno(err, "%s", always[i]);
        }
        for (unsigned int i = 0; i < 256; i++) {
                char path[32];
                auto_close int fd = -1;

                (void)snprintf(path, sizeof(path), "/dev/nvidia%u", i);
                fd = open(path, O_RDWR | O_CLOEXEC);
                count += fd >= 0;
        }
        if (count == 0)
                return error_set(err, ENODEV, "no /dev/nvidia0 or other GPU can be opened");
        return probe_found(answer, "%u GPU%s", count, count == 1 ? "" : "s");
}

int probe_nvidia_library(const struct probe_context *context, const struct probe *probe,
                         struct probe_answer *answer, struct error *err)
{
        auto_strbuf struct strbuf cache = STRBUF_INIT;
        const char *path;

        if (!probe_exists(context, NVIDIA_VERSION))
                return PROBE_ABSENT;
        (void)snprintf(answer->mend, sizeof(answer->mend),
                       "as root, install the driver's libraries and run \"ldconfig\"");
        if (probe_read(context, "/etc/ld.so.cache", &cache, err) < 0)
                return -1;
        path = gpu_ld_cache_find(strbuf_text(&cache), cache.length, probe->subject);
        if (!path)
                return error_set(err, ENOENT, "%s is not in ld.so.cache", probe->subject);
        if (!probe_exists(context, path))
                return error_set(err, ENOENT, "%s of ld.so.cache is missing", path);
        return probe_found(answer, "%.200s", path);
}

int probe_infiniband(const struct probe_context *context, const struct probe *probe,
                     struct probe_answer *answer, struct error *err)
{
        auto_closedir DIR *dir = NULL;
        auto_strbuf struct strbuf names = STRBUF_INIT, path = STRBUF_INIT;
        const struct dirent *entry;

        (void)probe;
        if (strbuf_printf(&path, "%s/sys/class/infiniband", context->root) < 0)
                return error_no_memory(err);
        dir = opendir(path.data);
        while (dir && (entry = readdir(dir)))
                if (entry->d_name[0] != '.')
                        strbuf_printf(&names, "%s%s", names.length > 0 ? ", " : "", entry->d_name);
        if (names.length == 0)
                return error_set(err, ENODEV, "no InfiniBand device found");
        if (!probe_exists(context, "/dev/infiniband"))
                return error_set(err, ENODEV, "%s, but no /dev/infiniband", names.data);
        return probe_found(answer, "%.200s", names.data);
}
