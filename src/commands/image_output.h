/*
 * An image file that a command writes: its name, its options, what is said of it in the
 * end. Private to commands/.
 */
#pragma once

#include "commands/commands.h"
#include "commands/pipeline.h"
#include "squashfs/squashfs.h"
#include "util/temp_file.h"

/* Gets its name only when it is complete. */
struct image_output {
        char *path;       /* as the user gave it */
        const char *name; /* inside path */
        int dir_fd;       /* of the directory that it is in */
        bool replace;     /* an existing file */
        mode_t mode;      /* less the umask */
        struct temp_file file;
};

#define IMAGE_OUTPUT_INIT                                                                          \
        {                                                                                          \
                .dir_fd = -1, .mode = 0644, .file = TEMP_FILE_INIT                                 \
        }

void image_output_release(struct image_output *output);
#define auto_image_output auto_cleanup(image_output_release)

/*
 * Begin a file at path, which is malloc'd and belongs to the output from here on (NULL
 * is a failed allocation). Without replace, an existing file is an error (EEXIST).
 */
int image_output_open(struct image_output *output, char *path, bool replace, struct error *err);

/* Flush it and give it its name. */
int image_output_publish(struct image_output *output, struct error *err);

/* ENROOT_SQUASH_OPTIONS and what else of the configuration concerns the writer. */
int image_output_options(const struct command_context *context, struct squashfs_options *ret,
                         struct error *err);

/* The writer as a sink. */
struct content_sink image_output_sink(struct squashfs_writer *writer);

/* Say what was made. */
void image_output_report(const struct image_output *output, const struct squashfs_stats *stats,
                         struct report *report);
