/*
 * What a container that asks for NVIDIA GPUs gets. The steps stand below in order; each
 * is a file of its own. Everything is decided before anything is done: an error leaves the
 * container as it was.
 */
#include "gpu/nvidia.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "env/env.h"

/* A driver that is not persistent wakes each GPU, which takes seconds; in milliseconds. */
#define NVML_TIMEOUT (60 * 1000)

/* The switch for images from before NVIDIA_VISIBLE_DEVICES, which have CUDA_VERSION only. */
#define LEGACY "ENROOT_LEGACY_CUDA"

static void nvidia_release(struct nvidia *nvidia)
{
        nvidia_driver_release(&nvidia->driver);
        strlist_release(&nvidia->library_dirs);
        free(nvidia->nvml_path);
        free(nvidia->found_root);
        free(nvidia->nvml);
}

/* The version of CUDA that an old image stands for, if such images get all GPUs; or NULL. */
static const char *legacy_cuda(const struct gpu_request *request)
{
        const char *legacy = env_get(request->host, LEGACY);

        if (!legacy || config_is_false(legacy) || gpu_setting(request, "NVIDIA_REQUIRE_CUDA"))
                return NULL;
        return gpu_setting(request, "CUDA_VERSION");
}

/* What is asked for, or NULL for nothing. */
static const char *devices_of(const struct gpu_request *request)
{
        const char *devices = gpu_setting(request, "NVIDIA_VISIBLE_DEVICES");

        if (!devices)
                return legacy_cuda(request) ? "all" : NULL;
        return strcmp(devices, "void") == 0 ? NULL : devices;
}

bool gpu_nvidia_wanted(const struct gpu_request *request)
{
        return devices_of(request) != NULL;
}

const struct nvml_answer *nvidia_nvml(struct nvidia *nvidia)
{
        struct error err = ERROR_INIT;

        if (nvidia->nvml || nvidia->nvml_failed)
                return nvidia->nvml;
        nvidia->nvml = calloc(1, sizeof(*nvidia->nvml));
        if (!nvidia->nvml_path)
                error_set(&err, ENOENT, "libnvidia-ml.so.%s is not installed",
                          nvidia->driver.version);
        else if (!nvidia->nvml)
                error_no_memory(&err);
        else
                (void)nvml_ask(nvidia->nvml_path, NVML_TIMEOUT, nvidia->nvml, &err);
        if (err.code) {
                free(TAKE_PTR(nvidia->nvml));
                nvidia->nvml_failed = true;
                nvidia->nvml_error = err;
        }
        return nvidia->nvml;
}

/* No driver: an error that says what to do, unless no GPU is asked for. */
static int report_no_driver(struct nvidia *nvidia, const char *devices, struct error *err)
{
        if (strcmp(devices, "none") == 0)
                return gpu_injection_warn(nvidia->injection, err,
                                          "the NVIDIA driver is asked for and not loaded");
        if (nvidia_has_hardware(nvidia->request->roots))
                return error_set(err, ENODEV,
                                 "GPUs are asked for (NVIDIA_VISIBLE_DEVICES=%.100s), but the "
                                 "NVIDIA driver is not loaded: as root, run \"modprobe nvidia\"",
                                 devices);
        return error_set(err, ENODEV,
                         "GPUs are asked for (NVIDIA_VISIBLE_DEVICES=%.100s), but this machine has "
                         "no NVIDIA GPU and no driver; with NVIDIA_VISIBLE_DEVICES=void in the "
                         "environment of enroot it starts without",
                         devices);
}

/* Where the driver's files are: in the root that is set, else where a driver container has them. */
static int find_files(struct nvidia *nvidia, struct error *err)
{
        nvidia->driver_root = nvidia->request->roots->driver;
        if (nvidia_find_libraries(nvidia, err) < 0)
                return -1;
        if (nvidia->library_dirs.count > 0)
                return 0;
        nvidia->found_root = nvidia_path(nvidia->request->roots->run, "/run/nvidia/driver");
        if (!nvidia->found_root)
                return error_no_memory(err);
        if (access(nvidia->found_root, F_OK) < 0)
                return 0;
        nvidia->driver_root = nvidia->found_root;
        return nvidia_find_libraries(nvidia, err);
}

/* The image is made for CUDA, and what CUDA needs is not asked for. */
static int warn_of_capabilities(struct nvidia *nvidia, struct error *err)
{
        if (nvidia->capabilities & NVIDIA_COMPUTE ||
            !env_get(nvidia->request->container, "CUDA_VERSION"))
                return 0;
        return gpu_injection_warn(nvidia->injection, err,
                                  "CUDA will not find the driver: NVIDIA_DRIVER_CAPABILITIES does "
                                  "not have compute");
}

static int read_capabilities(struct nvidia *nvidia, bool legacy, struct error *err)
{
        const char *text = gpu_setting(nvidia->request, "NVIDIA_DRIVER_CAPABILITIES");

        if (nvidia_capabilities_parse(text || !legacy ? text : "all", &nvidia->capabilities, err) <
            0)
                return -1;
        return warn_of_capabilities(nvidia, err);
}

static int add_all(struct nvidia *nvidia, struct error *err)
{
        if (nvidia_add_devices(nvidia, err) < 0 || nvidia_add_proc(nvidia, err) < 0 ||
            nvidia_add_mig(nvidia, err) < 0)
                return -1;
        /* Of libraries with one name, the linker gets the first. */
        if (nvidia->capabilities & NVIDIA_COMPUTE &&
            gpu_injection_compat(nvidia->request, nvidia->driver.version, nvidia->injection, err) <
                    0)
                return -1;
        if (nvidia_add_libraries(nvidia, err) < 0 || nvidia_add_files(nvidia, err) < 0)
                return -1;
        return gpu_injection_finish(nvidia->request, nvidia->injection, err);
}

static int inject(struct nvidia *nvidia, const char *devices, struct error *err)
{
        const char *legacy = legacy_cuda(nvidia->request);

        if (read_capabilities(nvidia, legacy != NULL, err) < 0 ||
            nvidia_driver_find(nvidia->request->roots, &nvidia->driver, err) < 0)
                return -1;
        if (!nvidia->driver.version[0])
                return report_no_driver(nvidia, devices, err);
        if (find_files(nvidia, err) < 0 || nvidia_select(nvidia, devices, err) < 0 ||
            nvidia_check_requirements(nvidia, legacy, err) < 0)
                return -1;
        return add_all(nvidia, err);
}

int gpu_nvidia_inject(const struct gpu_request *request, struct gpu_injection *injection,
                      struct error *err)
{
        auto_gpu_injection struct gpu_injection made = GPU_INJECTION_INIT;
        auto_cleanup(nvidia_release) struct nvidia nvidia = {
                .request = request,
                .injection = &made,
        };
        const char *devices = devices_of(request);

        if (!devices)
                return 0;
        if (inject(&nvidia, devices, err) < 0)
                return -1;
        *injection = TAKE(made, (struct gpu_injection)GPU_INJECTION_INIT);
        return 0;
}
