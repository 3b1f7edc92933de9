/* /proc/driver/nvidia as the container sees it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>

#include "gpu/nvidia.h"
#include "util/io.h"

#define PROC_NVIDIA "/proc/driver/nvidia"

int gpu_injection_params(const struct gpu_request *request, struct gpu_injection *injection,
                         struct error *err)
{
        static const char modify[] = "ModifyDeviceFiles: 1";
        auto_free char *path = nvidia_path(request->roots->proc, PROC_NVIDIA "/params");
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error failure = ERROR_INIT;
        char *found;

        if (!path)
                return error_no_memory(err);
        if (io_read_file(AT_FDCWD, path, NVIDIA_FILE_LIMIT, &text, &failure) < 0)
                return failure.code == ENOENT
                               ? 0
                               : gpu_injection_warn(injection, err, "%s", failure.message);
        found = text.data ? strstr(text.data, modify) : NULL;
        if (!found)
                return 0;
        found[strlen(modify) - 1] = '0';
        return gpu_injection_memory(injection, PROC_NVIDIA "/params", text.data, text.length, err);
}

/* An empty directory in place of the driver's, with what is to be seen of it. */
static int add_subset(struct nvidia *nvidia, struct error *err)
{
        const struct mount_entry empty = {
                .source = (char *)"tmpfs",
                .target = (char *)PROC_NVIDIA,
                .type = (char *)"tmpfs",
                .data = (char *)"mode=755",
                .attr_set = MS_NOSUID | MS_NODEV | MS_NOEXEC,
                .nofail = true,
        };
        const char *proc = nvidia->request->roots->proc;

        if (mount_plan_append(&nvidia->injection->mounts, &empty) < 0)
                return error_no_memory(err);
        if (nvidia_bind(nvidia, GPU_FILE, proc, PROC_NVIDIA "/version", true, err) < 0 ||
            nvidia_bind_present(nvidia, GPU_FILE, proc, PROC_NVIDIA "/registry", NULL, err) < 0)
                return -1;
        for (size_t i = 0; i < nvidia->driver.gpu_count; i++) {
                const struct nvidia_gpu *gpu = &nvidia->driver.gpus[i];
                auto_free char *path = nvidia_path(PROC_NVIDIA, "/gpus/%s", gpu->name);

                if (!path)
                        return error_no_memory(err);
                if (gpu->chosen && nvidia_bind(nvidia, GPU_DIRECTORY, proc, path, true, err) < 0)
                        return -1;
        }
        return 0;
}

int nvidia_add_proc(struct nvidia *nvidia, struct error *err)
{
        size_t chosen = 0;

        for (size_t i = 0; i < nvidia->driver.gpu_count; i++)
                chosen += nvidia->driver.gpus[i].chosen;
        if (nvidia->devices == NVIDIA_DEVICES_SOME && chosen < nvidia->driver.gpu_count &&
            add_subset(nvidia, err) < 0)
                return -1;
        return gpu_injection_params(nvidia->request, nvidia->injection, err);
}
