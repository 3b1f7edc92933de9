#include "unpack/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/thread.h"

/* Numbers of one directory: some file systems are slow with very large ones. */
#define STAGE_DIRECTORY_FILES 4096

/* More threads than this only wait for each other in the file system. */
#define STAGE_THREADS_MAX 8

/* ---- numbers ---- */

void stage_path(const struct tree_inode *inode, char path[STAGE_PATH_SIZE])
{
        uint64_t number = inode->sink - 1;

        (void)snprintf(path, STAGE_PATH_SIZE, "%" PRIx64 "/%" PRIx64,
                       number / STAGE_DIRECTORY_FILES, number);
}

int stage_number(struct stage *stage, struct tree_inode *inode, char path[STAGE_PATH_SIZE],
                 struct error *err)
{
        char directory[STAGE_PATH_SIZE];
        uint64_t number = stage->count++;

        inode->sink = number + 1;
        stage_path(inode, path);
        (void)snprintf(directory, sizeof(directory), "%" PRIx64, number / STAGE_DIRECTORY_FILES);
        if (number % STAGE_DIRECTORY_FILES == 0 && mkdirat(stage->fd, directory, 0700) < 0)
                return error_errno(err, "mkdir");
        return 0;
}

/* ---- one file ---- */

static int create_file(const struct stage *stage, const struct tree_inode *file, struct error *err)
{
        /* Setting attributes needs write permission, which the mode may lack. */
        mode_t mode =
                file->meta.xattrs.count > 0 ? 0600 : make_mode(ENTRY_FILE, file->meta.mode) & 0777;
        char path[STAGE_PATH_SIZE];
        int fd;

        stage_path(file, path);
        fd = openat(stage->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
        return fd < 0 ? error_errno(err, "create") : fd;
}

/* Close it as well, also after a failure. */
static int complete_file(const struct stage *stage, const struct tree_inode *file, int fd,
                         struct error *err)
{
        const struct entry_meta *meta = &file->meta;
        int status = make_set_xattrs(stage->maker, fd, &meta->xattrs, err);

        if (status == 0)
                status = make_set_owner(stage->maker, fd, NULL, meta->uid, meta->gid, err);
        if (status == 0)
                status = make_set_mode(fd, make_mode(ENTRY_FILE, meta->mode), err);
        if (status == 0)
                status = make_set_time(fd, meta->mtime, err);
        /* Network file systems report a full disk or quota here. */
        if (close(fd) < 0 && status == 0)
                status = error_errno(err, "close");
        return status;
}

static int write_small(const struct stage *stage, const struct tree_inode *file, const void *data,
                       struct error *err)
{
        int fd = create_file(stage, file, err);

        if (fd < 0)
                return -1;
        if (make_write(fd, data, file->meta.size, 0, err) < 0) {
                (void)close(fd);
                return -1;
        }
        return complete_file(stage, file, fd, err);
}

static int write_batch(const struct stage *stage, const struct stage_batch *batch,
                       struct error *err)
{
        for (size_t i = 0; i < batch->count; i++)
                if (write_small(stage, batch->files[i].inode, batch->data + batch->files[i].offset,
                                err) < 0)
                        return -1;
        return 0;
}

/* ---- threads ---- */

static void fail(struct stage *stage, const struct error *err)
{
        if (stage->failure.code == 0)
                stage->failure = *err;
}

static void *work(void *context)
{
        struct stage *stage = context;

        (void)pthread_mutex_lock(&stage->lock);
        for (;;) {
                struct error err = ERROR_INIT;
                struct stage_batch *batch;

                while (!stage->ready && !stage->stop)
                        (void)pthread_cond_wait(&stage->changed, &stage->lock);
                batch = stage->ready;
                if (!batch)
                        break;
                stage->ready = batch->next;
                if (!stage->ready)
                        stage->ready_end = &stage->ready;
                stage->writing++;
                if (stage->failure.code == 0) {
                        int status;

                        (void)pthread_mutex_unlock(&stage->lock);
                        status = write_batch(stage, batch, &err);
                        (void)pthread_mutex_lock(&stage->lock);
                        if (status < 0)
                                fail(stage, &err);
                }
                stage->writing--;
                batch->next = stage->free;
                stage->free = batch;
                (void)pthread_cond_broadcast(&stage->changed);
        }
        (void)pthread_mutex_unlock(&stage->lock);
        return NULL;
}

/* With fewer threads than wanted it takes longer, and that is all. */
static void start_threads(struct stage *stage, size_t wanted)
{
        while (stage->thread_count < wanted &&
               thread_start(&stage->threads[stage->thread_count], work, stage) == 0)
                stage->thread_count++;
}

int stage_init(struct stage *stage, int fd, unsigned int threads, struct maker *maker,
               struct error *err)
{
        size_t wanted = threads <= 1                  ? 0
                        : threads < STAGE_THREADS_MAX ? threads
                                                      : STAGE_THREADS_MAX;

        *stage = (struct stage){
                .fd = fd,
                .maker = maker,
                .file_fd = -1,
                .lock = PTHREAD_MUTEX_INITIALIZER,
                .changed = PTHREAD_COND_INITIALIZER,
                .ready_end = &stage->ready,
        };
        stage->threads = calloc(wanted > 0 ? wanted : 1, sizeof(*stage->threads));
        if (!stage->threads)
                return error_no_memory(err);
        start_threads(stage, wanted);
        /* One for each thread, one waiting for it, one in the caller's hands. */
        stage->batches_most = 2 * stage->thread_count + 1;
        return 0;
}

void stage_release(struct stage *stage)
{
        (void)pthread_mutex_lock(&stage->lock);
        stage->stop = true;
        (void)pthread_cond_broadcast(&stage->changed);
        (void)pthread_mutex_unlock(&stage->lock);
        for (size_t i = 0; i < stage->thread_count; i++)
                (void)pthread_join(stage->threads[i], NULL);
        while (stage->free) {
                struct stage_batch *next = stage->free->next;

                free(stage->free);
                stage->free = next;
        }
        free(stage->batch);
        free(stage->threads);
        if (stage->file_fd >= 0)
                (void)close(TAKE_FD(stage->file_fd));
        (void)pthread_cond_destroy(&stage->changed);
        (void)pthread_mutex_destroy(&stage->lock);
}

/* ---- batches ---- */

/* An empty batch for the caller, once there is one. NULL with *err on failure. */
static struct stage_batch *take_batch(struct stage *stage, struct error *err)
{
        struct stage_batch *batch = NULL;

        (void)pthread_mutex_lock(&stage->lock);
        while (!stage->free && stage->batches == stage->batches_most)
                (void)pthread_cond_wait(&stage->changed, &stage->lock);
        if (stage->failure.code != 0) {
                *err = stage->failure;
        } else if (stage->free) {
                batch = stage->free;
                stage->free = batch->next;
        } else {
                batch = malloc(sizeof(*batch));
                stage->batches += batch != NULL;
                if (!batch)
                        error_no_memory(err);
        }
        (void)pthread_mutex_unlock(&stage->lock);
        if (batch)
                batch->count = batch->used = 0;
        return batch;
}

/* Have the current batch written. */
static int send_batch(struct stage *stage, struct error *err)
{
        struct stage_batch *batch = stage->batch;
        int status;

        if (!batch)
                return 0;
        if (stage->thread_count == 0) {
                status = write_batch(stage, batch, err);
                batch->count = batch->used = 0;
                return status;
        }
        stage->batch = NULL;
        batch->next = NULL;
        (void)pthread_mutex_lock(&stage->lock);
        *stage->ready_end = batch;
        stage->ready_end = &batch->next;
        (void)pthread_cond_broadcast(&stage->changed);
        (void)pthread_mutex_unlock(&stage->lock);
        return 0;
}

/* Make sure that the current batch has room for a file. */
static int reserve(struct stage *stage, uint64_t size, struct error *err)
{
        const struct stage_batch *batch = stage->batch;

        if (batch &&
            (batch->count == STAGE_BATCH_FILES || size > STAGE_BATCH_BYTES - batch->used) &&
            send_batch(stage, err) < 0)
                return -1;
        if (!stage->batch)
                stage->batch = take_batch(stage, err);
        return stage->batch ? 0 : -1;
}

int stage_flush(struct stage *stage, struct error *err)
{
        int status = send_batch(stage, err);

        (void)pthread_mutex_lock(&stage->lock);
        while (stage->ready || stage->writing > 0)
                (void)pthread_cond_wait(&stage->changed, &stage->lock);
        if (status == 0 && stage->failure.code != 0) {
                *err = stage->failure;
                status = -1;
        }
        (void)pthread_mutex_unlock(&stage->lock);
        return status;
}

/* ---- content as it comes ---- */

int stage_begin(struct stage *stage, struct tree_inode *file, struct error *err)
{
        char path[STAGE_PATH_SIZE];
        struct stage_batch *batch;

        if (stage_number(stage, file, path, err) < 0)
                return -1;
        stage->file = file;
        stage->offset = 0;
        if (file->meta.size > STAGE_SMALL) {
                stage->file_fd = create_file(stage, file, err);
                return stage->file_fd < 0 ? -1 : 0;
        }
        if (reserve(stage, file->meta.size, err) < 0)
                return -1;
        batch = stage->batch;
        batch->files[batch->count].inode = file;
        batch->files[batch->count].offset = batch->used;
        return 0;
}

int stage_append(struct stage *stage, const void *data, size_t size, uint64_t offset,
                 struct error *err)
{
        uint64_t length = stage->file->meta.size, gap = offset - stage->offset;
        char *place;

        if (offset < stage->offset || offset > length || size > length - offset)
                return error_set(err, EMSGSIZE, "more content than the %" PRIu64 " bytes promised",
                                 length);
        if (stage->file_fd >= 0) {
                if (size > 0 && make_write(stage->file_fd, data, size, offset, err) < 0)
                        return -1;
                /* Holes are stepped over; one at the end is all that gives it its length. */
                if (size == 0 && gap > 0 && ftruncate(stage->file_fd, (off_t)offset) < 0)
                        return error_errno(err, "set the length");
        } else {
                place = stage->batch->data + stage->batch->used + stage->offset;
                memset(place, 0, gap);
                if (size > 0)
                        memcpy(place + gap, data, size);
        }
        stage->offset = offset + size;
        return 0;
}

int stage_end(struct stage *stage, struct error *err)
{
        const struct tree_inode *file = TAKE_PTR(stage->file);

        if (stage->offset != file->meta.size)
                return error_set(err, EMSGSIZE, "%" PRIu64 " bytes instead of %" PRIu64,
                                 stage->offset, file->meta.size);
        if (stage->file_fd >= 0)
                return complete_file(stage, file, TAKE_FD(stage->file_fd), err);
        stage->batch->count++;
        stage->batch->used += file->meta.size;
        return 0;
}
