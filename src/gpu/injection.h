/*
 * Filling an injection: what all kinds of devices share. Each function returns 0, or -1
 * with *err.
 */
#pragma once

#include <stdint.h>

#include "gpu/gpu.h"

/* How a mount is made and what its failure means. */
enum gpu_mount_kind {
        GPU_FILE,      /* read-only: libraries, programs, configuration */
        GPU_DIRECTORY, /* the same, with what is mounted below it */
        GPU_DEVICE,    /* a node, or a directory of nodes */
        GPU_SOCKET,    /* a socket, or a directory of them */
};

/* Bind source of the host at target. optional: a failure is a warning. */
int gpu_injection_bind(struct gpu_injection *injection, enum gpu_mount_kind kind,
                       const char *source, const char *target, bool optional, struct error *err);

/* A file in memory at target, read-only. */
int gpu_injection_memory(struct gpu_injection *injection, const char *target, const char *content,
                         size_t length, struct error *err);

int gpu_injection_link(struct gpu_injection *injection, const char *path, const char *target,
                       struct error *err);
int gpu_injection_setenv(struct gpu_injection *injection, const char *name, const char *value,
                         struct error *err);
int gpu_injection_warn(struct gpu_injection *injection, struct error *err, const char *fmt, ...)
        __attribute__((format(printf, 3, 4)));

/*
 * Note that target, bound from source, is a library that the container's linker shall
 * find; of several with one SONAME it finds the first. What is no library of ELF is left out.
 */
int gpu_injection_library(struct gpu_injection *injection, const char *source, const char *target,
                          struct error *err);

/* The same of a library about which all is known. It is copied. */
int gpu_injection_add_library(struct gpu_injection *injection, const struct gpu_library *library,
                              struct error *err);

/*
 * Have path, a name for linking or for dlopen(3), lead to the file called name beside it. A
 * file that the image has there is covered by the source (NULL: left alone), not removed.
 */
int gpu_injection_alias(const struct gpu_request *request, struct gpu_injection *injection,
                        const char *path, const char *name, const char *source, struct error *err);

/* A copy of NVIDIA's /proc/driver/nvidia/params with which NVML makes no device nodes. */
int gpu_injection_params(const struct gpu_request *request, struct gpu_injection *injection,
                         struct error *err);

/*
 * CUDA's forward compatibility: have the linker find the image's own user-mode libraries of a
 * newer driver if they work with the host's, whose version driver is. Before libraries of the
 * driver are noted.
 */
int gpu_injection_compat(const struct gpu_request *request, const char *driver,
                         struct gpu_injection *injection, struct error *err);

/* What OpenGL may use: a profile with the GPUs of the bits, numbered by their minors. */
int gpu_injection_profile(struct gpu_injection *injection, uint64_t minors, struct error *err);

/*
 * Once, when all libraries are noted: their SONAME links, and an ld.so.cache that has
 * them; LD_LIBRARY_PATH where the image's linker reads no such cache.
 */
int gpu_injection_finish(const struct gpu_request *request, struct gpu_injection *injection,
                         struct error *err);
