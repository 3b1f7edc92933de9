/*
 * Making single files from an image. Everything is made anew (O_EXCL and its
 * like), so nothing that is there already is followed, replaced or written to.
 */
#pragma once

#include "unpack/dir_cache.h"
#include "unpack/make.h"

/* What is found, decompressed and written at a time. */
#define EXTRACT_PIECE (1 << 20)

/* What is read at a time, so that it is still in the processor's cache when it is written. */
#define EXTRACT_BUFFER (256 << 10)

/* The tools of one thread. */
struct extractor {
        struct squashfs_image *image;
        struct maker *maker; /* shared */
        struct dir_cache dirs;
        struct squashfs_window window;
        void *buffer; /* EXTRACT_BUFFER bytes, for an image file that cannot be mapped */
};

/* One name of the plan that is no directory. Returns 0, or -1 with *err naming it. */
int extract_item(struct extractor *extractor, const struct plan_item *item, struct error *err);

/* Another name for what was extracted as first. */
int extract_link(struct extractor *extractor, const struct plan_item *first,
                 const struct plan_item *item, struct error *err);

/*
 * A file in steps, for several threads to share: make it, write the parts from
 * offset to end (in any order), complete it.
 * extract_begin returns a descriptor, which extract_end closes even when it fails.
 */
int extract_begin(struct extractor *extractor, const struct plan_item *item, struct error *err);
int extract_part(struct extractor *extractor, const struct plan_item *item, int fd, uint64_t offset,
                 uint64_t end, struct error *err);
int extract_end(struct extractor *extractor, const struct plan_item *item, int fd,
                struct error *err);

/* Give a directory its mode, time and attributes, once everything in it is made. */
int extract_directory_end(struct extractor *extractor, const struct plan_directory *directory,
                          struct error *err);
