/*
 * NVIDIA's part of gpu/: what the driver is and has, what a container asks for, and the
 * steps that make an injection of the two. Functions return 0, or -1 with *err, unless they
 * say otherwise.
 */
#pragma once

#include <stdint.h>

#include "gpu/injection.h"

/* Limits on what the files of a driver may claim. */
#define NVIDIA_VERSION_SIZE 32u
#define NVIDIA_GPU_LIMIT    256u       /* of one machine; minor numbers are 8 bits wide */
#define NVIDIA_MIG_LIMIT    64u        /* partitions asked for; a GPU has at most 7 */
#define NVIDIA_FILE_LIMIT   (1u << 20) /* a file of procfs, in bytes */
#define NVIDIA_NAME_SIZE    96u        /* UUIDs and models */

/* ---- capabilities: nvidia_capabilities.c ---- */

enum nvidia_capability {
        NVIDIA_COMPUTE = 1 << 0,
        NVIDIA_UTILITY = 1 << 1,
        NVIDIA_VIDEO = 1 << 2,
        NVIDIA_GRAPHICS = 1 << 3,
        NVIDIA_DISPLAY = 1 << 4,
        NVIDIA_NGX = 1 << 5,
        NVIDIA_COMPAT32 = 1 << 6,
};

/* NVIDIA_DRIVER_CAPABILITIES; NULL is utility. EINVAL for an unknown word. */
int nvidia_capabilities_parse(const char *text, unsigned int *ret, struct error *err);

/*
 * Capabilities that a library of the driver is for: name is its file name up to ".so". 0 for
 * those that are the image's business, or nobody's.
 */
unsigned int nvidia_library_capabilities(const char *name);

/* ---- the driver and its GPUs: nvidia_driver.c ---- */

struct nvidia_pci {
        unsigned int domain, bus, device, function;
};

/* "0000:17:00.0", also with a wider domain or none. */
bool nvidia_pci_parse(const char *text, struct nvidia_pci *ret);
bool nvidia_pci_is_equal(const struct nvidia_pci *a, const struct nvidia_pci *b);

struct nvidia_gpu {
        struct nvidia_pci pci;
        char name[16];               /* of its directories: "0000:17:00.0" */
        char uuid[NVIDIA_NAME_SIZE]; /* "" or with question marks when the driver does not tell */
        char model[NVIDIA_NAME_SIZE];
        int minor; /* of /dev/nvidiaN, or -1 */
        bool excluded;
        int access_errno; /* why the node cannot be opened, or 0 */
        bool chosen;
};

/* The text of /proc/driver/nvidia/gpus/BUSID/information. Pure. */
void nvidia_information_parse(const char *text, struct nvidia_gpu *gpu);

struct nvidia_driver {
        char version[NVIDIA_VERSION_SIZE]; /* "": not loaded */
        struct nvidia_gpu *gpus;           /* in the order of PCI addresses */
        size_t gpu_count;
};

void nvidia_driver_release(struct nvidia_driver *driver);
#define auto_nvidia_driver auto_cleanup(nvidia_driver_release)

/* Read what procfs and /dev tell; a driver that is not loaded is no error. */
int nvidia_driver_find(const struct gpu_roots *roots, struct nvidia_driver *driver,
                       struct error *err);

/* Whether sysfs shows a GPU of NVIDIA's, with or without a driver. */
bool nvidia_has_hardware(const struct gpu_roots *roots);

/* ---- NVML, asked in a child: nvidia_nvml.c ---- */

struct nvml_gpu {
        char uuid[NVIDIA_NAME_SIZE];
        struct nvidia_pci pci;
        char brand[24];        /* in the words of requirements, or "" */
        char architecture[12]; /* compute capability, "9.0", or "" */
};

struct nvml_mig {
        char uuid[NVIDIA_NAME_SIZE];
        struct nvidia_pci pci; /* of its GPU */
        unsigned int index, instance, compute; /* among the GPU's, GPU instance, compute instance */
};

/* Plain values: it is written whole through a pipe. */
struct nvml_answer {
        char cuda_version[16];
        uint32_t gpu_count, mig_count;
        struct nvml_gpu gpus[NVIDIA_GPU_LIMIT];
        struct nvml_mig migs[NVIDIA_GPU_LIMIT];
};

/*
 * Ask the library at path. The child that loads it is killed after the time, in
 * milliseconds. ETIMEDOUT, and else EIO with what it said.
 */
int nvml_ask(const char *path, int timeout, struct nvml_answer *answer, struct error *err);

/* ---- one injection ---- */

enum nvidia_devices {
        NVIDIA_DEVICES_NONE, /* the driver's files alone */
        NVIDIA_DEVICES_ALL,
        NVIDIA_DEVICES_SOME,
};

/* A partition that is asked for. */
struct nvidia_mig {
        const struct nvidia_gpu *gpu;
        unsigned int instance, compute;
};

struct nvidia {
        const struct gpu_request *request;
        struct gpu_injection *injection;
        unsigned int capabilities;
        enum nvidia_devices devices;
        struct nvidia_driver driver;

        struct nvidia_mig migs[NVIDIA_MIG_LIMIT];
        size_t mig_count;

        /* Where the driver's files are and where they go. */
        const char *driver_root;
        char *found_root;                  /* owns driver_root when that was looked for */
        struct strlist library_dirs;       /* on the host, without the driver's root */
        const char *target_dir;            /* of libraries inside, "/usr/lib64" … */
        const char *compat_target_dir;     /* of 32-bit ones */
        char *nvml_path;                   /* of libnvidia-ml on the host, or NULL */

        struct nvml_answer *nvml;          /* when it was asked, and answered */
        bool nvml_failed;
        struct error nvml_error;
};

/* Paths on the host, below one of the roots; malloc'd, or NULL without memory. */
char *nvidia_path(const char *root, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Bind a path of a root at the same path inside. */
int nvidia_bind(struct nvidia *nvidia, enum gpu_mount_kind kind, const char *root,
                const char *path, bool optional, struct error *err);

/* The same if it is there; ret_found (or NULL) says whether. */
int nvidia_bind_present(struct nvidia *nvidia, enum gpu_mount_kind kind, const char *root,
                        const char *path, bool *ret_found, struct error *err);

/* What NVML says, asked once; NULL when it does not answer (nvml_error says why) */
const struct nvml_answer *nvidia_nvml(struct nvidia *nvidia);

/* Read NVIDIA_VISIBLE_DEVICES: which GPUs and partitions are chosen. nvidia_select.c */
int nvidia_select(struct nvidia *nvidia, const char *devices, struct error *err);

/*
 * Whether the variables NVIDIA_REQUIRE_* hold, and legacy_cuda (or NULL), the version that an
 * old image states otherwise. nvidia_require.c
 */
int nvidia_check_requirements(struct nvidia *nvidia, const char *legacy_cuda, struct error *err);

/* Find the driver's libraries: before NVML is asked. Then inject them. nvidia_libraries.c */
int nvidia_find_libraries(struct nvidia *nvidia, struct error *err);
int nvidia_add_libraries(struct nvidia *nvidia, struct error *err);

/*
 * The version of CUDA that a driver has, by the driver's version; a lower bound unless
 * *ret_exact. NULL for drivers older than any known. nvidia_require.c
 */
const char *nvidia_cuda_version(const char *driver, bool *ret_exact);

/*
 * What the note in a library of the image says: whether libraries of version compat work with
 * a driver of another version. cuda is the driver's own version of it, or NULL. Pure.
 */
bool nvidia_compat_allows(const char *note, size_t length, const char *driver, const char *compat,
                          const char *cuda);

int nvidia_add_devices(struct nvidia *nvidia, struct error *err); /* nvidia_devices.c */
int nvidia_add_mig(struct nvidia *nvidia, struct error *err);     /* nvidia_mig.c */
int nvidia_add_proc(struct nvidia *nvidia, struct error *err);    /* nvidia_proc.c */
int nvidia_add_files(struct nvidia *nvidia, struct error *err);   /* nvidia_files.c */
