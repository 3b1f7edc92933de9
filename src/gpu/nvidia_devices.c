/*
 * Device nodes. They are bound from the host, never made, and whether they may be used is
 * for the host's file modes and device cgroups to say, which are left as they are.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gpu/nvidia.h"

#define IMEX_DIR "/dev/nvidia-caps-imex-channels"

/* 0 when a node is there and may be opened; otherwise why not. */
static int node_errno(const struct nvidia *nvidia, const char *path)
{
        auto_free char *source = nvidia_path(nvidia->request->roots->dev, "%s", path);

        if (!source)
                return ENOMEM;
        return faccessat(AT_FDCWD, source, R_OK | W_OK, AT_EACCESS) == 0 ? 0 : errno;
}

static int add_control(struct nvidia *nvidia, struct error *err)
{
        static const char path[] = "/dev/nvidiactl";
        int why = node_errno(nvidia, path);

        if (why == ENOENT && nvidia->devices != NVIDIA_DEVICES_NONE)
                return error_set(err, ENOENT,
                                 "%s is missing on the host: as root, run \"nvidia-modprobe\"; in "
                                 "a job or pod, ask for a GPU",
                                 path);
        if (why && gpu_injection_warn(nvidia->injection, err, "%s cannot be opened: %s", path,
                                      strerror(why)) < 0)
                return -1;
        if (why == ENOENT)
                return 0;
        return nvidia_bind(nvidia, GPU_DEVICE, nvidia->request->roots->dev, path, false, err);
}

/* Nodes that programs of one capability need; without them the rest still works. */
static int add_helpers(struct nvidia *nvidia, struct error *err)
{
        static const struct {
                const char *path;
                unsigned int capability;
                const char *mend; /* NULL: few have it, and nobody needs to know */
        } nodes[] = {
                { "/dev/nvidia-uvm", NVIDIA_COMPUTE,
                  "CUDA needs it: as root, run \"nvidia-modprobe -u -c0\"" },
                { "/dev/nvidia-uvm-tools", NVIDIA_COMPUTE,
                  "profilers need it: as root, run \"nvidia-modprobe -u -c0\"" },
                { "/dev/nvidia-modeset", NVIDIA_DISPLAY,
                  "displays need it: as root, run \"nvidia-modprobe -m\"" },
                { "/dev/gdrdrv", NVIDIA_COMPUTE, NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
                int why;

                if (!(nvidia->capabilities & nodes[i].capability))
                        continue;
                why = node_errno(nvidia, nodes[i].path);
                if (why && nodes[i].mend && nvidia->devices != NVIDIA_DEVICES_NONE &&
                    gpu_injection_warn(nvidia->injection, err, "%s cannot be opened: %s (%s)",
                                       nodes[i].path, strerror(why), nodes[i].mend) < 0)
                        return -1;
                if (why != ENOENT && nvidia_bind_present(nvidia, GPU_DEVICE,
                                                         nvidia->request->roots->dev,
                                                         nodes[i].path, NULL, err) < 0)
                        return -1;
        }
        return 0;
}

/* The nodes of a GPU that OpenGL and Vulkan use: /dev/dri/card0, /dev/dri/renderD128. */
static int add_render_nodes(struct nvidia *nvidia, const struct nvidia_gpu *gpu, struct error *err)
{
        auto_free char *path = nvidia_path(nvidia->request->roots->sys,
                                           "/sys/bus/pci/devices/%s/drm", gpu->name);
        auto_closedir DIR *dir = path ? opendir(path) : NULL;
        const struct dirent *entry;

        if (!path)
                return error_no_memory(err);
        while (dir && (entry = readdir(dir))) {
                auto_free char *node = NULL;

                if (strncmp(entry->d_name, "card", 4) != 0 &&
                    strncmp(entry->d_name, "renderD", 7) != 0)
                        continue;
                node = nvidia_path("/dev/dri/", "%s", entry->d_name);
                if (!node)
                        return error_no_memory(err);
                if (nvidia_bind_present(nvidia, GPU_DEVICE, nvidia->request->roots->dev, node, NULL,
                                        err) < 0)
                        return -1;
        }
        return 0;
}

static int add_gpus(struct nvidia *nvidia, struct error *err)
{
        for (size_t i = 0; i < nvidia->driver.gpu_count; i++) {
                const struct nvidia_gpu *gpu = &nvidia->driver.gpus[i];
                char path[sizeof("/dev/nvidia") + 12];

                if (!gpu->chosen)
                        continue;
                (void)snprintf(path, sizeof(path), "/dev/nvidia%d", gpu->minor);
                if (nvidia_bind(nvidia, GPU_DEVICE, nvidia->request->roots->dev, path, false, err) <
                    0)
                        return -1;
                if (nvidia->capabilities & (NVIDIA_GRAPHICS | NVIDIA_DISPLAY) &&
                    add_render_nodes(nvidia, gpu, err) < 0)
                        return -1;
        }
        return 0;
}

/* Channels to other nodes' memory: those that are named, or whatever there is. */
static int add_imex(struct nvidia *nvidia, struct error *err)
{
        const char *channels = gpu_setting(nvidia->request, "NVIDIA_IMEX_CHANNELS");
        const char *dev = nvidia->request->roots->dev;

        if (!channels || strcmp(channels, "all") == 0)
                return nvidia->capabilities & NVIDIA_COMPUTE || channels
                               ? nvidia_bind_present(nvidia, GPU_DEVICE, dev, IMEX_DIR, NULL, err)
                               : 0;
        while (*channels) {
                size_t length = strcspn(channels, ", ");
                auto_free char *node = NULL;
                bool found = false;

                if (strspn(channels, "0123456789") != length || length > 9)
                        return error_set(err, EINVAL,
                                         "NVIDIA_IMEX_CHANNELS: \"%.*s\" is no number",
                                         length < 100 ? (int)length : 100, channels);
                node = nvidia_path(IMEX_DIR, "/channel%.*s", (int)length, channels);
                if (!node)
                        return error_no_memory(err);
                if (length > 0 &&
                    nvidia_bind_present(nvidia, GPU_DEVICE, dev, node, &found, err) < 0)
                        return -1;
                if (length > 0 && !found &&
                    gpu_injection_warn(nvidia->injection, err,
                                       "%s is missing on the host (NVIDIA_IMEX_CHANNELS)",
                                       node) < 0)
                        return -1;
                channels += length;
                channels += *channels != '\0';
        }
        return 0;
}

int nvidia_add_devices(struct nvidia *nvidia, struct error *err)
{
        if (add_control(nvidia, err) < 0 || add_helpers(nvidia, err) < 0 ||
            add_gpus(nvidia, err) < 0)
                return -1;
        return add_imex(nvidia, err);
}
