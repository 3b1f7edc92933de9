/*
 * What a word of digest and inspect names: an image elsewhere, an image file, or a
 * container; and what is recorded of it. Private to commands/.
 */
#pragma once

#include <sys/stat.h>

#include "commands/pipeline.h"
#include "commands/place.h"

enum subject_kind {
        SUBJECT_REMOTE,
        SUBJECT_IMAGE,
        SUBJECT_CONTAINER,
};

struct subject {
        enum subject_kind kind;
        const struct image_record *record; /* NULL: nothing is known */
        char *path;                        /* of a file or container; absolute */
        uint64_t size;                     /* of an image file; bytes */
        struct place place;                /* of a container */

        struct image_record own; /* record, unless remote */
        struct remote_image remote;
};

#define SUBJECT_INIT                                                                               \
        {                                                                                          \
                .place = PLACE_INIT, .remote = REMOTE_IMAGE_INIT                                   \
        }

/*
 * Find out. Of a remote image only manifest and configuration are fetched; arch is for it
 * alone. *ret must stay where it is until it is released. Returns 0, or -1 with *err.
 */
int subject_open(struct subject *ret, const struct command_context *context, const char *word,
                 const char *arch, struct error *err);
void subject_release(struct subject *subject);
#define auto_subject auto_cleanup(subject_release)
