/*
 * The pieces of work that the holder of a step's container has done by children: each
 * needs threads, other ids or other namespaces, which the holder must not have. Private
 * to commands/.
 */
#pragma once

#include "commands/commands.h"

enum step_work {
        STEP_WORK_MAKE, /* import, and make the container where one is needed */
        STEP_WORK_START,
        STEP_WORK_SAVE,
        STEP_WORK_REMOVE,
        STEP_WORK_RELEASE, /* the image of the site's importer */
};

struct step_job {
        const struct step_arguments *arguments;
        char *const *environment; /* that the configuration is loaded from */
        const char *target;       /* to start: an image file, or a container's name */
        const char *digest;       /* of the image, as far as it is known; "": not yet */
        bool has_image;           /* it is in the cache */
        bool shared;              /* the image file is needed for other nodes */
        int tell_fd;              /* to make: for STEP_RESOLVED and STEP_IMAGE; or -1 */
        struct report *report;    /* shared with the holder, which reads the counters */
        int log_fd;               /* a file in memory for everything that is printed */
        int result_fd;            /* another one, for what a start without /etc/rc has made, and
                                   * for the path of an importer's image */
};

/* Whether the image is a file, by Pyxis' rule: it begins as a path does. */
bool step_image_is_file(const struct step_arguments *arguments);

/* Whether the image is one that the cache keeps by its digest: a registry's. */
bool step_image_is_cached(const struct step_arguments *arguments);

/* Whether a container on the disk is needed, or the image is started itself. */
bool step_needs_container(const struct step_arguments *arguments);

/*
 * Start a child that does the work and exits with 0, or with 1 after its error is in the
 * log. A start stops itself (SIGSTOP) when the container can be entered. Returns its number,
 * or -1 with *err.
 */
pid_t step_work_begin(enum step_work work, const struct step_job *job, struct error *err);

/* What all children of the holder begin with. Returns 0, or -1. */
int step_become_worker(int log_fd);

/*
 * The image file to start: of that digest in the cache, where the site's importer has it, or
 * the user's. malloc'd, or NULL with *err.
 */
char *step_find_image(const struct step_job *job, struct error *err);

/* ---- step_importer.c ---- */

/* Whether the site's importer gets the image. */
bool step_has_importer(const struct step_arguments *arguments);

/*
 * In the worker: have the importer get an image, whose path goes into the result, too. Returns
 * the path, malloc'd, or NULL with *err.
 */
char *step_importer_get(const struct step_job *job, const char *uri, struct error *err);

/* In the worker: the image is not needed any more. Returns 0, or -1 with *err. */
int step_importer_release(const struct step_job *job, struct error *err);

/* In the holder: the path of the result. malloc'd, or NULL with *err. */
char *step_importer_result(const struct step_job *job, struct error *err);
