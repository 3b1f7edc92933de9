/*
 * Everything that a start with devices depends on, looked at in its order, with what mends
 * it. The last word about NVIDIA is an injection itself, into an image that has nothing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/env.h"
#include "gpu/amd.h"
#include "gpu/cdi.h"
#include "gpu/empty_view.h"
#include "gpu/infiniband.h"
#include "gpu/nvidia.h"
#include "gpu/survey.h"
#include "gpu/sysfs.h"

void gpu_findings_release(struct gpu_findings *findings)
{
        for (size_t i = 0; i < findings->count; i++) {
                free(findings->items[i].text);
                free(findings->items[i].mend);
        }
        free(findings->items);
        *findings = (struct gpu_findings)GPU_FINDINGS_INIT;
}

/* Add a finding, whose strings become the list's; a mend may be NULL. */
static int take_finding(struct gpu_findings *findings, enum gpu_severity severity, char *text,
                        char *mend, struct error *err)
{
        struct gpu_finding *items =
                reallocarray(findings->items, findings->count + 1, sizeof(*items));

        if (items)
                findings->items = items;
        if (!items || !text) {
                free(text);
                free(mend);
                return error_no_memory(err);
        }
        items[findings->count++] =
                (struct gpu_finding){ .severity = severity, .text = text, .mend = mend };
        return 0;
}

static int add_finding(struct gpu_findings *findings, enum gpu_severity severity, struct error *err,
                       const char *mend, const char *fmt, ...)
        __attribute__((format(printf, 5, 6)));

static int add_finding(struct gpu_findings *findings, enum gpu_severity severity, struct error *err,
                       const char *mend, const char *fmt, ...)
{
        char *text = NULL, *copy = mend ? strdup(mend) : NULL;
        va_list args;
        int length;

        va_start(args, fmt);
        length = vasprintf(&text, fmt, args);
        va_end(args);
        if (length < 0 || (mend && !copy)) {
                free(copy);
                return error_no_memory(err);
        }
        return take_finding(findings, severity, text, copy, err);
}

/* A node below the root "dev". */
static int check_node(struct gpu_findings *findings, const struct gpu_roots *roots,
                      const char *node, enum gpu_severity severity, struct error *err)
{
        auto_free char *path = sysfs_path(err, "%s%s", roots->dev, node);
        char *problem, *mend;

        if (!path || gpu_node_problem(path, &problem, &mend, err) < 0)
                return -1;
        return problem ? take_finding(findings, severity, problem, mend, err)
                       : add_finding(findings, GPU_FINE, err, NULL, "%s can be opened", node);
}

/* ---- NVIDIA ---- */

static int check_nvidia_nodes(struct gpu_findings *findings, const struct gpu_roots *roots,
                              const struct nvidia_driver *driver, struct error *err)
{
        if (check_node(findings, roots, "/dev/nvidiactl", GPU_PROBLEM, err) < 0 ||
            check_node(findings, roots, "/dev/nvidia-uvm", GPU_PROBLEM, err) < 0)
                return -1;
        for (size_t i = 0; i < driver->gpu_count; i++) {
                const struct nvidia_gpu *gpu = &driver->gpus[i];
                char node[32];

                if (add_finding(findings, gpu->excluded ? GPU_NOTE : GPU_FINE, err, NULL,
                                "GPU %s: %s%s", gpu->name, gpu->model,
                                gpu->excluded ? " (excluded by the driver)" : "") < 0)
                        return -1;
                (void)snprintf(node, sizeof(node), "/dev/nvidia%d", gpu->minor);
                if (!gpu->excluded && check_node(findings, roots, node, GPU_WARNING, err) < 0)
                        return -1;
        }
        return 0;
}

/* Libraries, programs, sockets: by an injection of everything. */
static int try_nvidia(struct gpu_findings *findings, const struct gpu_roots *roots,
                      struct error *err)
{
        auto_strlist struct strlist environment = STRLIST_INIT, none = STRLIST_INIT;
        auto_gpu_injection struct gpu_injection injection = GPU_INJECTION_INIT;
        const struct root_view view = empty_view_like_host();
        const struct gpu_request request = {
                .roots = roots, .host = &environment, .container = &none, .view = &view
        };
        struct error failure = ERROR_INIT;

        if (env_set(&environment, "NVIDIA_VISIBLE_DEVICES", "all") < 0 ||
            env_set(&environment, "NVIDIA_DRIVER_CAPABILITIES", "all") < 0)
                return error_no_memory(err);
        if (gpu_nvidia_inject(&request, &injection, &failure) < 0)
                return add_finding(findings, GPU_PROBLEM, err, NULL, "%s", failure.message);
        for (size_t i = 0; i < injection.warnings.count; i++)
                if (add_finding(findings, GPU_WARNING, err, NULL, "%s",
                                injection.warnings.items[i]) < 0)
                        return -1;
        return add_finding(findings, GPU_FINE, err, NULL,
                           "the driver's files: %zu libraries, %zu mounts for all capabilities",
                           injection.library_count, injection.mounts.count);
}

static int check_nvidia(struct gpu_findings *findings, const struct gpu_roots *roots,
                        struct error *err)
{
        auto_nvidia_driver struct nvidia_driver driver = { .gpus = NULL };
        struct error failure = ERROR_INIT;

        if (nvidia_driver_find(roots, &driver, &failure) < 0)
                return add_finding(findings, GPU_PROBLEM, err,
                                   "reinstall the driver, or update enroot", "%s", failure.message);
        if (!driver.version[0])
                return nvidia_has_hardware(roots)
                               ? add_finding(findings, GPU_PROBLEM, err,
                                             "as root: modprobe nvidia nvidia_uvm",
                                             "an NVIDIA GPU, and its driver is not loaded")
                               : add_finding(findings, GPU_NOTE, err, NULL, "no NVIDIA GPU");
        if (add_finding(findings, GPU_FINE, err, NULL, "the NVIDIA driver %s, %zu GPUs",
                        driver.version, driver.gpu_count) < 0 ||
            check_nvidia_nodes(findings, roots, &driver, err) < 0)
                return -1;
        return try_nvidia(findings, roots, err);
}

/* ---- AMD, InfiniBand ---- */

static int check_amd(struct gpu_findings *findings, const struct gpu_roots *roots,
                     struct error *err)
{
        auto_amd_gpus struct amd_gpus gpus = AMD_GPUS_INIT;

        if (amd_gpus_find(roots, &gpus, err) < 0)
                return -1;
        if (gpus.count == 0)
                return add_finding(findings, GPU_NOTE, err, NULL, "no AMD GPU");
        if (check_node(findings, roots, "/dev/kfd", GPU_PROBLEM, err) < 0)
                return -1;
        for (size_t i = 0; i < gpus.count; i++)
                for (size_t j = 0; j < gpus.items[i].nodes.count; j++) {
                        auto_free char *node =
                                sysfs_path(err, "/dev/dri/%s", gpus.items[i].nodes.items[j]);

                        if (!node || check_node(findings, roots, node, GPU_WARNING, err) < 0)
                                return -1;
                }
        return 0;
}

static int check_infiniband(struct gpu_findings *findings, const struct gpu_roots *roots,
                            struct error *err)
{
        auto_ib_devices struct ib_devices devices = IB_DEVICES_INIT;

        if (ib_devices_find(roots, &devices, err) < 0)
                return -1;
        if (devices.count == 0)
                return add_finding(findings, GPU_NOTE, err, NULL,
                                   "no InfiniBand adapter of Mellanox");
        if (check_node(findings, roots, "/dev/infiniband/rdma_cm", GPU_WARNING, err) < 0)
                return -1;
        for (size_t i = 0; i < devices.count; i++) {
                auto_free char *node =
                        sysfs_path(err, "/dev/infiniband/%s", devices.items[i].verbs);

                if (!node || check_node(findings, roots, node, GPU_WARNING, err) < 0)
                        return -1;
        }
        return 0;
}

/* ---- CDI ---- */

/* What a file names for a device, or for all, is on the machine. */
static int check_edits(struct gpu_findings *findings, const struct cdi_spec *spec,
                       const struct cdi_edits *edits, struct error *err)
{
        static const char mend[] = "have the file generated again for the driver as it is now";
        struct stat st;

        for (size_t i = 0; i < edits->node_count; i++)
                if (stat(edits->nodes[i].source, &st) < 0 &&
                    add_finding(findings, GPU_PROBLEM, err, mend, "%s is stale: %s: %s", spec->path,
                                edits->nodes[i].source, strerror(errno)) < 0)
                        return -1;
        for (size_t i = 0; i < edits->mount_count; i++)
                if (!edits->mounts[i].type && stat(edits->mounts[i].source, &st) < 0 &&
                    add_finding(findings, GPU_PROBLEM, err, mend, "%s is stale: %s: %s", spec->path,
                                edits->mounts[i].source, strerror(errno)) < 0)
                        return -1;
        return 0;
}

static int check_spec(struct gpu_findings *findings, const struct cdi_registry *registry,
                      const struct cdi_spec *spec, struct error *err)
{
        if (add_finding(findings, GPU_FINE, err, NULL, "%s: CDI %s, %zu devices of %s", spec->path,
                        spec->version, spec->device_count, spec->kind) < 0 ||
            check_edits(findings, spec, &spec->edits, err) < 0)
                return -1;
        for (size_t i = 0; i < spec->device_count; i++) {
                auto_free char *name = sysfs_path(err, "%s=%s", spec->kind, spec->devices[i].name);
                struct cdi_match match;

                if (!name || check_edits(findings, spec, &spec->devices[i].edits, err) < 0)
                        return -1;
                if (cdi_registry_find(registry, name, &match) && match.conflict &&
                    match.spec == spec &&
                    add_finding(findings, GPU_PROBLEM, err, "remove one of them",
                                "%s and %s both describe %s", spec->path, match.conflict->path,
                                name) < 0)
                        return -1;
        }
        return 0;
}

static int check_cdi(struct gpu_findings *findings, const struct gpu_roots *roots,
                     struct error *err)
{
        auto_cdi_registry struct cdi_registry registry = CDI_REGISTRY_INIT;

        if (cdi_registry_open(&registry, roots, err) < 0)
                return -1;
        for (size_t i = 0; i < registry.failures.count; i++)
                if (add_finding(findings, GPU_PROBLEM, err, "mend or remove the file",
                                "a CDI file cannot be used: %s", registry.failures.items[i]) < 0)
                        return -1;
        for (size_t i = 0; i < registry.count; i++)
                if (check_spec(findings, &registry, &registry.specs[i], err) < 0)
                        return -1;
        if (registry.count + registry.failures.count > 0)
                return 0;
        return add_finding(findings, GPU_NOTE, err, NULL,
                           "no CDI files in /etc/cdi and /var/run/cdi");
}

/* ---- all ---- */

/* What the caller's environment asks for, with or without his knowledge. */
static int show_settings(struct gpu_findings *findings, const struct strlist *host,
                         struct error *err)
{
        static const char *const names[] = {
                "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_DISABLE_REQUIRE",
                "AMD_VISIBLE_DEVICES",    "MELLANOX_VISIBLE_DEVICES",   GPU_DEVICES
        };

        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                const char *value = env_get(host, names[i]);

                if (value && *value &&
                    add_finding(findings, GPU_NOTE, err, NULL,
                                "%s=%s in this environment outranks the image's", names[i],
                                value) < 0)
                        return -1;
        }
        return 0;
}

int gpu_diagnose(const struct gpu_roots *roots, const struct strlist *host,
                 struct gpu_findings *ret, struct error *err)
{
        auto_gpu_findings struct gpu_findings findings = GPU_FINDINGS_INIT;

        if (show_settings(&findings, host, err) < 0 || check_nvidia(&findings, roots, err) < 0 ||
            check_amd(&findings, roots, err) < 0 || check_infiniband(&findings, roots, err) < 0 ||
            check_cdi(&findings, roots, err) < 0 ||
            add_finding(&findings, GPU_NOTE, err, NULL,
                        "enroot writes to no cgroup: a device that the job's cgroup forbids "
                        "cannot be opened inside, either") < 0)
                return -1;
        *ret = TAKE(findings, (struct gpu_findings)GPU_FINDINGS_INIT);
        return 0;
}
