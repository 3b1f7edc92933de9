/*
 * What only the driver's management library knows: versions of CUDA, brands, compute
 * capabilities, UUIDs of partitions. It is loaded in a child, because it may hang on a
 * broken GPU, crash, start threads, or leave descriptors open; the answer comes back whole
 * through a pipe, or not at all.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gpu/nvidia.h"
#include "util/clock.h"
#include "util/io.h"

/* How long the end of a child that has answered, or was killed, is waited for, in ms. */
#define REAP_LIMIT 2000

/* nvml.h */
#define NVML_BUFFER     96u
#define NVML_MIG_ENABLE 1u

struct nvml_pci_info { /* nvmlPciInfo_t of version 3 */
        char bus_id_legacy[16];
        unsigned int domain, bus, device, pci_device_id, pci_subsystem_id;
        char bus_id[32];
};

typedef struct nvml_device *nvml_device;

/* What the child needs of the library; missing ones are NULL: older drivers have no MIG. */
struct nvml_library {
        int (*init)(void);
        int (*cuda_version)(int *ret);
        int (*count)(unsigned int *ret);
        int (*by_index)(unsigned int index, nvml_device *ret);
        int (*uuid)(nvml_device device, char *ret, unsigned int size);
        int (*pci)(nvml_device device, struct nvml_pci_info *ret);
        int (*brand)(nvml_device device, unsigned int *ret);
        int (*capability)(nvml_device device, int *major, int *minor);
        int (*mig_mode)(nvml_device device, unsigned int *current, unsigned int *pending);
        int (*mig_count)(nvml_device device, unsigned int *ret);
        int (*mig_by_index)(nvml_device device, unsigned int index, nvml_device *ret);
        int (*instance)(nvml_device device, unsigned int *ret);
        int (*compute)(nvml_device device, unsigned int *ret);
};

/* What the child sends. */
struct nvml_message {
        char failure[256]; /* "": the answer is there */
        struct nvml_answer answer;
};

static void load_symbols(void *handle, struct nvml_library *library)
{
        const struct {
                const char *name;
                void *slot;
        } symbols[] = {
                { "nvmlInit_v2", &library->init },
                { "nvmlSystemGetCudaDriverVersion", &library->cuda_version },
                { "nvmlDeviceGetCount_v2", &library->count },
                { "nvmlDeviceGetHandleByIndex_v2", &library->by_index },
                { "nvmlDeviceGetUUID", &library->uuid },
                { "nvmlDeviceGetPciInfo_v3", &library->pci },
                { "nvmlDeviceGetBrand", &library->brand },
                { "nvmlDeviceGetCudaComputeCapability", &library->capability },
                { "nvmlDeviceGetMigMode", &library->mig_mode },
                { "nvmlDeviceGetMaxMigDeviceCount", &library->mig_count },
                { "nvmlDeviceGetMigDeviceHandleByIndex", &library->mig_by_index },
                { "nvmlDeviceGetGpuInstanceId", &library->instance },
                { "nvmlDeviceGetComputeInstanceId", &library->compute },
        };

        for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
                void *symbol = dlsym(handle, symbols[i].name);

                memcpy(symbols[i].slot, &symbol, sizeof(symbol));
        }
}

/* nvmlBrandType_t in the words of the requirements that images state. */
static const char *brand_name(unsigned int brand)
{
        static const char *const names[] = {
                [1] = "quadro",     [2] = "tesla",     [3] = "nvs",       [4] = "grid",
                [5] = "geforce",    [6] = "titan",     [7] = "nvidiavapps", [8] = "nvidiavpc",
                [9] = "nvidiavcs",  [10] = "nvidiavws", [11] = "nvidiacloudgaming",
                [12] = "quadrortx", [13] = "nvidiartx", [14] = "nvidia",  [15] = "geforcertx",
                [16] = "titanrtx",
        };

        return brand < ARRAY_SIZE(names) && names[brand] ? names[brand] : "unknown";
}

static void ask_partitions(const struct nvml_library *library, nvml_device device,
                           const struct nvidia_pci *pci, struct nvml_answer *answer)
{
        unsigned int current = 0, pending, count = 0;

        if (!library->mig_mode || !library->mig_count || !library->mig_by_index ||
            !library->instance || !library->compute ||
            library->mig_mode(device, &current, &pending) != 0 || current != NVML_MIG_ENABLE ||
            library->mig_count(device, &count) != 0)
                return;
        for (unsigned int i = 0; i < count && answer->mig_count < NVIDIA_GPU_LIMIT; i++) {
                struct nvml_mig mig = { .pci = *pci, .index = i };
                nvml_device part;

                if (library->mig_by_index(device, i, &part) == 0 &&
                    library->uuid(part, mig.uuid, sizeof(mig.uuid)) == 0 &&
                    library->instance(part, &mig.instance) == 0 &&
                    library->compute(part, &mig.compute) == 0)
                        answer->migs[answer->mig_count++] = mig;
        }
}

static void ask_gpu(const struct nvml_library *library, nvml_device device,
                    struct nvml_answer *answer)
{
        struct nvml_gpu *gpu = &answer->gpus[answer->gpu_count];
        struct nvml_pci_info pci = { .domain = 0 };
        unsigned int brand;
        int major, minor;

        if (library->uuid(device, gpu->uuid, sizeof(gpu->uuid)) != 0 ||
            library->pci(device, &pci) != 0)
                return;
        gpu->pci = (struct nvidia_pci){ pci.domain, pci.bus, pci.device, 0 };
        if (library->brand && library->brand(device, &brand) == 0)
                (void)snprintf(gpu->brand, sizeof(gpu->brand), "%s", brand_name(brand));
        if (library->capability && library->capability(device, &major, &minor) == 0)
                (void)snprintf(gpu->architecture, sizeof(gpu->architecture), "%d.%d", major % 1000,
                               minor % 1000);
        answer->gpu_count++;
        ask_partitions(library, device, &gpu->pci, answer);
}

static void ask_library(const char *path, struct nvml_message *message)
{
        struct nvml_library library = { .init = NULL };
        void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        struct nvml_answer *answer = &message->answer;
        unsigned int count = 0;
        int result, version;

        if (handle)
                load_symbols(handle, &library);
        if (!handle || !library.init || !library.count || !library.by_index || !library.uuid ||
            !library.pci) {
                (void)snprintf(message->failure, sizeof(message->failure), "%s",
                               handle ? "it lacks functions" : dlerror());
                return;
        }
        result = library.init();
        if (result != 0 || library.count(&count) != 0) {
                (void)snprintf(message->failure, sizeof(message->failure),
                               "it cannot be initialised (NVML error %d)", result);
                return;
        }
        if (library.cuda_version && library.cuda_version(&version) == 0 && version > 0)
                (void)snprintf(answer->cuda_version, sizeof(answer->cuda_version), "%d.%d",
                               version / 1000, version % 100 / 10);
        for (unsigned int i = 0; i < count && answer->gpu_count < NVIDIA_GPU_LIMIT; i++) {
                nvml_device device;

                if (library.by_index(i, &device) == 0)
                        ask_gpu(&library, device, answer);
        }
}

/* The child: never returns, and runs nothing that the parent registered for its end. */
static void child(const char *path, int pipe_fd)
{
        struct nvml_message *message = calloc(1, sizeof(*message));
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        /* The library must not write between the lines of a start. */
        for (int i = 0; null >= 0 && i <= STDERR_FILENO; i++)
                (void)dup2(null, i);
        if (!message)
                _exit(1);
        ask_library(path, message);
        _exit(io_write_full(pipe_fd, message, sizeof(*message)) < 0);
}

/* Read the whole message, or fail with ETIMEDOUT, or EIO at an early end. */
static int receive(int fd, int timeout, struct nvml_message *message, struct error *err)
{
        int64_t end = clock_ms() + timeout;
        size_t done = 0;

        while (done < sizeof(*message)) {
                struct pollfd event = { .fd = fd, .events = POLLIN };
                int64_t left = end - clock_ms();
                ssize_t count;

                if (left <= 0)
                        return error_set(err, ETIMEDOUT, "no answer within %d seconds",
                                         (timeout + 999) / 1000);
                if (poll(&event, 1, (int)left) <= 0)
                        continue;
                count = read(fd, (char *)message + done, sizeof(*message) - done);
                if (count < 0 && errno == EINTR)
                        continue;
                if (count <= 0)
                        return error_set(err, EIO, "it crashed");
                done += (size_t)count;
        }
        return 0;
}

/* One that sits in the driver cannot even be killed; then it is left behind. */
static void reap(pid_t pid)
{
        const struct timespec pause = { .tv_nsec = 1000 * 1000 };
        int64_t end = clock_ms() + REAP_LIMIT;

        while (waitpid(pid, NULL, WNOHANG) == 0 && clock_ms() < end)
                (void)nanosleep(&pause, NULL);
}

int nvml_ask(const char *path, int timeout, struct nvml_answer *answer, struct error *err)
{
        auto_free struct nvml_message *message = calloc(1, sizeof(*message));
        auto_close int read_end = -1, write_end = -1;
        int ends[2], result;
        pid_t pid;

        if (!message)
                return error_no_memory(err);
        if (pipe2(ends, O_CLOEXEC) < 0)
                return error_errno(err, "pipe");
        read_end = ends[0];
        write_end = ends[1];
        pid = fork();
        if (pid < 0)
                return error_errno(err, "fork");
        if (pid == 0)
                child(path, write_end);
        (void)close(TAKE_FD(write_end));
        result = receive(read_end, timeout, message, err);
        if (result < 0)
                (void)kill(pid, SIGKILL);
        reap(pid);
        if (result == 0 && message->failure[0]) {
                message->failure[sizeof(message->failure) - 1] = '\0';
                result = error_set(err, EIO, "%s", message->failure);
        }
        if (result < 0)
                return error_prefix(err, "%s", path);
        *answer = message->answer;
        return 0;
}
