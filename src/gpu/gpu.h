/*
 * gpu/: finds GPUs and what their drivers have of files, and says what a container needs
 * of them: mounts, links, variables. Only looks; hooks/ carries an injection out.
 *
 * Nothing here writes to a cgroup or needs a privilege, and no program of the image is run.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mount/mount.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/root_view.h"
#include "util/strlist.h"

/* ---- where things are looked for ---- */

/*
 * What is put in front of the host's paths, each "" or a directory without a slash at its
 * end: driver where the driver's files are ("/usr/bin/nvidia-smi"), dev where "/dev" is, and
 * so on. Inside the container everything has its usual name.
 */
struct gpu_roots {
        char *driver, *dev, *proc, *sys, *run;
};

/*
 * The variable that moves all five to a directory, for tests without a GPU. Ignored in a
 * program with more rights than its caller (AT_SECURE).
 */
#define GPU_TEST_ROOT "ENROOT_GPU_TEST_ROOT"

/* The setting that moves the driver's files alone, as where a container provides the driver. */
#define GPU_DRIVER_ROOT "ENROOT_DRIVER_ROOT"

/* As the environment has it. Returns 0, or -1 without memory. */
int gpu_roots_init(struct gpu_roots *roots, const struct strlist *environment);
void gpu_roots_release(struct gpu_roots *roots);
#define auto_gpu_roots auto_cleanup(gpu_roots_release)

/* ---- what is asked for, and what comes of it ---- */

struct gpu_request {
        const struct gpu_roots *roots;
        const struct strlist *devices; /* --device words, or NULL */
        bool superuser;                /* a real root, who stays one inside */
        bool run_hooks;                /* have the programs run that CDI files name */
        const struct strlist *host;      /* environment of the host, which counts first */
        const struct strlist *container; /* environment of the container */
        const struct root_view *view;    /* its rootfs */
};

/* As env_setting of both environments. */
const char *gpu_setting(const struct gpu_request *request, const char *name);

/* A symbolic link to be made, or to be replaced where there is one. Both are owned. */
struct gpu_link {
        char *path, *target;
};

/* A library in the container, for its linker. Every string is owned. */
struct gpu_library {
        char *soname; /* NULL when it has none */
        char *path;   /* in the container */
        char *source; /* on the host; NULL for one of the image itself */
        unsigned int flags; /* of its entry in ld.so.cache: architecture and ABI */
};

/* A program to run when the container is put together, as an OCI hook. All is owned. */
struct gpu_program {
        char *path;
        struct strlist args, environment; /* args begins with its name, unless it is empty */
        int64_t timeout;                  /* seconds; 0: none */
};

/*
 * What a container gets, in this order: mounts, links, programs, variables ("KEY=VALUE";
 * "KEY" takes one away). Warnings are lines for the user. Libraries are what gpu_injection_finish
 * makes links and a linker cache of.
 */
struct gpu_injection {
        struct mount_plan mounts;
        struct gpu_link *links;
        size_t link_count;
        struct strlist environment;
        struct strlist warnings;
        struct gpu_library *libraries;
        size_t library_count;
        struct gpu_program *programs;
        size_t program_count;
};

void gpu_program_release(struct gpu_program *program);

#define GPU_INJECTION_INIT { .links = NULL }

void gpu_injection_release(struct gpu_injection *injection);
#define auto_gpu_injection auto_cleanup(gpu_injection_release)

/* ---- CDI, the Container Device Interface ---- */

/* The setting with names of devices, besides those of the command line. */
#define GPU_DEVICES "ENROOT_DEVICES"

/* Whether CDI devices are asked for: as options, in GPU_DEVICES or in NVIDIA_VISIBLE_DEVICES. */
bool gpu_cdi_wanted(const struct gpu_request *request);

/* Append the names of those that are, each once. Returns 0, or -1 with *err naming what is none. */
int gpu_cdi_names(const struct gpu_request *request, struct strlist *names, struct error *err);

/*
 * Add them all.
 *
 * ret_native  whether gpu_nvidia_inject may still be called: the devices are not NVIDIA's
 *
 * Returns 0, or -1 with *err naming the devices that cannot be used and why; the injection
 * is good for nothing then.
 */
int gpu_cdi_inject(const struct gpu_request *request, struct gpu_injection *injection,
                   bool *ret_native, struct error *err);

/*
 * Append a CDI file, as JSON, of the NVIDIA GPUs and driver that the native way finds.
 *
 * path_list  where NVIDIA's hook program is looked for, like PATH
 * warnings   what the user should know of the result
 *
 * Returns 0, or -1 with *err (ENODEV without a driver or a GPU).
 */
int gpu_cdi_write(const struct gpu_roots *roots, const char *path_list, struct strbuf *text,
                  struct strlist *warnings, struct error *err);

/* ---- AMD and InfiniBand ---- */

/*
 * The same for the devices that AMD_VISIBLE_DEVICES and MELLANOX_VISIBLE_DEVICES list: "all",
 * indexes and ranges of them, for AMD also unique ids ("0x…").
 */
bool gpu_amd_wanted(const struct gpu_request *request);
int gpu_amd_inject(const struct gpu_request *request, struct gpu_injection *injection,
                   struct error *err);
bool gpu_infiniband_wanted(const struct gpu_request *request);
int gpu_infiniband_inject(const struct gpu_request *request, struct gpu_injection *injection,
                          struct error *err);

/* ---- a /dev without the devices that were not asked for ---- */

/* Kinds of devices. */
#define GPU_KIND_NVIDIA     1u
#define GPU_KIND_AMD        2u
#define GPU_KIND_INFINIBAND 4u

/* The kinds of which some devices, not all, are asked for; 0: none. */
unsigned int gpu_subsets(const struct gpu_request *request);

/*
 * Append the entries of the host's /dev that a container with a /dev of its own keeps: what
 * the user can open, and directories; not the nodes of kinds, which injections add, nor
 * the names in a NULL-terminated list. Returns 0, or -1 with *err.
 */
int gpu_private_dev(const struct gpu_request *request, unsigned int kinds,
                    const char *const *without, struct mount_plan *plan, struct error *err);

/* ---- NVIDIA ---- */

/* Whether the environments ask for NVIDIA GPUs or their driver: the cheap first question. */
bool gpu_nvidia_wanted(const struct gpu_request *request);

/*
 * Fill an empty injection with what NVIDIA_VISIBLE_DEVICES and its companions ask for.
 *
 * Returns 0, or -1 with *err saying why the GPUs that were asked for cannot be used, and
 * the injection empty: nothing is injected in part.
 */
int gpu_nvidia_inject(const struct gpu_request *request, struct gpu_injection *injection,
                      struct error *err);

/* The version in /proc/driver/nvidia/version ("… Kernel Module  535.129.03  Thu …"). Pure. */
bool gpu_nvidia_version_parse(const char *text, char *ret, size_t size);

/*
 * The path that ld.so.cache has for a library of this machine's own architecture, or NULL;
 * points into the cache. Pure.
 */
const char *gpu_ld_cache_find(const char *cache, size_t length, const char *library);

/* ---- what there is, for people ---- */

/* A device that can be asked for. Strings but kind are owned. */
struct gpu_device {
        const char *kind;  /* "nvidia", "amd", "infiniband", "cdi" */
        char *name;        /* "0", "acme.com/gpu=0" */
        char *ask;         /* "NVIDIA_VISIBLE_DEVICES=0", "--device acme.com/gpu=0" */
        char *description; /* model and address; of CDI the file */
        char *problem;     /* why it cannot be used, or NULL */
};

struct gpu_survey {
        struct gpu_device *items;
        size_t count;
        struct strlist failures; /* files that cannot be used, and why */
};

#define GPU_SURVEY_INIT { .items = NULL }

/* Find all devices. Returns 0, or -1 with *err without memory. */
int gpu_survey_make(const struct gpu_roots *roots, struct gpu_survey *ret, struct error *err);
void gpu_survey_release(struct gpu_survey *survey);
#define auto_gpu_survey auto_cleanup(gpu_survey_release)

enum gpu_severity {
        GPU_FINE,
        GPU_NOTE,
        GPU_WARNING, /* something is missing that not every container needs */
        GPU_PROBLEM, /* a device that is there cannot be used */
};

struct gpu_finding {
        enum gpu_severity severity;
        char *text;
        char *mend; /* what to do, or NULL */
};

struct gpu_findings {
        struct gpu_finding *items;
        size_t count;
};

#define GPU_FINDINGS_INIT { .items = NULL }

/*
 * Look at everything that a start with devices depends on, in its order. host is the
 * environment. Returns 0, or -1 with *err without memory.
 */
int gpu_diagnose(const struct gpu_roots *roots, const struct strlist *host,
                 struct gpu_findings *ret, struct error *err);
void gpu_findings_release(struct gpu_findings *findings);
#define auto_gpu_findings auto_cleanup(gpu_findings_release)
