/*
 * A thread that reads a stream ahead of its reader.
 *
 * A ring of buffers: the thread fills the one at "filled", the reader holds the
 * one at "taken", and each owns its buffer alone while it does so. The counters
 * and the flags are under the lock.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "util/thread.h"

#define BUFFER_SIZE   (512 * 1024)
#define BUFFERS_LEAST 2
#define BUFFERS_MOST  64

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
        struct error failure;

        /* Of the reader alone. */
        bool holding;  /* the buffer number "taken" */
        size_t offset; /* what read has copied of it */

        size_t count;
        size_t *sizes; /* of what the buffers hold */
        char *buffers;
};

static char *buffer_of(const struct prefetch *self, uint64_t number)
{
        return self->buffers + number % self->count * BUFFER_SIZE;
}

/* ---- the thread ---- */

/* Wait for a free buffer. False when the reader is gone. */
static bool wait_for_room(struct prefetch *self)
{
        bool stop;

        pthread_mutex_lock(&self->lock);
        while (!self->stop && self->filled - self->taken == self->count)
                pthread_cond_wait(&self->changed, &self->lock);
        stop = self->stop;
        pthread_mutex_unlock(&self->lock);
        return !stop;
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

/* Give back the buffer held, if any, and wait for the next. Its size, 0 at the end, or -1. */
static ssize_t take(struct prefetch *self, struct error *err)
{
        ssize_t size = 0;

        pthread_mutex_lock(&self->lock);
        if (self->holding) {
                self->taken++;
                self->holding = false;
                pthread_cond_signal(&self->changed);
        }
        while (self->filled == self->taken && !self->ended)
                pthread_cond_wait(&self->changed, &self->lock);
        if (self->filled > self->taken) {
                self->holding = true;
                self->offset = 0;
                size = (ssize_t)self->sizes[self->taken % self->count];
        } else if (self->failure.code != 0) {
                *err = self->failure;
                size = -1;
        }
        pthread_mutex_unlock(&self->lock);
        return size;
}

static size_t left_in_buffer(const struct prefetch *self)
{
        return self->holding ? self->sizes[self->taken % self->count] - self->offset : 0;
}

static ssize_t prefetch_next(struct stream *stream, const void **ret_data, struct error *err)
{
        struct prefetch *self = (struct prefetch *)stream;
        size_t left = left_in_buffer(self);

        if (left == 0) {
                ssize_t size = take(self, err);

                if (size <= 0)
                        return size;
                left = (size_t)size;
        }
        *ret_data = buffer_of(self, self->taken) + self->offset;
        self->offset += left;
        return (ssize_t)left;
}

static ssize_t prefetch_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct prefetch *self = (struct prefetch *)stream;
        size_t n;

        if (left_in_buffer(self) == 0) {
                ssize_t taken = take(self, err);

                if (taken <= 0)
                        return taken;
        }
        n = left_in_buffer(self) < size ? left_in_buffer(self) : size;
        memcpy(buffer, buffer_of(self, self->taken) + self->offset, n);
        self->offset += n;
        return (ssize_t)n;
}

/* ---- life ---- */

static void prefetch_free(struct prefetch *self)
{
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

struct stream *codec_prefetch(struct stream *source, size_t ahead, struct error *err)
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
