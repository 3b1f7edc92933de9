/*
 * A blob on its way into the store: hashed as it comes, published when its digest
 * and size are what was promised.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/lock.h"
#include "store/partial.h"
#include "store/store_private.h"
#include "util/cancel.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/temp_file.h"

/* Bytes collected before they are written: data comes from the network in small pieces. */
#define WRITE_SIZE (256u << 10)

/* Bytes after which the kernel is asked to write to disk, so that the final fsync is short. */
#define WRITEBACK_SIZE (16u << 20)

#define BLOB_MODE 0640

struct store_writer {
        struct store *store;
        struct lock lock;
        struct temp_file temp;
        struct sha256 *sha;
        int fd; /* of the same file as temp, but not closed by its publication */
        char name[STORE_NAME_SIZE];
        char *buffer;
        size_t buffered;
        uint64_t written, synced; /* bytes in the file, and given to the disk */
        uint64_t size;            /* promised */
        uint64_t resumed;         /* bytes that an earlier run had fetched */
        bool is_partial;          /* the file may stay for another run */
        bool failed;              /* what is in it, or its disk, is bad */
        bool verified;
};

/* An error of the file system, with the variable that moves the cache elsewhere. */
static int file_error(struct store_writer *writer, const char *what, struct error *err)
{
        bool full = errno == ENOSPC || errno == EDQUOT;

        error_errno(err, "%s: %s", writer->store->path, what);
        writer->failed = true;
        if (full)
                error_append(err, "; make room there, or set ENROOT_CACHE_PATH to a place with "
                                  "more of it");
        return -1;
}

/*
 * Reserve the room for the whole blob: a full disk is found out before the
 * download. A file system that cannot do so finds out later.
 */
static int reserve(struct store_writer *writer, struct error *err)
{
        if (writer->size == 0 || writer->size > INT64_MAX ||
            fallocate(writer->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)writer->size) == 0)
                return 0;
        if (errno != ENOSPC && errno != EDQUOT && errno != EFBIG)
                return 0;
        return file_error(writer, "cannot reserve room for a layer", err);
}

static struct store_writer *writer_new(struct store *store, const char *name, uint64_t size,
                                       struct error *err)
{
        struct store_writer *writer = calloc(1, sizeof(*writer));

        if (!writer) {
                error_no_memory(err);
                return NULL;
        }
        writer->store = store;
        writer->lock = (struct lock)LOCK_INIT;
        writer->temp = (struct temp_file)TEMP_FILE_INIT;
        writer->fd = -1;
        writer->size = size;
        memcpy(writer->name, name, sizeof(writer->name));
        return writer;
}

static void cleanup_writer(struct store_writer **writer)
{
        store_writer_free(*writer);
}

/* Hash what an earlier run has written. */
static int rehash(struct store_writer *writer, struct error *err)
{
        while (writer->written < writer->resumed) {
                ssize_t size = io_read_full(writer->fd, writer->buffer, WRITE_SIZE);

                if (size <= 0)
                        return file_error(writer, "read", err);
                if (cancel_check(err) < 0)
                        return -1;
                sha256_update(writer->sha, writer->buffer, (size_t)size);
                writer->written += (uint64_t)size;
        }
        writer->synced = writer->written;
        return 0;
}

/*
 * A part that stays needs a name, and a lock that keeps others from it, which not
 * every file system has.
 */
static int create_file(struct store_writer *writer, struct error *err)
{
        struct store *store = writer->store;

        writer->is_partial = writer->size >= PARTIAL_SIZE && writer->lock.fd >= 0;
        if (writer->is_partial)
                return partial_open(store, writer->name, writer->size, BLOB_MODE, &writer->temp,
                                    &writer->resumed, err);
        return temp_file_create(&writer->temp, store->dir_fd, writer->name, BLOB_MODE, err);
}

static int open_file(struct store_writer *writer, struct error *err)
{
        if (create_file(writer, err) < 0)
                return error_prefix(err, "ENROOT_CACHE_PATH: %s", writer->store->path);
        writer->fd = fcntl(writer->temp.fd, F_DUPFD_CLOEXEC, 0);
        if (writer->fd < 0)
                return error_errno(err, "%s", writer->name);
        writer->sha = sha256_new(err);
        if (!writer->sha)
                return -1;
        writer->buffer = malloc(WRITE_SIZE);
        if (!writer->buffer)
                return error_no_memory(err);
        return rehash(writer, err) < 0 ? -1 : reserve(writer, err);
}

int store_begin(struct store *store, const char *digest, uint64_t size, struct store_writer **ret,
                struct error *err)
{
        auto_cleanup(cleanup_writer) struct store_writer *writer = NULL;
        char name[STORE_NAME_SIZE];
        struct error ignored = ERROR_INIT;
        int locked, fd;

        if (store_blob_name(digest, name, err) < 0)
                return -1;
        if (!store->swept) {
                lock_sweep(store);
                store->swept = true;
        }
        writer = writer_new(store, name, size, err);
        if (!writer)
                return -1;
        locked = lock_take(&writer->lock, store, name, err);
        if (locked <= 0)
                return locked;

        /* Whoever held the lock until now may have completed it. */
        fd = store_get(store, digest, size, &ignored);
        if (fd >= 0) {
                (void)close(fd);
                return 2;
        }
        if (open_file(writer, err) < 0)
                return -1;
        *ret = TAKE_PTR(writer);
        return 1;
}

/* Hash the next bytes and write them to the file. */
static int put(struct store_writer *writer, const void *data, size_t size, struct error *err)
{
        sha256_update(writer->sha, data, size);
        if (io_write_full(writer->fd, data, size) < 0)
                return file_error(writer, "write", err);
        writer->written += size;
        if (writer->written - writer->synced >= WRITEBACK_SIZE) {
                (void)sync_file_range(writer->fd, (off_t)writer->synced,
                                      (off_t)(writer->written - writer->synced),
                                      SYNC_FILE_RANGE_WRITE);
                writer->synced = writer->written;
        }
        return 0;
}

static int flush(struct store_writer *writer, struct error *err)
{
        size_t size = writer->buffered;

        writer->buffered = 0;
        return size > 0 ? put(writer, writer->buffer, size, err) : 0;
}

int store_write(struct store_writer *writer, const void *data, size_t size, struct error *err)
{
        const char *from = data;

        if (size > writer->size - store_writer_size(writer)) {
                writer->failed = true;
                return error_set(err, EMSGSIZE, "more than the promised %" PRIu64 " bytes",
                                 writer->size);
        }
        while (size > 0) {
                size_t room = WRITE_SIZE - writer->buffered;
                size_t n = size < room ? size : room;

                /* What came early, over another connection, comes in long pieces. */
                if (n == WRITE_SIZE) {
                        if (put(writer, from, n, err) < 0)
                                return -1;
                } else {
                        memcpy(writer->buffer + writer->buffered, from, n);
                        writer->buffered += n;
                        if (writer->buffered == WRITE_SIZE && flush(writer, err) < 0)
                                return -1;
                }
                from += n;
                size -= n;
        }
        return 0;
}

int store_writer_fd(const struct store_writer *writer)
{
        return writer->fd;
}

uint64_t store_writer_size(const struct store_writer *writer)
{
        return writer->written + writer->buffered;
}

uint64_t store_writer_readable(const struct store_writer *writer)
{
        return writer->written;
}

int store_verify(struct store_writer *writer, struct error *err)
{
        char actual[SHA256_HEX_SIZE];

        if (store_writer_size(writer) != writer->size)
                return error_set(err, EMSGSIZE, "got %" PRIu64 " of %" PRIu64 " bytes",
                                 store_writer_size(writer), writer->size);
        if (flush(writer, err) < 0)
                return -1;
        sha256_finish(writer->sha, actual);
        if (strcmp(actual, writer->name + strlen("sha256-")) != 0) {
                writer->failed = true;
                error_set(err, EBADMSG, "the content is sha256:%s", actual);
                return writer->resumed == 0
                               ? -1
                               : error_append(err,
                                              "; %" PRIu64 " bytes of it were of an earlier "
                                              "run and are removed: try again",
                                              writer->resumed);
        }
        writer->verified = true;
        return 0;
}

int store_commit(struct store_writer *writer, struct error *err)
{
        if (!writer->verified && store_verify(writer, err) < 0)
                return -1;
        if (temp_file_publish(&writer->temp, writer->name, true, err) < 0)
                return error_prefix(err, "%s", writer->store->path);
        lock_release(&writer->lock);
        return 0;
}

void store_writer_free(struct store_writer *writer)
{
        if (!writer)
                return;
        if (writer->is_partial && !writer->failed && writer->temp.name) {
                /* Less is written than was resumed when it ended while that was read. */
                uint64_t length =
                        writer->written > writer->resumed ? writer->written : writer->resumed;

                if (length > 0)
                        partial_keep(&writer->temp, length);
        }
        temp_file_discard(&writer->temp);
        lock_release(&writer->lock);
        if (writer->fd >= 0)
                (void)close(writer->fd);
        sha256_free(writer->sha);
        free(writer->buffer);
        free(writer);
}
