/*
 * A thread that reads a stream ahead of its reader.
 *
 * A ring of buffers: the thread fills the one at "filled", the reader holds the
 * one at "taken", and each owns its buffer alone while it does so. The counters
 * and the flags are under the lock.
 *
 * Scouting (scout.h): while the ring is full and its reader is not there yet, a second thread
 * reads on in the idle time of the machine. It has a scheduling class of its own, from which no
 * user's thread comes back, so it lives for one errand; the first one waits for it, and owns the
 * source again. What it passed lies between two buffers of the ring.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/scout.h"
#include "util/cleanup.h"
#include "util/thread.h"

/* Bytes. A few of them stay in the second-level cache. */
#define BUFFER_SIZE   (128 * 1024)
#define BUFFERS_LEAST 2
#define BUFFERS_MOST  256

struct prefetch {
        struct stream base;
        struct stream *source;
        pthread_t thread;

        pthread_mutex_t lock;
        pthread_cond_t changed;
        uint64_t filled; /* buffers complete since the beginning */
        uint64_t taken;  /* buffers given back by the reader */
        bool ended;      /* no buffer will follow; failure says why */
        bool stop;       /* the reader is gone */
        bool begun;      /* the reader was here */
        struct error failure;

        /* Scouting, with so many threads for what was passed; 0: never. */
        unsigned int threads;
        size_t chunks_ahead;
        bool grounded;         /* it cannot be done here */
        atomic_bool call_back; /* whoever is out is wanted here */
        bool has_passed;
        struct chunks_part passed; /* comes before the buffer number passed_at */
        uint64_t passed_at;
        bool in_passed; /* the reader is */

        /* Of the reader alone. */
        bool holding;           /* the buffer number "taken" */
        struct stream *reading; /* what was passed, or NULL */
        const char *piece;      /* what was not given out of either */
        size_t piece_left;

        size_t count;
        size_t *sizes; /* of what the buffers hold */
        char *buffers;
};

static char *buffer_of(const struct prefetch *self, uint64_t number)
{
        return self->buffers + number % self->count * BUFFER_SIZE;
}

/* ---- the scout ---- */

struct errand {
        struct prefetch *prefetch;
        ssize_t result; /* of the last read */
        struct error err;
};

static void *run_errand(void *argument)
{
        struct errand *errand = argument;
        struct prefetch *self = errand->prefetch;
        auto_free char *buffer = malloc(BUFFER_SIZE);

        errand->result = 1;
        if (!buffer || sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 }) < 0)
                return NULL;
        /* No lock is taken here: who waited for it would wait for idle time. */
        while (errand->result > 0 && !atomic_load(&self->call_back) && scout_may_go(self->source))
                errand->result =
                        self->source->read(self->source, buffer, BUFFER_SIZE, &errand->err);
        return NULL;
}

/* Called with the lock. Near the reader it would be work done twice. */
static bool may_scout(const struct prefetch *self)
{
        return self->threads > 0 && !self->grounded && !self->has_passed &&
               (!self->begun || self->in_passed) && scout_may_go(self->source);
}

/* Called with the lock, which is released meanwhile. */
static void scout(struct prefetch *self)
{
        struct errand errand = { .prefetch = self, .result = 1, .err = ERROR_INIT };
        uint64_t from = scout_position(self->source);
        struct chunks_part passed = { .from = from };
        pthread_t thread;
        bool moved;

        atomic_store(&self->call_back, false);
        pthread_mutex_unlock(&self->lock);
        if (thread_start(&thread, run_errand, &errand) == 0)
                pthread_join(thread, NULL);
        moved = scout_position(self->source) > from;
        if (moved && scout_passed(self->source, from, &passed, &errand.err) < 0)
                errand.result = -1;
        pthread_mutex_lock(&self->lock);

        if (passed.table.entries) {
                self->has_passed = true;
                self->passed = passed;
                self->passed_at = self->filled;
        }
        if (!moved)
                self->grounded = true;
        if (errand.result <= 0) {
                self->ended = true;
                self->failure = errand.err;
        }
        pthread_cond_signal(&self->changed);
}

/* ---- the thread ---- */

/* Wait for a free buffer. False when none will be needed. */
static bool wait_for_room(struct prefetch *self)
{
        bool room;

        pthread_mutex_lock(&self->lock);
        while (!self->stop && !self->ended && self->filled - self->taken == self->count) {
                if (may_scout(self))
                        scout(self);
                else
                        pthread_cond_wait(&self->changed, &self->lock);
        }
        room = !self->stop && !self->ended;
        pthread_mutex_unlock(&self->lock);
        return room;
}

static bool is_stopped(struct prefetch *self)
{
        bool stop;

        pthread_mutex_lock(&self->lock);
        stop = self->stop;
        pthread_mutex_unlock(&self->lock);
        return stop;
}

/* Fill the next buffer as far as the source goes. False when nothing will follow. */
static bool fill(struct prefetch *self, struct error *err)
{
        char *buffer = buffer_of(self, self->filled);
        size_t size = 0;
        ssize_t n = 1;

        while (size < BUFFER_SIZE && n > 0 && !is_stopped(self)) {
                n = self->source->read(self->source, buffer + size, BUFFER_SIZE - size, err);
                if (n > 0)
                        size += (size_t)n;
        }
        pthread_mutex_lock(&self->lock);
        if (size > 0) {
                self->sizes[self->filled % self->count] = size;
                self->filled++;
        }
        if (n <= 0) {
                self->ended = true;
                if (n < 0)
                        self->failure = *err;
        }
        pthread_cond_signal(&self->changed);
        pthread_mutex_unlock(&self->lock);
        return n > 0;
}

static void *run(void *argument)
{
        struct prefetch *self = argument;
        struct error err = ERROR_INIT;

        while (wait_for_room(self) && fill(self, &err))
                continue;
        return NULL;
}

/* ---- the reader ---- */

static bool is_passed_next(const struct prefetch *self)
{
        return self->has_passed && self->passed_at == self->taken;
}

/*
 * Give back the buffer held, if any, and wait for what is next: a buffer to hold, or what was
 * passed. Returns 1, 0 at the end, or -1 with *err.
 */
static int take(struct prefetch *self, struct error *err)
{
        struct chunks_part passed = { .from = 0 };
        int result = 1;

        pthread_mutex_lock(&self->lock);
        self->begun = true;
        self->in_passed = false;
        if (self->holding) {
                self->taken++;
                self->holding = false;
        }
        pthread_cond_signal(&self->changed);
        while (self->filled == self->taken && !is_passed_next(self) && !self->ended) {
                atomic_store(&self->call_back, true);
                pthread_cond_wait(&self->changed, &self->lock);
        }
        if (is_passed_next(self)) {
                passed = self->passed;
                self->has_passed = false;
                self->in_passed = true;
                pthread_cond_signal(&self->changed);
        } else if (self->filled > self->taken) {
                self->holding = true;
        } else if (self->failure.code != 0) {
                *err = self->failure;
                result = -1;
        } else {
                result = 0;
        }
        pthread_mutex_unlock(&self->lock);

        if (passed.table.entries) {
                self->reading = chunks_part_open(&passed, self->threads, self->chunks_ahead, err);
                result = self->reading ? 1 : -1;
        }
        return result;
}

/* Have a piece that is not given out. Returns 1, 0 at the end, or -1 with *err. */
static int have_piece(struct prefetch *self, struct error *err)
{
        while (self->piece_left == 0) {
                const void *data = NULL;
                ssize_t n = 0;

                if (self->reading)
                        n = self->reading->next(self->reading, &data, err);
                if (n < 0)
                        return -1;
                if (n == 0) {
                        int result;

                        if (self->reading)
                                stream_close(TAKE_PTR(self->reading));
                        result = take(self, err);
                        if (result <= 0)
                                return result;
                }
                if (self->holding) {
                        data = buffer_of(self, self->taken);
                        n = (ssize_t)self->sizes[self->taken % self->count];
                }
                self->piece = data;
                self->piece_left = (size_t)n;
        }
        return 1;
}

static ssize_t prefetch_next(struct stream *stream, const void **ret_data, struct error *err)
{
        struct prefetch *self = (struct prefetch *)stream;
        int result = have_piece(self, err);

        if (result <= 0)
                return result;
        *ret_data = self->piece;
        return (ssize_t)TAKE(self->piece_left, 0);
}

static ssize_t prefetch_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct prefetch *self = (struct prefetch *)stream;
        int result = have_piece(self, err);

        if (result <= 0)
                return result;
        if (size > self->piece_left)
                size = self->piece_left;
        memcpy(buffer, self->piece, size);
        self->piece += size;
        self->piece_left -= size;
        return (ssize_t)size;
}

/* ---- life ---- */

static void prefetch_free(struct prefetch *self)
{
        if (self->reading)
                stream_close(self->reading);
        if (self->has_passed)
                chunks_part_release(&self->passed);
        stream_close(self->source);
        pthread_cond_destroy(&self->changed);
        pthread_mutex_destroy(&self->lock);
        free(self->buffers);
        free(self->sizes);
        free(self);
}

static void prefetch_close(struct stream *stream)
{
        struct prefetch *self = (struct prefetch *)stream;

        pthread_mutex_lock(&self->lock);
        self->stop = true;
        atomic_store(&self->call_back, true);
        pthread_cond_signal(&self->changed);
        pthread_mutex_unlock(&self->lock);
        pthread_join(self->thread, NULL);
        prefetch_free(self);
}

static size_t buffers_for(size_t ahead)
{
        size_t count = ahead / BUFFER_SIZE;

        if (count < BUFFERS_LEAST)
                return BUFFERS_LEAST;
        return count < BUFFERS_MOST ? count : BUFFERS_MOST;
}

struct stream *codec_prefetch_scouting(struct stream *source, size_t ahead, unsigned int threads,
                                       size_t chunks_ahead, struct error *err)
{
        struct prefetch *self = calloc(1, sizeof(*self));
        int result;

        if (!self) {
                stream_close(source);
                error_no_memory(err);
                return NULL;
        }
        self->base = (struct stream){ .read = prefetch_read,
                                      .next = prefetch_next,
                                      .close = prefetch_close };
        self->source = source;
        self->threads = threads;
        self->chunks_ahead = chunks_ahead;
        self->count = buffers_for(ahead);
        self->sizes = calloc(self->count, sizeof(*self->sizes));
        self->buffers = malloc(self->count * BUFFER_SIZE);
        pthread_mutex_init(&self->lock, NULL);
        pthread_cond_init(&self->changed, NULL);
        result = self->sizes && self->buffers ? thread_start(&self->thread, run, self) : ENOMEM;
        if (result != 0) {
                prefetch_free(self);
                error_set(err, result, "cannot start a thread: %s", strerror(result));
                return NULL;
        }
        return &self->base;
}

struct stream *codec_prefetch(struct stream *source, size_t ahead, struct error *err)
{
        return codec_prefetch_scouting(source, ahead, 0, 0, err);
}
