/*
 * A libnvidia-ml.so.1 with two GPUs, the second of which has a partition, for tests. FAKE_NVML
 * says how it behaves: "fail" to be initialised, "hang", "crash", "old" for one without
 * partitions, "noisy" for one that prints; "cuda=V" is the version that it tells.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNKNOWN_ERROR 999

struct device {
        const char *uuid;
        unsigned int bus, instance, compute;
};

struct pci_info {
        char bus_id_legacy[16];
        unsigned int domain, bus, device, pci_device_id, pci_subsystem_id;
        char bus_id[32];
};

static const struct device gpus[] = {
        { "GPU-aaaa", 0x17, 0, 0 },
        { "GPU-bbbb", 0x65, 0, 0 },
};
static const struct device partition = { "MIG-cccc", 0x65, 2, 1 };

int nvmlInit_v2(void);
int nvmlSystemGetCudaDriverVersion(int *ret);
int nvmlDeviceGetCount_v2(unsigned int *ret);
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, const struct device **ret);
int nvmlDeviceGetUUID(const struct device *device, char *ret, unsigned int size);
int nvmlDeviceGetPciInfo_v3(const struct device *device, struct pci_info *ret);
int nvmlDeviceGetBrand(const struct device *device, unsigned int *ret);
int nvmlDeviceGetCudaComputeCapability(const struct device *device, int *major, int *minor);
int nvmlDeviceGetMigMode(const struct device *device, unsigned int *current, unsigned int *pending);
int nvmlDeviceGetMaxMigDeviceCount(const struct device *device, unsigned int *ret);
int nvmlDeviceGetMigDeviceHandleByIndex(const struct device *device, unsigned int index,
                                        const struct device **ret);
int nvmlDeviceGetGpuInstanceId(const struct device *device, unsigned int *ret);
int nvmlDeviceGetComputeInstanceId(const struct device *device, unsigned int *ret);

static int is_mode(const char *mode)
{
        const char *value = getenv("FAKE_NVML");

        return value && strcmp(value, mode) == 0;
}

int nvmlInit_v2(void)
{
        while (is_mode("hang"))
                (void)pause();
        if (is_mode("crash"))
                abort();
        if (is_mode("noisy"))
                (void)fprintf(stderr, "NVML: this belongs nowhere\n");
        return is_mode("fail") ? UNKNOWN_ERROR : 0;
}

int nvmlSystemGetCudaDriverVersion(int *ret)
{
        const char *value = getenv("FAKE_NVML");

        *ret = value && strncmp(value, "cuda=", 5) == 0 ? atoi(value + 5) : 13020;
        return 0;
}

int nvmlDeviceGetCount_v2(unsigned int *ret)
{
        *ret = 2;
        return 0;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned int index, const struct device **ret)
{
        *ret = &gpus[index];
        return 0;
}

int nvmlDeviceGetUUID(const struct device *device, char *ret, unsigned int size)
{
        (void)snprintf(ret, size, "%s", device->uuid);
        return 0;
}

int nvmlDeviceGetPciInfo_v3(const struct device *device, struct pci_info *ret)
{
        ret->domain = 0;
        ret->bus = device->bus;
        ret->device = 0;
        return 0;
}

int nvmlDeviceGetBrand(const struct device *device, unsigned int *ret)
{
        *ret = device == gpus ? 2 : 14;
        return 0;
}

int nvmlDeviceGetCudaComputeCapability(const struct device *device, int *major, int *minor)
{
        *major = device == gpus ? 8 : 9;
        *minor = 0;
        return 0;
}

int nvmlDeviceGetMigMode(const struct device *device, unsigned int *current, unsigned int *pending)
{
        if (is_mode("old"))
                return 3; /* NVML_ERROR_NOT_SUPPORTED */
        *current = *pending = device == &gpus[1];
        return 0;
}

int nvmlDeviceGetMaxMigDeviceCount(const struct device *device, unsigned int *ret)
{
        (void)device;
        *ret = 7;
        return 0;
}

int nvmlDeviceGetMigDeviceHandleByIndex(const struct device *device, unsigned int index,
                                        const struct device **ret)
{
        if (device != &gpus[1] || index != 0)
                return 6; /* NVML_ERROR_NOT_FOUND */
        *ret = &partition;
        return 0;
}

int nvmlDeviceGetGpuInstanceId(const struct device *device, unsigned int *ret)
{
        *ret = device->instance;
        return 0;
}

int nvmlDeviceGetComputeInstanceId(const struct device *device, unsigned int *ret)
{
        *ret = device->compute;
        return 0;
}
