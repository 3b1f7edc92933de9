/*
 * A compressed file whose points are known, decompressed on several threads.
 *
 * Chunks lie between points. Threads take them by number, each into the slot of that
 * number modulo the slots, and the reader gets them in order. A slot belongs to the thread
 * that fills it, then to the reader until he asks for the next; the counters are under the
 * lock. A chunk ends with the checksum and length that the next point has, and the last one
 * with those of the file itself, or, where only a part of the file is wanted, anywhere.
 */
#include "codec/chunks.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/points.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/thread.h"

#define INPUT_SIZE    (256 * 1024)
#define SLOTS_LEAST   2
#define THREADS_LIMIT 64

struct slot {
        uint8_t *data; /* chunk_max bytes, and one that no chunk may fill */
        size_t size;
        bool full;
        struct error failure;
};

struct chunks {
        struct stream base;
        int fd, points_fd;
        struct points_table table;
        bool is_part; /* the data go on behind the last entry */
        struct slot *slots;
        uint32_t slot_count;
        pthread_t *threads;
        unsigned int thread_count;

        pthread_mutex_t lock;
        pthread_cond_t room, ready; /* for threads; for the reader */
        uint32_t next;              /* the chunk that a thread takes next */
        uint32_t taken;             /* chunks that the reader has given back */
        bool stop;

        /* Of the reader alone. */
        bool holding; /* the chunk number "taken" */
        size_t offset;
        size_t skip; /* of the first chunk, what comes before the part */
};

/* ---- one chunk ---- */

/* What a thread has: the decoder of the chunk, and input for it. */
struct work {
        struct chunks *chunks;
        void *decoder;
        struct decoder_io io;
        uint64_t at; /* where the next input lies */
        uint8_t *input;
};

static int open_decoder(struct work *work, uint32_t number, struct error *err)
{
        const struct point_entry *entry = &work->chunks->table.entries[number];
        uint8_t packed[DECODER_WINDOW_SIZE], window[DECODER_WINDOW_SIZE];

        work->at = entry->point.in;
        work->io = (struct decoder_io){ .in_left = 0 };
        if (entry->window_size == 0) {
                work->decoder = gzip_format.open(err);
                return work->decoder ? 0 : -1;
        }
        if (io_pread_full(work->chunks->points_fd, packed, entry->window_size, entry->window_at) !=
                    (ssize_t)entry->window_size ||
            (entry->window_size < DECODER_WINDOW_SIZE &&
             !gzip_format.points->unpack(packed, entry->window_size, window)))
                return error_set(err, EBADMSG, "points: damaged");
        work->decoder = gzip_format.points->resume(
                &entry->point, entry->window_size < DECODER_WINDOW_SIZE ? window : packed, err);
        return work->decoder ? 0 : -1;
}

static int fetch_input(struct work *work, struct error *err)
{
        ssize_t n = io_pread_full(work->chunks->fd, work->input, INPUT_SIZE, work->at);

        if (n < 0)
                return error_errno(err, "read");
        work->io.in = work->input;
        work->io.in_left = (size_t)n;
        work->io.in_end = n == 0;
        work->at += (uint64_t)n;
        return 0;
}

/*
 * Fill the room in work->io, or come to the end of the file. Returns whether it is the end,
 * or -1 with *err.
 */
static int decode(struct work *work, struct error *err)
{
        struct decoder_io *io = &work->io;
        bool done = false;

        while (io->out_left > 0) {
                size_t in_before, out_before = io->out_left;
                enum decoder_state state;

                if (io->in_left == 0 && !io->in_end && fetch_input(work, err) < 0)
                        return -1;
                if (io->in_end && done)
                        return 1;
                in_before = io->in_left;
                state = gzip_format.decode(work->decoder, io, err);
                if (state == DECODER_FAILED)
                        return -1;
                done = state == DECODER_DONE;
                if (!done && io->in_left == in_before && io->out_left == out_before)
                        return error_set(err, EBADMSG, "the compressed data is damaged");
        }
        return 0;
}

static int decode_chunk(struct work *work, uint32_t number, struct slot *slot, struct error *err)
{
        const struct points_table *table = &work->chunks->table;
        const struct point_entry *entry = &table->entries[number];
        bool is_last = number + 1 == table->count, to_end = is_last && !work->chunks->is_part;
        int ended;

        slot->size = entry[1].out - entry->out;
        if (open_decoder(work, number, err) < 0)
                return -1;
        work->io.out = slot->data;
        /* One byte more: the end of the data must be found behind the last. */
        work->io.out_left = slot->size + to_end;
        ended = decode(work, err);
        if (ended < 0)
                return -1;
        if (ended != to_end || work->io.out_left != (size_t)to_end ||
            (!is_last && !gzip_format.points->agree(work->decoder, &entry[1].point)))
                return error_set(err, EBADMSG, "the data is not what it was: damaged");
        return 0;
}

static void fill(struct work *work, uint32_t number, struct slot *slot)
{
        struct error *failure = &slot->failure;

        *failure = (struct error)ERROR_INIT;
        if (!slot->data)
                slot->data = malloc(work->chunks->table.chunk_max + 1);
        if (!work->input)
                work->input = malloc(INPUT_SIZE);
        if (!slot->data || !work->input)
                error_no_memory(failure);
        else if (decode_chunk(work, number, slot, failure) < 0)
                error_prefix(failure, "%s", gzip_format.name);
        if (work->decoder)
                gzip_format.close(TAKE_PTR(work->decoder));
}

static void *run(void *argument)
{
        struct work work = { .chunks = argument };
        struct chunks *self = argument;

        pthread_mutex_lock(&self->lock);
        while (!self->stop && self->next < self->table.count) {
                uint32_t number = self->next;
                struct slot *slot = &self->slots[number % self->slot_count];

                if (number - self->taken >= self->slot_count) {
                        pthread_cond_wait(&self->room, &self->lock);
                        continue;
                }
                self->next++;
                pthread_mutex_unlock(&self->lock);
                fill(&work, number, slot);
                pthread_mutex_lock(&self->lock);
                slot->full = true;
                pthread_cond_signal(&self->ready);
        }
        pthread_mutex_unlock(&self->lock);
        free(work.input);
        return NULL;
}

/* ---- the reader ---- */

static struct slot *held_slot(struct chunks *self)
{
        return &self->slots[self->taken % self->slot_count];
}

/* Give back the chunk held, if any, and wait for the next: 1, 0 at the end, or -1 with *err. */
static int take(struct chunks *self, struct error *err)
{
        struct slot *slot;

        pthread_mutex_lock(&self->lock);
        if (self->holding) {
                held_slot(self)->full = false;
                self->taken++;
                self->holding = false;
                pthread_cond_signal(&self->room);
        }
        slot = held_slot(self);
        while (self->taken < self->table.count && !slot->full)
                pthread_cond_wait(&self->ready, &self->lock);
        pthread_mutex_unlock(&self->lock);
        if (self->taken == self->table.count)
                return 0;
        if (slot->failure.code) {
                *err = slot->failure;
                return -1;
        }
        self->holding = true;
        self->offset = self->skip;
        self->skip = 0;
        return 1;
}

static ssize_t chunks_next(struct stream *stream, const void **ret_data, struct error *err)
{
        struct chunks *self = (struct chunks *)stream;
        struct slot *slot;
        size_t size;

        if (!self->holding || self->offset == held_slot(self)->size) {
                int more = take(self, err);

                if (more <= 0)
                        return more;
        }
        slot = held_slot(self);
        *ret_data = slot->data + self->offset;
        size = slot->size - self->offset;
        self->offset = slot->size;
        return (ssize_t)size;
}

static ssize_t chunks_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct chunks *self = (struct chunks *)stream;
        const void *data;
        ssize_t n = chunks_next(stream, &data, err);

        if (n <= 0)
                return n;
        if ((size_t)n > size) {
                self->offset -= (size_t)n - size;
                n = (ssize_t)size;
        }
        memcpy(buffer, data, (size_t)n);
        return n;
}

/* ---- life ---- */

static void chunks_close(struct stream *stream)
{
        struct chunks *self = (struct chunks *)stream;

        pthread_mutex_lock(&self->lock);
        self->stop = true;
        pthread_cond_broadcast(&self->room);
        pthread_mutex_unlock(&self->lock);
        for (unsigned int i = 0; i < self->thread_count; i++)
                pthread_join(self->threads[i], NULL);
        for (uint32_t i = 0; self->slots && i < self->slot_count; i++)
                free(self->slots[i].data);
        pthread_cond_destroy(&self->ready);
        pthread_cond_destroy(&self->room);
        pthread_mutex_destroy(&self->lock);
        points_table_release(&self->table);
        free(self->slots);
        free(self->threads);
        (void)close(self->fd);
        (void)close(self->points_fd);
        free(self);
}

static void cleanup_chunks(struct chunks **self)
{
        if (*self)
                chunks_close(&(*self)->base);
}

static int read_table(struct chunks *self, uint64_t size, struct error *err)
{
        off_t end = lseek(self->points_fd, 0, SEEK_END);
        struct points_footer footer;
        auto_free void *data = NULL;
        size_t table_size;
        uint64_t windows;

        if (end < (off_t)sizeof(footer) ||
            io_pread_full(self->points_fd, &footer, sizeof(footer),
                          (uint64_t)end - sizeof(footer)) != (ssize_t)sizeof(footer))
                return error_set(err, EBADMSG, "points: damaged");
        table_size = points_footer_check(&footer, size);
        if (table_size == 0 || table_size > (uint64_t)end - sizeof(footer))
                return error_set(err, EBADMSG, "points: damaged");
        windows = (uint64_t)end - sizeof(footer) - table_size;
        data = malloc(table_size);
        if (!data)
                return error_no_memory(err);
        if (io_pread_full(self->points_fd, data, table_size, windows) != (ssize_t)table_size)
                return error_set(err, EBADMSG, "points: damaged");
        return points_table_parse(&footer, data, windows, &self->table, err);
}

static int start(struct chunks *self, unsigned int threads, size_t ahead, struct error *err)
{
        uint64_t affordable = ahead / self->table.chunk_max;

        if (threads > THREADS_LIMIT)
                threads = THREADS_LIMIT;
        /* One for each thread, one in the reader's hands, and one to go on with meanwhile. */
        self->slot_count = threads + 2 < affordable ? threads + 2 : (uint32_t)affordable;
        if (self->slot_count < SLOTS_LEAST)
                self->slot_count = SLOTS_LEAST;
        if (threads > self->slot_count)
                threads = self->slot_count;
        self->slots = calloc(self->slot_count, sizeof(*self->slots));
        self->threads = calloc(threads, sizeof(*self->threads));
        if (!self->slots || !self->threads)
                return error_no_memory(err);
        for (; self->thread_count < threads; self->thread_count++) {
                int code = thread_start(&self->threads[self->thread_count], run, self);

                /* Fewer do as well. */
                if (code != 0 && self->thread_count == 0)
                        return error_set(err, code, "cannot start a thread: %s", strerror(code));
                if (code != 0)
                        break;
        }
        return 0;
}

/* Both descriptors belong to it. NULL with *err. */
static struct chunks *chunks_new(int fd, int points_fd, struct error *err)
{
        auto_close int own_fd = fd, own_points = points_fd;
        struct chunks *self = calloc(1, sizeof(*self));

        if (!self) {
                error_no_memory(err);
                return NULL;
        }
        self->base =
                (struct stream){ .read = chunks_read, .next = chunks_next, .close = chunks_close };
        self->fd = TAKE_FD(own_fd);
        self->points_fd = TAKE_FD(own_points);
        pthread_mutex_init(&self->lock, NULL);
        pthread_cond_init(&self->room, NULL);
        pthread_cond_init(&self->ready, NULL);
        return self;
}

void chunks_part_release(struct chunks_part *part)
{
        if (!part->table.entries)
                return;
        points_table_release(&part->table);
        (void)close(part->fd);
        (void)close(part->points_fd);
}

struct stream *chunks_part_open(struct chunks_part *part, unsigned int threads, size_t ahead,
                                struct error *err)
{
        auto_cleanup(cleanup_chunks) struct chunks *self =
                chunks_new(part->fd, part->points_fd, err);

        if (!self) {
                points_table_release(&part->table);
                return NULL;
        }
        self->table = TAKE(part->table, (struct points_table){ .count = 0 });
        self->is_part = true;
        self->skip = (size_t)(part->from - self->table.entries[0].out);
        return start(self, threads, ahead, err) < 0 ? NULL : &TAKE_PTR(self)->base;
}

struct stream *codec_open_points(int fd, uint64_t size, int points_fd, unsigned int threads,
                                 size_t ahead, struct error *err)
{
        auto_cleanup(cleanup_chunks) struct chunks *self = chunks_new(fd, points_fd, err);

        if (!self)
                return NULL;
        if (!gzip_format.points) {
                error_set(err, ENOTSUP, "%s: no points", gzip_format.name);
                return NULL;
        }
        if (gzip_format.points->load(err) < 0 || read_table(self, size, err) < 0 ||
            start(self, threads, ahead, err) < 0)
                return NULL;
        return &TAKE_PTR(self)->base;
}
