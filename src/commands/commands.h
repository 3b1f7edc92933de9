/*
 * commands/: one file per verb, the only place where the stages meet.
 *
 * Each function takes its parsed arguments and returns 0, or -1 with *err; none
 * prints messages (they go through the report) or exits. What a verb prints as its
 * result goes to the given FILE.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "config/config.h"
#include "util/error.h"
#include "util/report.h"
#include "util/strlist.h"

struct command_context {
        const struct config *config;
        struct report *report;
};

/*
 * With ENROOT_SUBIDS, become root among the subordinate ids (runtime_enter_subids): for
 * verbs that make or read trees with their owners, before there are threads.
 */
int command_enter_subids(const struct command_context *context, struct error *err);

struct import_arguments {
        const char *uri;
        const char *output; /* NULL: named after the image, in the current directory */
        const char *arch;   /* NULL: this machine's */
        bool ensure;        /* an output that is the right image already is a success */
};

/*
 * Make an image file from a remote image. Nothing appears under its name before all is
 * verified. With ensure, an import of the same file that goes on, on any machine, is
 * waited for, and an older import of the same reference is replaced.
 */
int command_import(const struct command_context *context, const struct import_arguments *arguments,
                   struct error *err);

struct load_arguments {
        const char *uri;
        const char *name; /* NULL: named after the image */
        const char *arch; /* NULL: this machine's */
};

/* Make a container directory from a remote image, as import and create would together. */
int command_load(const struct command_context *context, const struct load_arguments *arguments,
                 struct error *err);

struct create_arguments {
        const char *image;
        const char *name; /* NULL: named after the image file */
        bool lazy;        /* refer to the image instead of extracting it */
};

/* Make a container directory from an image file; an existing one only falls with force_override. */
int command_create(const struct command_context *context, const struct create_arguments *arguments,
                   struct error *err);

/* Print the digest of what a word names: a URI, an image file or a container. arch as above. */
int command_digest(const struct command_context *context, const char *word, const char *arch,
                   FILE *out, struct error *err);

struct inspect_arguments {
        const char *word; /* a URI, an image file or a container */
        const char *arch; /* NULL: this machine's */
        bool json;
};

/* Print what is known of it. */
int command_inspect(const struct command_context *context,
                    const struct inspect_arguments *arguments, FILE *out, struct error *err);

struct export_arguments {
        const char *name;     /* of the container */
        const char *output;   /* NULL: named after it, in the current directory */
        const char *format;   /* NULL: as output says, else squashfs */
        const char *compress; /* of an OCI layer; NULL: gzip */
};

/* Make an image of a container; an existing one only falls with force_override. */
int command_export(const struct command_context *context, const struct export_arguments *arguments,
                   struct error *err);

struct bundle_arguments {
        const char *image;
        const char *output;      /* NULL: named after the image, in the current directory */
        const char *description; /* NULL: none */
        const char *target;      /* of --keep, with variables in it; NULL: named after the output */
};

/*
 * Make a bundle of an image file: one file that runs on machines without this program.
 * The configuration's bundle_all, bundle_checksum and force_override count.
 */
int command_bundle(const struct command_context *context, const struct bundle_arguments *arguments,
                   struct error *err);

struct start_arguments {
        const char *target;           /* name of a container, or path of an image file */
        const char *rc;               /* NULL: the image's /etc/rc */
        const char *conf;             /* start configuration, or NULL */
        const struct strlist *mounts; /* --mount words */
        const struct strlist *env;    /* --env words */
        const struct strlist *devices; /* --device words */
        char *const *command;         /* NULL-terminated; may be empty */
        const char *overlay;          /* NULL: as configured, for images */
        FILE *dry_run; /* NULL, or where to print what would be done instead of doing it */

        /* As those of struct runtime_start. */
        int (*hold)(void *context, const struct strlist *environment, const char *directory,
                    struct error *err);
        void *hold_context;
};

/* Become the container's command. Returns as runtime_start does, and after a dry run. */
int command_start(const struct command_context *context, const struct start_arguments *arguments,
                  int *ret_status, struct error *err);

struct exec_arguments {
        const char *target;        /* number of a process, name of a container, path of an image */
        bool root;                 /* be root inside */
        const struct strlist *env; /* --env words */
        char *const *command;      /* NULL-terminated; at least one word */
};

/*
 * Become a command in a container that runs. Returns on failure, and where it could only
 * run as a child. ret_status is what to end with, as of wait(2); on failure, too.
 */
int command_exec(const struct command_context *context, const struct exec_arguments *arguments,
                 int *ret_status, struct error *err);

struct nsenter_arguments {
        int target;             /* enter this process's namespaces; 0: new ones */
        int namespaces;         /* CLONE_NEW* */
        bool root;              /* be root in a new user namespace */
        const char *environment_file; /* of the command, in the form of /etc/environment; or NULL */
        int environment_fd;           /* the same; -1 for none */
        const char *directory;        /* NULL: stay */
        char *const *command;         /* NULL-terminated; at least one word */
};

/*
 * A command in other namespaces (enroot-nsenter). environment is the process's, for when
 * there is no file. As command_exec, it returns on failure and behind a child.
 */
int command_nsenter(const struct nsenter_arguments *arguments, char *const *environment,
                    struct report *report, int *ret_status, struct error *err);

enum list_format {
        LIST_NAMES, /* one a line, sorted */
        LIST_FANCY, /* a table with what runs */
        LIST_JSON,
};

/* Print the containers; all but LIST_NAMES with what runs, image files included. */
int command_list(const struct command_context *context, enum list_format format, FILE *out,
                 struct error *err);

/* Ask a person; true for yes. */
typedef bool (*command_confirm)(const char *question);

/*
 * Delete containers (a NULL-terminated list of names), none if one of them does not exist
 * or is in use. With force_override confirm is not called, and use does not matter. A
 * "no" is no error.
 */
int command_remove(const struct command_context *context, char *const *names,
                   command_confirm confirm, struct error *err);

struct check_arguments {
        bool json;   /* the report as JSON */
        bool verify; /* the table of a bundle's --verify instead */
};

/*
 * Print what this machine has of all that containers need. Fails, after printing, when
 * something required is missing.
 */
int command_check(const struct command_context *context, const struct check_arguments *arguments,
                  FILE *out, struct error *err);

/* Print the effective configuration and where each value came from. */
int command_info(const struct command_context *context, bool json, FILE *out, struct error *err);

/* ---- devices ---- */

/* Print what devices can be asked for, and how. */
int command_devices_list(const struct command_context *context, bool json, FILE *out,
                         struct error *err);

/* Print a CDI file of the NVIDIA GPUs and driver that the native way finds. */
int command_devices_cdi(const struct command_context *context, FILE *out, struct error *err);

/*
 * Print everything that a start with devices depends on, and what mends it.
 * ret_severity is that of the worst finding (enum gpu_severity).
 */
int command_devices_doctor(const struct command_context *context, FILE *out, int *ret_severity,
                           struct error *err);

/* ---- the cache ---- */

/* Print what the cache holds, the least recently used first. */
int command_cache_list(const struct command_context *context, bool json, FILE *out,
                       struct error *err);

/* Delete what is over the limits ("50G", "30d"); NULL stands for the configured one. */
int command_cache_gc(const struct command_context *context, const char *max_size,
                     const char *max_age, struct error *err);

/* Check everything; what is damaged is removed, and makes the result an error. */
int command_cache_verify(const struct command_context *context, struct error *err);

/* Delete items by digest (NULL-terminated list), or all. */
int command_cache_remove(const struct command_context *context, char *const *digests, bool all,
                         struct error *err);

/* ---- run ---- */

enum run_pull {
        RUN_PULL_MISSING, /* use what the cache has for the reference, and ask nobody */
        RUN_PULL_ALWAYS,  /* ask what the reference stands for now */
        RUN_PULL_NEVER,
};

/* The value of --pull, NULL for none. 0, or -1 with *err. */
int command_run_policy(const char *word, enum run_pull *ret, struct error *err);

struct run_arguments {
        const char *image; /* a URI, Docker's short form of one, or the path of an image file */
        const char *arch;  /* NULL: this machine's */
        enum run_pull pull;

        /* Called by an import as soon as it knows which image it will be; may be NULL. */
        void (*resolved)(void *context, const char *digest);
        void *resolved_context;
};

/*
 * The image file that a run starts from. imported says that command_run_import was
 * called before. Returns 1 and *ret_path, malloc'd; 0 when it must be imported; -1 with *err.
 */
int command_run_find(const struct command_context *context, const struct run_arguments *arguments,
                     bool imported, char **ret_path, struct error *err);

/* Import the image into the cache. Uses threads, which a start must not: for a child process. */
int command_run_import(const struct command_context *context, const struct run_arguments *arguments,
                       struct error *err);

/* The file of the image with that digest, which is in the cache. malloc'd, or NULL with *err. */
char *command_run_path(const struct command_context *context, const char *digest,
                       struct error *err);

/* ---- the program of a bundle ---- */

struct bundle; /* bundle/bundle.h */

/* Where the image of a bundle is for a start. */
struct bundle_place {
        char *directory; /* that is extracted to; NULL: the image is mounted as it is */
        char *rootfs;    /* in it, or itself */
        bool temporary;  /* to be removed after the start */
};

#define BUNDLE_PLACE_INIT                                                                          \
        {                                                                                          \
                .directory = NULL                                                                  \
        }

struct bundle_run_arguments {
        const struct bundle *bundle;
        int fd;              /* of the bundle */
        const char *path;    /* of its file, absolute */
        const char *target;  /* to extract to; NULL: the bundle's */
        bool keep;           /* what is extracted */
        bool quiet;          /* no messages about what is being done */
        struct start_arguments start; /* target is not looked at */
};

/*
 * The environment of this process as a bundle's program needs it: with the bundle's
 * settings, where it has none of its own, and with the places where the bundle's files will
 * be. Makes a runtime directory. Returns 0, or -1 with *err.
 */
int command_bundle_environment(const struct bundle *bundle, char *const *environment,
                               struct strlist *ret, struct error *err);

/* Choose how the image is reached; where it cannot be mounted, it must be extracted. */
int command_bundle_place(const struct command_context *context,
                         const struct bundle_run_arguments *arguments, struct bundle_place *ret,
                         struct error *err);
void command_bundle_place_release(struct bundle_place *place);

/* Extract to place->directory, which must not exist. Uses threads: for a child process. */
int command_bundle_extract(const struct command_context *context,
                           const struct bundle_run_arguments *arguments,
                           const struct bundle_place *place, struct error *err);

/* Start the image where it is, and remove what is temporary. Returns as runtime_start does. */
int command_bundle_start(const struct command_context *context,
                         const struct bundle_run_arguments *arguments,
                         const struct bundle_place *place, int *ret_status, struct error *err);

/* ---- start configurations, and the other names of the program ---- */

/*
 * Read the "#ENROOT_KEY=value" lines of a start configuration into the configuration. Its
 * functions are for the start. Returns 0, or -1 with *err.
 */
int command_add_directives(struct config *config, const char *path, struct error *err);

/*
 * Start the container that a start configuration (whose directives are read) names.
 * Returns as command_start.
 */
int command_batch(const struct command_context *context, const char *conf,
                  const struct strlist *devices, char *const *command, int *ret_status,
                  struct error *err);

/*
 * Carry out the fstab lines of one pass, in the caller's namespaces.
 *
 * root   directory that targets are below
 * files  NULL-terminated; "-" is standard input
 */
int command_mount(const char *root, int pass, char *const *files, struct report *report,
                  struct error *err);

struct switchroot_arguments {
        const char *rootfs;           /* a mount point */
        char *const *command;         /* NULL-terminated; may be empty */
        bool no_rc, login;            /* do not run /etc/rc; set up a session */
        const char *rc;               /* script instead of /etc/rc, or NULL */
        const char *environment_file; /* NULL: this process's environment */
        const char *directory;        /* working directory inside, or NULL */
};

/* Become a command in another root. Returns only on failure. */
int command_switchroot(const struct switchroot_arguments *arguments, char *const *environment,
                       struct report *report, struct error *err);

/* ---- the containers of Slurm steps (enroot-step) ---- */

enum step_name_rule {
        STEP_NAME_AUTO,    /* join the container where it runs, else start it, else make it */
        STEP_NAME_CREATE,  /* it must not exist */
        STEP_NAME_EXEC,    /* it must be running */
        STEP_NAME_NO_EXEC, /* start it even where it runs */
};

struct step_arguments {
        const char *image;     /* as the user wrote it; NULL: the container exists */
        const char *name;      /* of the container, where there is one on the disk */
        const char *job;       /* its number; NULL: nothing is kept of it, and nothing reaped */
        bool job_scope;        /* names are those of the job */
        bool temporary;        /* the name is not the user's: the container goes with the step */
        enum step_name_rule rule;
        bool extract;          /* make a container of the image instead of starting the image */
        bool load;             /* make it of the layers, without an image in between */
        const char *importer;  /* a site's program that gets images instead; NULL: none */
        bool entrypoint;       /* run the image's /etc/rc */
        bool entrypoint_log;   /* and tell what it prints */
        bool announce;         /* that an import begins, too */
        const char *save;      /* export to this path at the end; NULL: do not */
        const char *directory; /* working directory inside; NULL: the image's */
        unsigned int tasks;    /* on this node */
        const char *step;      /* "JOB.STEP" */
        uint32_t node, node_count; /* which of the step's nodes this is */
        const char *ports;     /* "FIRST-LAST", to pass the image on at; NULL: do not */
        const struct strlist *mounts; /* as --mount words */
        const struct strlist *env;    /* names of variables that the image does not override */
};

/*
 * Make the container of a step and keep it until the step has ended: talk to the plugin
 * over the socket control (step/step.h), which becomes this function's. environment is the
 * job's. With ports, the first message there is the step's secret. Returns 0 at the end, or -1 with
 * *err when it could not even begin.
 */
int command_step(const struct step_arguments *arguments, int control, char *const *environment,
                 struct error *err);

/*
 * Remove the containers that steps of a job have left behind, and with named those whose
 * names are of the job's scope. Returns 0, or -1 with *err.
 */
int command_step_clean(const struct command_context *context, const char *job, bool named,
                       struct error *err);

/* ---- OCI bundles (oci/) ---- */

/* Print what a container is doing, all of them, and what the runtime can do. */
int command_oci_state(const char *root, const char *id, FILE *out, struct error *err);
int command_oci_list(const char *root, enum list_format format, FILE *out, struct error *err);
int command_oci_features(FILE *out, struct error *err);

/* Print the ids of a container's processes, or what ps(1) says of them with these options. */
int command_oci_ps(const char *root, const char *id, bool json, char *const *words, FILE *out,
                   struct error *err);

/*
 * Print what a container uses, every so many milliseconds until it has ended, or with 0 once.
 * Returns 0, or -1 with *err.
 */
int command_oci_events(const char *root, const char *id, int interval, FILE *out,
                       struct error *err);

/* Change limits: those of the file ("-": standard input), or without one those of resources, a
 * document. */
int command_oci_update(const char *root, const char *id, const char *file,
                       const char *resources, struct error *err);

struct oci_bundle_arguments {
        const char *image;            /* path of an image file */
        const char *directory;        /* which must not be there, or be empty */
        const struct strlist *mounts; /* --mount words */
        const struct strlist *env;    /* --env words */
};

/* Make a bundle: rootfs and config.json as the image's record has it. */
int command_oci_bundle(const struct command_context *context,
                       const struct oci_bundle_arguments *arguments, struct error *err);
