/*
 * Content on its way into numbered files, whose number plus one is in tree_inode.sink.
 *
 * Files up to STAGE_SMALL bytes are collected in batches, which threads write while the
 * caller goes on with the merge: making a file costs far more than copying its bytes.
 * Larger ones are written by the caller as their pieces come.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "unpack/make.h"

#define STAGE_SMALL       (256u << 10) /* bytes */
#define STAGE_BATCH_BYTES (1u << 20)
#define STAGE_BATCH_FILES 256u

/* A numbered file's path below the stage: "D/F" in hexadecimal. */
#define STAGE_PATH_SIZE 40

struct stage_batch {
        struct stage_batch *next;
        size_t count, used;
        struct {
                const struct tree_inode *inode;
                size_t offset; /* of its content in data */
        } files[STAGE_BATCH_FILES];
        char data[STAGE_BATCH_BYTES];
};

struct stage {
        int fd;              /* borrowed */
        struct maker *maker; /* borrowed */
        uint64_t count;      /* numbers given out */

        /* the file between begin and end; NULL outside */
        const struct tree_inode *file;
        uint64_t offset;           /* up to where it was given */
        int file_fd;               /* of a large one; -1 */
        struct stage_batch *batch; /* being filled, or NULL */

        pthread_t *threads;
        size_t thread_count;
        pthread_mutex_t lock; /* everything below */
        pthread_cond_t changed;
        struct stage_batch *ready, **ready_end, *free;
        size_t batches, batches_most; /* made so far; in anybody's hands or lists */
        size_t writing;               /* batches that threads are at */
        bool stop;
        struct error failure; /* the first; .code is 0 while there is none */
};

/* With no thread to help, small files are written by the caller. */
int stage_init(struct stage *stage, int fd, unsigned int threads, struct maker *maker,
               struct error *err);
void stage_release(struct stage *stage);

/* As dir_writer_begin_file and its like. */
int stage_begin(struct stage *stage, struct tree_inode *file, struct error *err);
int stage_append(struct stage *stage, const void *data, size_t size, uint64_t offset,
                 struct error *err);
int stage_end(struct stage *stage, struct error *err);

/* Wait until everything is written. Returns 0, or -1 with the first failure. */
int stage_flush(struct stage *stage, struct error *err);

/* Give something that is no regular file a number, too. path is where it may be made. */
int stage_number(struct stage *stage, struct tree_inode *inode, char path[STAGE_PATH_SIZE],
                 struct error *err);

/* Where the inode's content is; it has a number. */
void stage_path(const struct tree_inode *inode, char path[STAGE_PATH_SIZE]);
