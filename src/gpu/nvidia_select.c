/*
 * NVIDIA_VISIBLE_DEVICES: which GPUs and partitions are meant. Indexes count the GPUs that
 * may be opened, in the order of their PCI addresses, as NVML counts them: under a devices
 * cgroup they are relative to what a job was given.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "gpu/nvidia.h"

static bool is_usable(const struct nvidia_gpu *gpu)
{
        return !gpu->excluded && gpu->access_errno == 0;
}

static struct nvidia_gpu *gpu_at(struct nvidia *nvidia, unsigned long index)
{
        for (size_t i = 0; i < nvidia->driver.gpu_count; i++)
                if (is_usable(&nvidia->driver.gpus[i]) && index-- == 0)
                        return &nvidia->driver.gpus[i];
        return NULL;
}

static struct nvidia_gpu *gpu_by_pci(struct nvidia *nvidia, const struct nvidia_pci *pci)
{
        for (size_t i = 0; i < nvidia->driver.gpu_count; i++)
                if (nvidia_pci_is_equal(&nvidia->driver.gpus[i].pci, pci))
                        return &nvidia->driver.gpus[i];
        return NULL;
}

static struct nvidia_gpu *gpu_by_uuid(struct nvidia *nvidia, const char *uuid)
{
        const struct nvml_answer *nvml;

        for (size_t i = 0; i < nvidia->driver.gpu_count; i++)
                if (strcasecmp(nvidia->driver.gpus[i].uuid, uuid) == 0)
                        return &nvidia->driver.gpus[i];
        /* procfs shows question marks until a GPU is first used. */
        nvml = nvidia_nvml(nvidia);
        for (uint32_t i = 0; nvml && i < nvml->gpu_count; i++)
                if (strcasecmp(nvml->gpus[i].uuid, uuid) == 0)
                        return gpu_by_pci(nvidia, &nvml->gpus[i].pci);
        return NULL;
}

/* ---- partitions ---- */

static int add_partition(struct nvidia *nvidia, const struct nvidia_gpu *gpu, unsigned int instance,
                         unsigned int compute, struct error *err)
{
        for (size_t i = 0; i < nvidia->mig_count; i++)
                if (nvidia->migs[i].gpu == gpu && nvidia->migs[i].instance == instance &&
                    nvidia->migs[i].compute == compute)
                        return 0;
        if (nvidia->mig_count == ARRAY_SIZE(nvidia->migs))
                return error_set(err, E2BIG, "more than %zu partitions", ARRAY_SIZE(nvidia->migs));
        nvidia->migs[nvidia->mig_count++] = (struct nvidia_mig){ gpu, instance, compute };
        return 0;
}

/* Why a partition is not found. Always -1. */
static int unknown_partition(const struct nvidia *nvidia, const char *word, struct error *err)
{
        error_set(err, ENODEV, "unknown device: %s", word);
        if (nvidia->nvml_failed)
                return error_append(err, " (partitions are known to the driver's library only, "
                                         "which fails: %s)",
                                    nvidia->nvml_error.message);
        return error_append(err, " (no such partition; \"nvidia-smi -L\" lists them)");
}

/* "MIG-GPU-UUID/INSTANCE/COMPUTE" of drivers before 470. 1 when it is one, 0, or -1 with *err. */
static int select_old_partition(struct nvidia *nvidia, const char *word, struct nvidia_gpu **ret,
                                struct error *err)
{
        char uuid[NVIDIA_NAME_SIZE], rest;
        unsigned int instance, compute;

        if (sscanf(word, "MIG-%95[^/]/%u/%u%c", uuid, &instance, &compute, &rest) != 3 ||
            strncasecmp(uuid, "GPU-", 4) != 0)
                return 0;
        *ret = gpu_by_uuid(nvidia, uuid);
        if (!*ret)
                return unknown_partition(nvidia, word, err);
        return add_partition(nvidia, *ret, instance, compute, err) < 0 ? -1 : 1;
}

static int select_partition(struct nvidia *nvidia, const char *word, struct nvidia_gpu **ret,
                            struct error *err)
{
        unsigned int gpu_index = 0, index = 0;
        bool by_index = sscanf(word, "%u:%u", &gpu_index, &index) == 2;
        const struct nvidia_gpu *gpu = by_index ? gpu_at(nvidia, gpu_index) : NULL;
        const struct nvml_answer *nvml;
        int old = select_old_partition(nvidia, word, ret, err);

        if (old != 0)
                return old < 0 ? -1 : 0;
        nvml = nvidia_nvml(nvidia);
        for (uint32_t i = 0; nvml && i < nvml->mig_count; i++) {
                const struct nvml_mig *mig = &nvml->migs[i];

                if (by_index ? !gpu || !nvidia_pci_is_equal(&gpu->pci, &mig->pci) ||
                                       mig->index != index
                             : strcasecmp(mig->uuid, word) != 0)
                        continue;
                *ret = gpu_by_pci(nvidia, &mig->pci);
                if (*ret)
                        return add_partition(nvidia, *ret, mig->instance, mig->compute, err);
        }
        return unknown_partition(nvidia, word, err);
}

/* ---- the list ---- */

static bool is_number(const char *word)
{
        return *word && strlen(word) < 10 && strspn(word, "0123456789") == strlen(word);
}

/* "GPU:PARTITION" */
static bool is_pair(const char *word)
{
        const char *colon = strchr(word, ':');
        size_t length = colon ? (size_t)(colon - word) : 0;

        return length > 0 && length < 10 && strspn(word, "0123456789") == length &&
               is_number(colon + 1);
}

static int select_word(struct nvidia *nvidia, const char *word, struct error *err)
{
        struct nvidia_gpu *gpu = NULL;
        struct nvidia_pci pci;

        if (is_number(word))
                gpu = gpu_at(nvidia, strtoul(word, NULL, 10));
        else if (strncasecmp(word, "GPU-", 4) == 0)
                gpu = gpu_by_uuid(nvidia, word);
        else if (strncasecmp(word, "MIG-", 4) == 0 || is_pair(word)) {
                if (select_partition(nvidia, word, &gpu, err) < 0)
                        return -1;
        } else if (nvidia_pci_parse(word, &pci)) {
                gpu = gpu_by_pci(nvidia, &pci);
        }
        if (!gpu && nvidia->driver.gpu_count == 0)
                return error_set(err, ENODEV, "unknown device: %s (the driver has no GPU)", word);
        if (!gpu)
                return error_set(err, ENODEV, "unknown device: %s (\"nvidia-smi -L\" lists them)",
                                 word);
        if (gpu->excluded)
                return error_set(err, EACCES, "GPU %s is excluded by the driver's configuration",
                                 word);
        if (gpu->access_errno)
                return error_set(err, gpu->access_errno,
                                 "GPU %s: /dev/nvidia%d cannot be opened: %s%s", word, gpu->minor,
                                 strerror(gpu->access_errno),
                                 gpu->access_errno == ENOENT
                                         ? " (as root, run \"nvidia-modprobe -c0\")"
                                         : " (in a job or pod, ask for this GPU)");
        gpu->chosen = true;
        return 0;
}

static int select_all(struct nvidia *nvidia, struct error *err)
{
        const struct nvidia_gpu *refused = NULL;
        size_t count = 0;

        for (size_t i = 0; i < nvidia->driver.gpu_count; i++) {
                struct nvidia_gpu *gpu = &nvidia->driver.gpus[i];

                gpu->chosen = is_usable(gpu);
                count += gpu->chosen;
                if (!gpu->excluded && gpu->access_errno)
                        refused = gpu;
        }
        if (count > 0)
                return 0;
        if (refused)
                return gpu_injection_warn(nvidia->injection, err,
                                          "no GPU can be used: /dev/nvidia%d: %s (in a job or "
                                          "pod, ask for a GPU)",
                                          refused->minor, strerror(refused->access_errno));
        return gpu_injection_warn(nvidia->injection, err,
                                  "no GPU can be used: the driver shows none");
}

int nvidia_select(struct nvidia *nvidia, const char *devices, struct error *err)
{
        nvidia->devices = NVIDIA_DEVICES_SOME;
        if (strcmp(devices, "none") == 0)
                nvidia->devices = NVIDIA_DEVICES_NONE;
        else if (strcmp(devices, "all") == 0)
                nvidia->devices = NVIDIA_DEVICES_ALL;
        if (nvidia->devices == NVIDIA_DEVICES_NONE)
                return 0;
        if (nvidia->devices == NVIDIA_DEVICES_ALL)
                return select_all(nvidia, err);
        while (*devices) {
                size_t length = strcspn(devices, ", ");
                auto_free char *word = strndup(devices, length);

                if (!word)
                        return error_no_memory(err);
                if (*word && select_word(nvidia, word, err) < 0)
                        return -1;
                devices += length;
                devices += *devices != '\0';
        }
        return 0;
}
