/*
 * The Container Device Interface: specification files (cdi_spec.c), which of them describes
 * a device (cdi_registry.c), what its edits come to together (cdi_edits.c).
 * https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gpu/gpu.h"
#include "util/cleanup.h"
#include "util/error.h"
#include "util/json.h"
#include "util/strlist.h"

/* Limits on what is read. */
#define CDI_FILE_LIMIT (2u << 20) /* bytes of a file */
#define CDI_NAME_LIMIT 255u       /* bytes of a vendor, a class, a device */

/* ---- names: cdi_name.c ---- */

/* Whether text is VENDOR/CLASS, or a device's name within a class. */
bool cdi_kind_valid(const char *text, size_t length);
bool cdi_device_valid(const char *text);

/*
 * Take VENDOR/CLASS=DEVICE apart: the length of "VENDOR/CLASS", and the name behind the
 * "=". False when it is no such name.
 */
bool cdi_name_split(const char *name, size_t *ret_kind_length, const char **ret_device);

/* ---- files: cdi_spec.c ---- */

/* Strings of these belong to the document of their specification. */

struct cdi_node {
        const char *path; /* in the container */
        const char *source;
};

struct cdi_mount {
        const char *source, *target;
        const char *type; /* NULL: a bind */
        const struct json_node *options; /* an array of strings */
};

struct cdi_hook {
        const char *stage, *path; /* "createContainer"; of the program */
        const struct json_node *args, *env; /* arrays of strings; args begins with its name */
        int64_t timeout; /* seconds; 0: none */
};

struct cdi_edits {
        const struct json_node *env; /* an array of NAME=VALUE */
        struct cdi_node *nodes;
        struct cdi_mount *mounts;
        struct cdi_hook *hooks;
        int64_t *gids;
        size_t node_count, mount_count, hook_count, gid_count;
        bool net_devices, rdt; /* asked for; neither can be done without privilege */
};

struct cdi_device {
        const char *name;
        struct cdi_edits edits;
};

struct cdi_spec {
        char *path;            /* of the file */
        unsigned int priority; /* of its directory: the highest counts */
        struct json_node *document;
        const char *version, *kind;
        struct cdi_edits edits; /* for all devices */
        struct cdi_device *devices;
        size_t device_count;
};

enum cdi_format { CDI_JSON, CDI_YAML };

/*
 * Read the text of a specification file. Returns 0, or -1 with *err (EBADMSG, or ENOENT
 * when the library that reads YAML is missing) that names the member that is wrong.
 */
int cdi_spec_parse(const char *text, size_t length, enum cdi_format format, struct cdi_spec *ret,
                   struct error *err);
void cdi_spec_release(struct cdi_spec *spec);
#define auto_cdi_spec auto_cleanup(cdi_spec_release)

/* ---- all files of a machine: cdi_registry.c ---- */

struct cdi_registry {
        struct cdi_spec *specs;
        size_t count, capacity;
        struct strlist failures; /* "FILE: why it cannot be used" */
};

#define CDI_REGISTRY_INIT { .specs = NULL }

/*
 * Read a directory of specifications, which counts the more the higher its priority is. A
 * directory that is missing has none; what is wrong with a file is kept as a failure.
 * Returns 0, or -1 with *err when memory has run out.
 */
int cdi_registry_read(struct cdi_registry *registry, const char *directory, unsigned int priority,
                      struct error *err);
void cdi_registry_release(struct cdi_registry *registry);
#define auto_cdi_registry auto_cleanup(cdi_registry_release)

/* Read those of the machine: cdi.c. */
int cdi_registry_open(struct cdi_registry *registry, const struct gpu_roots *roots,
                      struct error *err);

/* Add a specification, whose content moves into the registry. Returns 0, or -1 without memory. */
int cdi_registry_add(struct cdi_registry *registry, struct cdi_spec *spec);

/* What a qualified name stands for. */
struct cdi_match {
        const struct cdi_spec *spec;
        const struct cdi_device *device;
        const struct cdi_spec *conflict; /* describes it with the same right: it is unusable */
};

/* False when no file describes the device. */
bool cdi_registry_find(const struct cdi_registry *registry, const char *name,
                       struct cdi_match *ret);

/*
 * Find all devices of a list, for the error of which is said why: names that are none,
 * that no file describes, that two files do, and then the files that cannot be used.
 * ret  as many matches as there are names; freed by the caller
 */
int cdi_registry_resolve(const struct cdi_registry *registry, const struct strlist *names,
                         struct cdi_match **ret, struct error *err);
