/*
 * What the driver has besides libraries: programs, sockets of its daemons, firmware,
 * configuration.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/env.h"
#include "gpu/nvidia.h"
#include "util/path.h"

#define ANY (~0u)
#define PICTURES (NVIDIA_GRAPHICS | NVIDIA_DISPLAY)

int nvidia_bind(struct nvidia *nvidia, enum gpu_mount_kind kind, const char *root,
                const char *path, bool optional, struct error *err)
{
        auto_free char *source = nvidia_path(root, "%s", path);

        if (!source)
                return error_no_memory(err);
        return gpu_injection_bind(nvidia->injection, kind, source, path, optional, err);
}

int nvidia_bind_present(struct nvidia *nvidia, enum gpu_mount_kind kind, const char *root,
                        const char *path, bool *ret_found, struct error *err)
{
        auto_free char *source = nvidia_path(root, "%s", path);
        bool found = source && access(source, F_OK) == 0;

        if (!source)
                return error_no_memory(err);
        if (ret_found)
                *ret_found = found;
        return found ? gpu_injection_bind(nvidia->injection, kind, source, path, true, err) : 0;
}

/* Call back with the names in a directory that match, sorted. */
static int for_each_file(struct nvidia *nvidia, const char *root, const char *dir,
                         const char *prefix, const char *infix, const char *suffix,
                         enum gpu_mount_kind kind, struct error *err)
{
        auto_free char *path = nvidia_path(root, "%s", dir);
        auto_strlist struct strlist names = STRLIST_INIT;
        auto_closedir DIR *stream = path ? opendir(path) : NULL;
        const struct dirent *entry;

        if (!path)
                return error_no_memory(err);
        while (stream && (entry = readdir(stream))) {
                const char *name = entry->d_name;
                size_t length = strlen(name), end = strlen(suffix);

                if (name[0] != '.' && strncmp(name, prefix, strlen(prefix)) == 0 &&
                    strstr(name, infix) && length >= end &&
                    strcmp(name + length - end, suffix) == 0 && strlist_append(&names, name) < 0)
                        return error_no_memory(err);
        }
        strlist_sort(&names);
        for (size_t i = 0; i < names.count; i++) {
                auto_free char *file = path_join(dir, names.items[i]);

                if (!file)
                        return error_no_memory(err);
                if (nvidia_bind(nvidia, kind, root, file, true, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- programs ---- */

static const struct {
        const char *name;
        unsigned int capabilities;
} programs[] = {
        { "nvidia-smi", NVIDIA_UTILITY },
        { "nvidia-debugdump", NVIDIA_UTILITY },
        { "nvidia-persistenced", NVIDIA_UTILITY },
        { "nv-fabricmanager", NVIDIA_UTILITY },
        { "nvidia-cuda-mps-control", NVIDIA_COMPUTE },
        { "nvidia-cuda-mps-server", NVIDIA_COMPUTE },
};

/* PATH with each directory below the driver's root. NULL without memory. */
static char *program_dirs(const struct nvidia *nvidia)
{
        const char *path = env_get(nvidia->request->host, "PATH");
        auto_strbuf struct strbuf dirs = STRBUF_INIT;

        if (!path || !*path)
                path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        while (*path) {
                size_t length = strcspn(path, ":");

                if (*path == '/') {
                        strbuf_printf(&dirs, "%s%s", dirs.length > 0 ? ":" : "",
                                      nvidia->driver_root);
                        strbuf_append_mem(&dirs, path, length);
                }
                path += length;
                path += *path == ':';
        }
        return strbuf_take(&dirs);
}

static int add_programs(struct nvidia *nvidia, struct error *err)
{
        auto_free char *dirs = program_dirs(nvidia);

        for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
                auto_free char *source = NULL, *target = NULL;

                if (!(programs[i].capabilities & nvidia->capabilities))
                        continue;
                source = dirs ? path_find_program(programs[i].name, dirs) : NULL;
                target = path_join("/usr/bin", programs[i].name);
                if (!dirs || !target || (!source && errno == ENOMEM))
                        return error_no_memory(err);
                if (source && gpu_injection_bind(nvidia->injection, GPU_FILE, source, target, true,
                                                 err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- sockets ---- */

/* One that is there and may be connected to. */
static int add_socket(struct nvidia *nvidia, const char *root, const char *path, struct error *err)
{
        auto_free char *source = nvidia_path(root, "%s", path);

        if (!source)
                return error_no_memory(err);
        if (access(source, R_OK | W_OK) < 0)
                return 0;
        return gpu_injection_bind(nvidia->injection, GPU_SOCKET, source, path, true, err);
}

static int add_sockets(struct nvidia *nvidia, struct error *err)
{
        const char *mps = env_get(nvidia->request->host, "CUDA_MPS_PIPE_DIRECTORY");
        const char *run = nvidia->request->roots->run;

        if (nvidia->capabilities & NVIDIA_UTILITY &&
            (add_socket(nvidia, run, "/run/nvidia-persistenced/socket", err) < 0 ||
             add_socket(nvidia, run, "/run/nvidia-fabricmanager/socket", err) < 0))
                return -1;
        if (!(nvidia->capabilities & NVIDIA_COMPUTE))
                return 0;
        if (!mps || *mps != '/')
                return add_socket(nvidia, run, "/tmp/nvidia-mps", err);
        if (gpu_injection_setenv(nvidia->injection, "CUDA_MPS_PIPE_DIRECTORY", mps, err) < 0)
                return -1;
        return add_socket(nvidia, "", mps, err);
}

/* ---- firmware and configuration ---- */

static int add_firmware(struct nvidia *nvidia, struct error *err)
{
        char dir[sizeof("/lib/firmware/nvidia/") + NVIDIA_VERSION_SIZE];

        (void)snprintf(dir, sizeof(dir), "/lib/firmware/nvidia/%s", nvidia->driver.version);
        return for_each_file(nvidia, nvidia->driver_root, dir, "gsp", "", ".bin", GPU_FILE, err);
}

/* Configuration of OpenGL, Vulkan and so on, in /etc, else in one of XDG_DATA_DIRS. */
static int add_pictures(struct nvidia *nvidia, struct error *err)
{
        static const struct {
                const char *dir, *prefix, *infix, *suffix;
        } files[] = {
                { "glvnd/egl_vendor.d", "10_nvidia.json", "", "10_nvidia.json" },
                { "egl/egl_external_platform.d", "", "nvidia", ".json" },
                { "nvidia", "nvoptix.bin", "", "nvoptix.bin" },
                { "X11/xorg.conf.d", "", "nvidia", "" },
                { "OpenCL/vendors", "nvidia.icd", "", "nvidia.icd" },
                { "vulkan/icd.d", "nvidia_icd", "", ".json" },
                { "vulkan/implicit_layer.d", "nvidia_layers.json", "", "nvidia_layers.json" },
        };
        const char *data = env_get(nvidia->request->host, "XDG_DATA_DIRS");
        auto_strbuf struct strbuf dirs = STRBUF_INIT;

        if (strbuf_printf(&dirs, "/etc:%s", data && *data ? data : "/usr/local/share:/usr/share") <
            0)
                return error_no_memory(err);
        for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
                size_t before = nvidia->injection->mounts.count;

                for (const char *at = dirs.data; *at; at += strspn(at, ":")) {
                        size_t length = strcspn(at, ":");
                        auto_free char *dir = NULL;

                        if (asprintf(&dir, "%.*s/%s", (int)length, at, files[i].dir) < 0) {
                                dir = NULL;
                                return error_no_memory(err);
                        }
                        at += length;
                        if (*dir == '/' && nvidia->injection->mounts.count == before &&
                            for_each_file(nvidia, nvidia->driver_root, dir, files[i].prefix,
                                          files[i].infix, files[i].suffix, GPU_FILE, err) < 0)
                                return -1;
                }
        }
        return 0;
}

int gpu_injection_profile(struct gpu_injection *injection, uint64_t minors, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (strbuf_printf(&text,
                          "{\"profiles\":[{\"name\":\"_container_\",\"settings\":["
                          "\"EGLVisibleDGPUDevices\",%llu]}],"
                          "\"rules\":[{\"pattern\":[],\"profile\":\"_container_\"}]}\n",
                          (unsigned long long)minors) < 0)
                return error_no_memory(err);
        return gpu_injection_memory(
                injection, "/etc/nvidia/nvidia-application-profiles-rc.d/10-container.conf",
                text.data, text.length, err);
}

/* OpenGL's own choice of a GPU would be the first of the machine. */
static int add_profile(struct nvidia *nvidia, struct error *err)
{
        uint64_t minors = 0;

        for (size_t i = 0; i < nvidia->driver.gpu_count; i++) {
                const struct nvidia_gpu *gpu = &nvidia->driver.gpus[i];

                if (gpu->chosen && gpu->minor >= 0 && gpu->minor < 64)
                        minors |= (uint64_t)1 << gpu->minor;
        }
        return minors ? gpu_injection_profile(nvidia->injection, minors, err) : 0;
}

/* ---- what must be asked for by name ---- */

static bool is_enabled(const struct nvidia *nvidia, const char *name)
{
        const char *value = gpu_setting(nvidia->request, name);

        return value && strcmp(value, "enabled") == 0;
}

/* Bind what is there; a warning when nothing is. */
static int add_optional(struct nvidia *nvidia, const char *variable, struct error *err)
{
        static const struct {
                const char *variable, *dir, *prefix;
                bool device;
        } files[] = {
                { "NVIDIA_GDS", "/dev", "nvidia-fs", true },
                { "NVIDIA_GDS", "/etc", "cufile.json", false },
                { "NVIDIA_MOFED", "/dev/infiniband", "uverbs", true },
                { "NVIDIA_MOFED", "/dev/infiniband", "rdma_cm", true },
                { "NVIDIA_NVSWITCH", "/dev", "nvidia-nvswitch", true },
                { "NVIDIA_GDRCOPY", "/dev", "gdrdrv", true },
        };
        size_t before = nvidia->injection->mounts.count;

        if (!is_enabled(nvidia, variable))
                return 0;
        for (size_t i = 0; i < ARRAY_SIZE(files); i++)
                if (strcmp(files[i].variable, variable) == 0 &&
                    for_each_file(nvidia,
                                  files[i].device ? nvidia->request->roots->dev
                                                  : nvidia->driver_root,
                                  files[i].dir, files[i].prefix, "", "",
                                  files[i].device ? GPU_DEVICE : GPU_FILE, err) < 0)
                        return -1;
        if (nvidia->injection->mounts.count > before)
                return 0;
        return gpu_injection_warn(nvidia->injection, err,
                                  "%s is enabled, but the host has no such device", variable);
}

int nvidia_add_files(struct nvidia *nvidia, struct error *err)
{
        static const char *const optional[] = { "NVIDIA_GDS", "NVIDIA_MOFED", "NVIDIA_NVSWITCH",
                                                "NVIDIA_GDRCOPY" };

        if (add_programs(nvidia, err) < 0 || add_sockets(nvidia, err) < 0 ||
            add_firmware(nvidia, err) < 0)
                return -1;
        if (nvidia->capabilities & PICTURES && add_pictures(nvidia, err) < 0)
                return -1;
        if (nvidia->capabilities & NVIDIA_GRAPHICS && add_profile(nvidia, err) < 0)
                return -1;
        for (size_t i = 0; i < ARRAY_SIZE(optional); i++)
                if (add_optional(nvidia, optional[i], err) < 0)
                        return -1;
        return 0;
}
