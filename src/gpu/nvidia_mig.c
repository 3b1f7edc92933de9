/*
 * Partitions: each needs a node of /dev/nvidia-caps for its GPU instance and one for its
 * compute instance; files below /proc/driver/nvidia/capabilities say which.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "gpu/nvidia.h"
#include "util/io.h"

#define CAPABILITIES "/proc/driver/nvidia/capabilities"
#define CAPS_DIR     "/dev/nvidia-caps"

/* The node that an access file names ("DeviceFileMinor: 3"), or -1. */
static int read_minor(const struct nvidia *nvidia, const char *path)
{
        static const char key[] = "DeviceFileMinor:";
        auto_free char *source = nvidia_path(nvidia->request->roots->proc, "%s", path);
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        const char *found;
        int minor;

        if (!source ||
            io_read_file(AT_FDCWD, source, NVIDIA_FILE_LIMIT, &text, &ignored) < 0)
                return -1;
        found = strstr(strbuf_text(&text), key);
        return found && sscanf(found + strlen(key), "%9d", &minor) == 1 && minor >= 0 ? minor : -1;
}

/* An access file and its node. dir is below CAPABILITIES. */
static int add_access(struct nvidia *nvidia, const char *dir, struct error *err)
{
        auto_free char *path = nvidia_path(CAPABILITIES, "/%s/access", dir);
        char node[sizeof(CAPS_DIR) + 32];
        bool found = false;
        int minor;

        if (!path)
                return error_no_memory(err);
        minor = read_minor(nvidia, path);
        (void)snprintf(node, sizeof(node), CAPS_DIR "/nvidia-cap%d", minor);
        if (minor >= 0 && (nvidia_bind(nvidia, GPU_FILE, nvidia->request->roots->proc, path, true,
                                       err) < 0 ||
                           nvidia_bind_present(nvidia, GPU_DEVICE, nvidia->request->roots->dev,
                                               node, &found, err) < 0))
                return -1;
        if (found)
                return 0;
        return gpu_injection_warn(nvidia->injection, err, "partition %s: %s is missing on the host",
                                  dir, minor < 0 ? path : node);
}

static int add_partition(struct nvidia *nvidia, int gpu_minor, unsigned int instance,
                         unsigned int compute, struct error *err)
{
        char dir[64];

        (void)snprintf(dir, sizeof(dir), "gpu%d/mig/gi%u", gpu_minor, instance);
        if (add_access(nvidia, dir, err) < 0)
                return -1;
        (void)snprintf(dir, sizeof(dir), "gpu%d/mig/gi%u/ci%u", gpu_minor, instance, compute);
        return add_access(nvidia, dir, err);
}

static int compare_numbers(const void *a, const void *b)
{
        unsigned int first = *(const unsigned int *)a, second = *(const unsigned int *)b;

        return first < second ? -1 : first > second;
}

/* Numbers of the directories "giN" or "ciN" in a directory, sorted; their count. */
static size_t list_numbers(const char *dir, const char *prefix, unsigned int *ret, size_t limit)
{
        auto_closedir DIR *stream = opendir(dir);
        const struct dirent *entry;
        size_t count = 0;

        while (stream && count < limit && (entry = readdir(stream)))
                if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
                    isdigit((unsigned char)entry->d_name[strlen(prefix)]))
                        ret[count++] =
                                (unsigned int)strtoul(entry->d_name + strlen(prefix), NULL, 10);
        qsort(ret, count, sizeof(*ret), compare_numbers);
        return count;
}

/* All partitions of a GPU that is seen whole. */
static int add_all_partitions(struct nvidia *nvidia, const struct nvidia_gpu *gpu,
                              struct error *err)
{
        unsigned int instances[NVIDIA_MIG_LIMIT], computes[NVIDIA_MIG_LIMIT];
        auto_free char *dir = nvidia_path(nvidia->request->roots->proc,
                                          CAPABILITIES "/gpu%d/mig", gpu->minor);
        size_t count;

        if (!dir)
                return error_no_memory(err);
        count = list_numbers(dir, "gi", instances, ARRAY_SIZE(instances));
        for (size_t i = 0; i < count; i++) {
                auto_free char *inner = nvidia_path(dir, "/gi%u", instances[i]);
                size_t inner_count;

                if (!inner)
                        return error_no_memory(err);
                inner_count = list_numbers(inner, "ci", computes, ARRAY_SIZE(computes));
                for (size_t j = 0; j < inner_count; j++)
                        if (add_partition(nvidia, gpu->minor, instances[i], computes[j], err) < 0)
                                return -1;
        }
        return 0;
}

static bool is_partly_chosen(const struct nvidia *nvidia, const struct nvidia_gpu *gpu)
{
        for (size_t i = 0; i < nvidia->mig_count; i++)
                if (nvidia->migs[i].gpu == gpu)
                        return true;
        return false;
}

/* Changing or watching all partitions: whole trees. */
static int add_management(struct nvidia *nvidia, const char *variable, struct error *err)
{
        const char *value = gpu_setting(nvidia->request, variable);

        if (!value)
                return 0;
        if (strcmp(value, "all") != 0)
                return error_set(err, EINVAL, "%s: \"%.100s\" is not \"all\"", variable, value);
        if (nvidia_bind_present(nvidia, GPU_DIRECTORY, nvidia->request->roots->proc, CAPABILITIES,
                                NULL, err) < 0 ||
            nvidia_bind_present(nvidia, GPU_DEVICE, nvidia->request->roots->dev, CAPS_DIR, NULL,
                                err) < 0)
                return -1;
        if (geteuid() == 0)
                return 0;
        return gpu_injection_warn(nvidia->injection, err,
                                  "%s grants nothing that the user may not do on the host",
                                  variable);
}

int nvidia_add_mig(struct nvidia *nvidia, struct error *err)
{
        for (size_t i = 0; i < nvidia->driver.gpu_count; i++) {
                const struct nvidia_gpu *gpu = &nvidia->driver.gpus[i];

                if (gpu->chosen && !is_partly_chosen(nvidia, gpu) &&
                    add_all_partitions(nvidia, gpu, err) < 0)
                        return -1;
        }
        for (size_t i = 0; i < nvidia->mig_count; i++)
                if (add_partition(nvidia, nvidia->migs[i].gpu->minor, nvidia->migs[i].instance,
                                  nvidia->migs[i].compute, err) < 0)
                        return -1;
        if (add_management(nvidia, "NVIDIA_MIG_CONFIG_DEVICES", err) < 0)
                return -1;
        return add_management(nvidia, "NVIDIA_MIG_MONITOR_DEVICES", err);
}
