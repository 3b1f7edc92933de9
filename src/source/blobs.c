#include "source/blobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/thread.h"

int blobs_init(struct blobs *set, struct store *store, struct report *report,
               const struct image_descriptor *descriptors, size_t count, struct error *err)
{
        *set = (struct blobs){ .store = store, .report = report };
        (void)pthread_mutex_init(&set->lock, NULL);
        (void)pthread_cond_init(&set->changed, NULL);
        set->items = calloc(count + 1, sizeof(*set->items));
        if (!set->items)
                return error_no_memory(err);

        for (size_t i = 0; i < count; i++) {
                struct blob *blob = blobs_find(set, descriptors[i].digest);
                struct error absent = ERROR_INIT;
                int fd;

                if (blob && blob->descriptor->size != descriptors[i].size)
                        return error_set(err, EBADMSG, "layer %s is listed with two sizes",
                                         descriptors[i].digest);
                if (blob)
                        continue;
                fd = store_get(store, descriptors[i].digest, descriptors[i].size, &absent);
                if (fd < 0 && absent.code != ENOENT) {
                        *err = absent;
                        return -1;
                }
                set->items[set->count++] = (struct blob){
                        .set = set,
                        .descriptor = &descriptors[i],
                        .state = fd >= 0 ? BLOB_READY : BLOB_MISSING,
                        .fd = fd,
                };
        }
        return 0;
}

void blobs_release(struct blobs *set)
{
        if (!set->items)
                return;
        for (size_t i = 0; i < set->count; i++) {
                store_writer_free(set->items[i].writer);
                if (set->items[i].fd >= 0)
                        (void)close(set->items[i].fd);
        }
        free(TAKE_PTR(set->items));
        (void)pthread_cond_destroy(&set->changed);
        (void)pthread_mutex_destroy(&set->lock);
}

struct blob *blobs_find(struct blobs *set, const char *digest)
{
        for (size_t i = 0; i < set->count; i++) {
                if (strcmp(set->items[i].descriptor->digest, digest) == 0)
                        return &set->items[i];
        }
        return NULL;
}

size_t blobs_missing(const struct blobs *set, uint64_t *ret_bytes)
{
        size_t missing = 0;

        *ret_bytes = 0;
        for (size_t i = 0; i < set->count; i++) {
                if (set->items[i].state == BLOB_READY)
                        continue;
                missing++;
                *ret_bytes += set->items[i].descriptor->size;
        }
        return missing;
}

/* ---- the fetching side ---- */

static void count_bytes(struct blobs *set, uint64_t bytes)
{
        if (set->report)
                set->report->progress.bytes_done += bytes;
}

static void set_state(struct blob *blob, enum blob_state state)
{
        struct blobs *set = blob->set;

        (void)pthread_mutex_lock(&set->lock);
        blob->state = state;
        if (state == BLOB_MISSING)
                blob->readable = 0;
        else if (state == BLOB_GROWING)
                blob->readable = store_writer_readable(blob->writer);
        else if (state == BLOB_VERIFIED)
                blob->readable = blob->descriptor->size;
        (void)pthread_cond_broadcast(&set->changed);
        (void)pthread_mutex_unlock(&set->lock);
}

/* The blob is in the cache, and readable through fd, which is its own from here on. */
static void set_ready(struct blob *blob, int fd)
{
        /* Readers look at it only in that state. */
        blob->fd = fd;
        set_state(blob, BLOB_READY);
        if (blob->set->report)
                blob->set->report->progress.blobs_done++;
}

/* What an earlier run has fetched counts. */
static void report_resumption(const struct blob *blob, uint64_t have)
{
        if (have == 0)
                return;
        report_info(blob->set->report, "Resuming %.19s after %.1f of %.1f MB",
                    blob->descriptor->digest, (double)have / 1e6,
                    (double)blob->descriptor->size / 1e6);
        count_bytes(blob->set, have);
}

static int sink_begin(struct registry_blob *sink, uint64_t *ret_offset, struct error *err)
{
        struct blob *blob = sink->context;
        const struct image_descriptor *descriptor = blob->descriptor;
        struct error absent = ERROR_INIT;
        int rc, fd;

        if (blob->writer) {
                *ret_offset = store_writer_size(blob->writer);
                return 0;
        }
        rc = store_begin(blob->set->store, descriptor->digest, descriptor->size, &blob->writer,
                         err);
        switch (rc) {
        case 0:
                if (!blob->put_off)
                        report_info(blob->set->report, "Another process is downloading %.19s",
                                    descriptor->digest);
                blob->put_off = true;
                return 1;
        case 1:
                *ret_offset = store_writer_size(blob->writer);
                report_resumption(blob, *ret_offset);
                set_state(blob, BLOB_GROWING);
                return 0;
        case 2:
                fd = store_get(blob->set->store, descriptor->digest, descriptor->size, &absent);
                /* Removed already: it will be begun once more. */
                if (fd < 0)
                        return 1;
                count_bytes(blob->set, descriptor->size);
                set_ready(blob, fd);
                return 2;
        default:
                return -1;
        }
}

static int sink_data(struct registry_blob *sink, const void *data, size_t size, struct error *err)
{
        struct blob *blob = sink->context;
        struct blobs *set = blob->set;
        uint64_t readable;

        if (store_write(blob->writer, data, size, err) < 0)
                return -1;
        count_bytes(set, size);
        readable = store_writer_readable(blob->writer);

        /* Only this thread changes .readable, and may look at it without the lock. */
        if (readable > blob->readable) {
                (void)pthread_mutex_lock(&set->lock);
                blob->readable = readable;
                (void)pthread_cond_broadcast(&set->changed);
                (void)pthread_mutex_unlock(&set->lock);
        }
        return 0;
}

/* A complete blob can be read at once; the disk gets its time from the committing thread. */
static int sink_end(struct registry_blob *sink, const struct error *failure, struct error *err)
{
        struct blob *blob = sink->context;
        struct store_writer *writer = blob->writer;
        int rc = failure ? 0 : store_verify(writer, err);

        if (!failure && rc == 0) {
                set_state(blob, BLOB_VERIFIED);
                return 0;
        }
        /* Readers have descriptors of their own. */
        set_state(blob, BLOB_MISSING);
        blob->writer = NULL;
        store_writer_free(writer);
        return rc;
}

static int fetch(struct blobs *set, struct registry *registry, struct error *err)
{
        auto_free struct registry_blob *sinks = calloc(set->count + 1, sizeof(*sinks));
        size_t count = 0;

        if (!sinks)
                return error_no_memory(err);
        for (size_t i = set->count; i-- > 0;) {
                struct blob *blob = &set->items[i];

                if (blob->state == BLOB_READY)
                        continue;
                sinks[count++] = (struct registry_blob){
                        .descriptor = blob->descriptor,
                        .context = blob,
                        .begin = sink_begin,
                        .data = sink_data,
                        .end = sink_end,
                };
        }
        return registry_fetch(registry, sinks, count, err);
}

static void set_failure(struct blobs *set, const struct error *failure)
{
        (void)pthread_mutex_lock(&set->lock);
        if (set->failure.code == 0)
                set->failure = *failure;
        (void)pthread_cond_broadcast(&set->changed);
        (void)pthread_mutex_unlock(&set->lock);
}

/* The next blob to commit, waiting for one; NULL when there will be none. */
static struct blob *next_verified(struct blobs *set)
{
        struct blob *found = NULL;

        (void)pthread_mutex_lock(&set->lock);
        for (;;) {
                for (size_t i = 0; i < set->count && !found; i++)
                        if (set->items[i].state == BLOB_VERIFIED)
                                found = &set->items[i];
                if (found || set->fetched)
                        break;
                (void)pthread_cond_wait(&set->changed, &set->lock);
        }
        (void)pthread_mutex_unlock(&set->lock);
        return found;
}

/*
 * Bring verified blobs to the disk and give them their names. In a thread of its
 * own, because an fsync of some hundred megabytes would hold up all transfers.
 */
static void *commit_blobs(void *context)
{
        struct blobs *set = context;
        struct blob *blob;

        while ((blob = next_verified(set))) {
                struct error failure = ERROR_INIT;
                struct store_writer *writer = blob->writer;
                /* Opened now: "cache gc" may remove the name as soon as there is one. */
                int fd = fcntl(store_writer_fd(writer), F_DUPFD_CLOEXEC, 0);

                if (fd < 0)
                        error_errno(&failure, "%s", blob->descriptor->digest);
                else if (store_commit(writer, &failure) < 0)
                        (void)close(TAKE_FD(fd));
                if (fd >= 0) {
                        set_ready(blob, fd);
                } else {
                        set_failure(set, &failure);
                        set_state(blob, BLOB_MISSING);
                }
                blob->writer = NULL;
                store_writer_free(writer);
        }
        return NULL;
}

int blobs_fetch(struct blobs *set, struct registry *registry)
{
        struct error failure = ERROR_INIT;
        pthread_t committer;
        bool threaded = thread_start(&committer, commit_blobs, set) == 0;

        if (fetch(set, registry, &failure) < 0)
                set_failure(set, &failure);
        (void)pthread_mutex_lock(&set->lock);
        set->fetched = true;
        (void)pthread_cond_broadcast(&set->changed);
        (void)pthread_mutex_unlock(&set->lock);
        if (threaded)
                (void)pthread_join(committer, NULL);
        else
                (void)commit_blobs(set);
        return set->failure.code ? -1 : 0;
}

/* ---- the reading side ---- */

struct blob_reader {
        struct stream base;
        struct blob *blob;
        int fd; /* -1 until the blob has a file */
        uint64_t position;
};

/* A descriptor of the file that the blob is in by now. Called with the lock. */
static int open_blob(const struct blob *blob, struct error *err)
{
        bool ready = blob->state == BLOB_READY;
        int fd = fcntl(ready ? blob->fd : store_writer_fd(blob->writer), F_DUPFD_CLOEXEC, 0);

        if (fd < 0)
                return error_errno(err, "%s", blob->descriptor->digest);
        if (ready)
                (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        return fd;
}

/*
 * Wait until there is something behind the position, and open a descriptor for it.
 * *ret_readable is how much of the blob can be read. Returns 0, or -1 with *err.
 * Called with the lock.
 */
static int wait_for_bytes(struct blob_reader *reader, uint64_t *ret_readable, struct error *err)
{
        struct blob *blob = reader->blob;
        struct blobs *set = blob->set;

        while (set->failure.code == 0 && blob->state != BLOB_READY &&
               blob->readable <= reader->position)
                (void)pthread_cond_wait(&set->changed, &set->lock);

        /* The failure of one is the end of all: what could still be read is of no use. */
        if (set->failure.code) {
                *err = set->failure;
                return -1;
        }
        *ret_readable = blob->state == BLOB_READY ? blob->descriptor->size : blob->readable;
        if (reader->fd < 0)
                reader->fd = open_blob(blob, err);
        return reader->fd < 0 ? -1 : 0;
}

static ssize_t reader_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct blob_reader *reader = (struct blob_reader *)stream;
        struct blob *blob = reader->blob;
        uint64_t readable = 0;
        ssize_t n;
        int rc;

        if (reader->position >= blob->descriptor->size)
                return 0;
        (void)pthread_mutex_lock(&blob->set->lock);
        rc = wait_for_bytes(reader, &readable, err);
        (void)pthread_mutex_unlock(&blob->set->lock);
        if (rc < 0)
                return -1;

        if (size > readable - reader->position)
                size = (size_t)(readable - reader->position);
        do
                n = pread(reader->fd, buffer, size, (off_t)reader->position);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return error_errno(err, "%s", blob->descriptor->digest);
        if (n == 0 && size > 0)
                return error_set(err, EIO, "%s: the cached file became shorter",
                                 blob->descriptor->digest);
        reader->position += (uint64_t)n;
        return n;
}

static int reader_file(struct stream *stream, struct error *err)
{
        const struct blob_reader *reader = (const struct blob_reader *)stream;
        int fd = fcntl(reader->fd, F_DUPFD_CLOEXEC, 0);

        if (fd < 0)
                return error_errno(err, "%s", reader->blob->descriptor->digest);
        return fd;
}

static void reader_close(struct stream *stream)
{
        struct blob_reader *reader = (struct blob_reader *)stream;

        if (reader->fd >= 0)
                (void)close(reader->fd);
        free(reader);
}

struct stream *blob_stream(struct blob *blob, struct error *err)
{
        struct blob_reader *reader = calloc(1, sizeof(*reader));

        if (!reader) {
                error_no_memory(err);
                return NULL;
        }
        reader->base =
                (struct stream){ .read = reader_read, .file = reader_file, .close = reader_close };
        reader->blob = blob;
        reader->fd = -1;
        return &reader->base;
}
