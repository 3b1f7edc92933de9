/*
 * The threads behind block_pipeline.h.
 *
 * Blocks wait in one queue in the order of their submission. A thread that has
 * nothing to do takes, in this order of preference: the head of the queue, once it is
 * processed, to place it (one thread at a time); or the first block that nobody
 * processes yet. So whoever is free does what is most urgent, and no thread of its own
 * is needed for writing.
 *
 * After a failure everything goes on as before, but nothing is processed or written any
 * more: the queue runs empty, and neither the submitter nor a thread can hang.
 */
#include "squashfs/block_pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>

#include "squashfs/duplicates.h"
#include "squashfs/output.h"
#include "util/cleanup.h"
#include "util/thread.h"

#define FIRST_FRAGMENT_CAPACITY 64

/* Bytes. Large enough for long transfers, small against any memory. */
#define WRITEBACK_STEP ((uint64_t)16 << 20)

struct worker {
        struct block_pipeline *pipeline;
        sqfs_compressor_t *compressor;
        pthread_t thread;
        bool started;
};

struct block_pipeline {
        struct block_pipeline_config config;
        struct worker *workers;

        pthread_mutex_t lock;
        pthread_cond_t work;       /* something to do for a thread, or the end */
        pthread_cond_t spare;      /* for the submitter: a block is free, or the queue empty */
        struct block *head, *tail; /* submitted; placing takes from the head */
        struct block *todo;        /* the first in the queue that nobody processes yet */
        struct block *free;
        unsigned int allocated;
        bool placing; /* a thread is placing what it took from the head */
        bool stop;
        struct error error; /* the first failure */

        /* Of the thread that places; of the submitter after block_pipeline_drain. */
        uint64_t position, flushed; /* flushed: the disk has been told so far */
        uint64_t duplicate_count;
        struct duplicates duplicates;
        struct block_place *fragments;
        uint32_t fragment_count, fragment_capacity;
};

/* ---- processing: in any order ---- */

static int compress(const struct worker *worker, struct block *block, struct error *err)
{
        int32_t packed;

        /* Something that is not smaller is of no use, so the output needs no more room. */
        packed = worker->compressor->do_block(worker->compressor, block->data, block->size,
                                              block->packed, block->size);
        if (packed < 0)
                return error_set(err, EIO, "compress: libsquashfs error %d", (int)packed);
        if ((uint32_t)packed < block->size)
                block->packed_size = (uint32_t)packed;
        return 0;
}

static int process(const struct worker *worker, struct block *block, struct error *err)
{
        const struct block_pipeline_config *config = &worker->pipeline->config;

        switch (block->kind) {
        case BLOCK_DATA:
                block->hole = content_is_zero(block->data, block->size);
                if (block->hole)
                        return 0;
                if (block->file->hashed)
                        block->hash = content_hash_of(config->key, block->data, block->size);
                return config->plain_data ? 0 : compress(worker, block, err);
        case BLOCK_FRAGMENT:
                return config->plain_fragments ? 0 : compress(worker, block, err);
        case BLOCK_FILE_END:
                break;
        }
        return 0;
}

/* ---- placing: in order, one thread at a time ---- */

/*
 * Let the kernel start writing to the disk while the image grows; otherwise it would
 * begin when the image is published, with everybody waiting for the fsync. Only a hint,
 * so a failure does not matter.
 */
static void start_writeback(struct block_pipeline *pipeline)
{
        if (pipeline->position < pipeline->flushed + WRITEBACK_STEP)
                return;
        (void)sync_file_range(pipeline->config.fd, (off_t)pipeline->flushed,
                              (off_t)(pipeline->position - pipeline->flushed),
                              SYNC_FILE_RANGE_WRITE);
        pipeline->flushed = pipeline->position;
}

static int write_block(struct block_pipeline *pipeline, const struct block *block,
                       struct block_place *ret, struct error *err)
{
        bool packed = block->packed_size > 0;
        uint32_t size = packed ? block->packed_size : block->size;

        if (output_write(pipeline->config.fd, packed ? block->packed : block->data, size,
                         pipeline->position, err) < 0)
                return -1;
        *ret = (struct block_place){
                .start = pipeline->position,
                .size = packed ? size : size | BLOCK_UNCOMPRESSED,
        };
        pipeline->position += size;
        start_writeback(pipeline);
        return 0;
}

static int place_data(struct block_pipeline *pipeline, const struct block *block, struct error *err)
{
        struct stored_file *file = block->file;
        struct block_place place;

        if (block->hole)
                return 0;
        if (write_block(pipeline, block, &place, err) < 0)
                return -1;
        if (!file->placed) {
                file->start = place.start;
                file->placed = true;
        }
        file->blocks[block->index] = place.size;
        if (file->hashed)
                content_hash_extend(pipeline->config.key, &file->hash, block->index, &block->hash);
        return 0;
}

static int place_fragment(struct block_pipeline *pipeline, const struct block *block,
                          struct error *err)
{
        if (pipeline->fragment_count == pipeline->fragment_capacity) {
                uint32_t capacity = pipeline->fragment_capacity ? pipeline->fragment_capacity * 2
                                                                : FIRST_FRAGMENT_CAPACITY;
                struct block_place *fragments =
                        reallocarray(pipeline->fragments, capacity, sizeof(*fragments));

                if (!fragments)
                        return error_no_memory(err);
                pipeline->fragments = fragments;
                pipeline->fragment_capacity = capacity;
        }
        if (write_block(pipeline, block, &pipeline->fragments[pipeline->fragment_count], err) < 0)
                return -1;
        pipeline->fragment_count++;
        return 0;
}

/* Hash a file whose blocks are in the image, uncompressed. */
static int hash_placed(const struct block_pipeline *pipeline, struct stored_file *file,
                       struct error *err)
{
        const struct block_pipeline_config *config = &pipeline->config;
        auto_free uint8_t *data = malloc(config->block_size);
        uint64_t position = file->start;

        if (!data)
                return error_no_memory(err);
        for (uint32_t i = 0; i < file->block_count; i++) {
                uint32_t size = file->blocks[i] & ~BLOCK_UNCOMPRESSED;
                struct content_hash hash;

                if (size == 0)
                        continue;
                if (output_read(config->fd, data, size, position, err) < 0)
                        return -1;
                hash = content_hash_of(config->key, data, size);
                content_hash_extend(config->key, &file->hash, i, &hash);
                position += size;
        }
        return 0;
}

/* A second file of its size has come, so the first one's hash is needed after all. */
static int hash_first(struct block_pipeline *pipeline, struct stored_file *first, struct error *err)
{
        struct stored_file *earlier;

        first->hashed = true;
        if (!first->placed)
                return 0;
        if (hash_placed(pipeline, first, err) < 0)
                return -1;
        if (duplicates_find_or_add(&pipeline->duplicates, first, &earlier) < 0)
                return error_no_memory(err);
        return 0;
}

/* All blocks of a file are in the image: take them back if an earlier file has the same. */
static int place_end(struct block_pipeline *pipeline, struct stored_file *file, struct error *err)
{
        struct stored_file *first = file->first_of_size, *earlier;

        if (!file->hashed || !file->placed)
                return 0;
        if (first && !first->hashed && hash_first(pipeline, first, err) < 0)
                return -1;
        if (duplicates_find_or_add(&pipeline->duplicates, file, &earlier) < 0)
                return error_no_memory(err);
        if (!earlier)
                return 0;

        /* The next blocks overwrite them. */
        pipeline->position = file->start;
        pipeline->duplicate_count++;
        file->same_as = earlier;
        free(TAKE_PTR(file->blocks));
        return 0;
}

static int place(struct block_pipeline *pipeline, const struct block *block, struct error *err)
{
        switch (block->kind) {
        case BLOCK_DATA:
                return place_data(pipeline, block, err);
        case BLOCK_FRAGMENT:
                return place_fragment(pipeline, block, err);
        case BLOCK_FILE_END:
                return place_end(pipeline, block->file, err);
        }
        return 0;
}

/* ---- threads; place_head and process_next hold the lock on entry and return ---- */

static void note_error(struct block_pipeline *pipeline, const struct error *err)
{
        if (pipeline->error.code == 0)
                pipeline->error = *err;
}

static void place_head(struct block_pipeline *pipeline)
{
        struct block *block = pipeline->head;
        struct error err = ERROR_INIT;
        bool failed = pipeline->error.code != 0;
        int status = 0;

        pipeline->head = block->next;
        if (!pipeline->head)
                pipeline->tail = NULL;
        pipeline->placing = true;
        pthread_mutex_unlock(&pipeline->lock);
        if (!failed)
                status = place(pipeline, block, &err);
        pthread_mutex_lock(&pipeline->lock);
        if (status < 0)
                note_error(pipeline, &err);
        pipeline->placing = false;

        block->next = pipeline->free;
        pipeline->free = block;
        pthread_cond_signal(&pipeline->spare);
}

static void process_next(struct worker *worker)
{
        struct block_pipeline *pipeline = worker->pipeline;
        struct block *block = pipeline->todo;
        struct error err = ERROR_INIT;
        bool failed = pipeline->error.code != 0;
        int status = 0;

        pipeline->todo = block->next;
        pthread_mutex_unlock(&pipeline->lock);
        if (!failed)
                status = process(worker, block, &err);
        pthread_mutex_lock(&pipeline->lock);
        if (status < 0)
                note_error(pipeline, &err);
        block->processed = true;
}

static void *run_worker(void *argument)
{
        struct worker *worker = argument;
        struct block_pipeline *pipeline = worker->pipeline;

        pthread_mutex_lock(&pipeline->lock);
        while (!pipeline->stop) {
                if (!pipeline->placing && pipeline->head && pipeline->head->processed)
                        place_head(pipeline);
                else if (pipeline->todo)
                        process_next(worker);
                else
                        pthread_cond_wait(&pipeline->work, &pipeline->lock);
        }
        pthread_mutex_unlock(&pipeline->lock);
        return NULL;
}

static int start_worker(struct block_pipeline *pipeline, struct worker *worker)
{
        int status;

        worker->pipeline = pipeline;
        worker->compressor = sqfs_copy(pipeline->config.compressor);
        if (!worker->compressor)
                return ENOMEM;
        status = thread_start(&worker->thread, run_worker, worker);
        worker->started = status == 0;
        return status;
}

static int start_workers(struct block_pipeline *pipeline, struct error *err)
{
        int status = 0;

        pipeline->workers = calloc(pipeline->config.workers, sizeof(*pipeline->workers));
        if (!pipeline->workers)
                return error_no_memory(err);

        for (unsigned int i = 0; i < pipeline->config.workers && status == 0; i++)
                status = start_worker(pipeline, &pipeline->workers[i]);
        if (status != 0) {
                errno = status;
                return error_errno(err, "start a thread for compression");
        }
        return 0;
}

/* ---- the submitter's side ---- */

struct block_pipeline *block_pipeline_new(const struct block_pipeline_config *config,
                                          struct error *err)
{
        struct block_pipeline *pipeline = calloc(1, sizeof(*pipeline));

        if (!pipeline) {
                error_no_memory(err);
                return NULL;
        }
        pipeline->config = *config;
        pipeline->position = config->start;
        pthread_mutex_init(&pipeline->lock, NULL);
        pthread_cond_init(&pipeline->work, NULL);
        pthread_cond_init(&pipeline->spare, NULL);
        if (start_workers(pipeline, err) < 0) {
                block_pipeline_free(pipeline);
                return NULL;
        }
        return pipeline;
}

static void free_block(struct block *block)
{
        free(block->data);
        free(block->packed);
        free(block);
}

static void free_blocks(struct block *list)
{
        while (list) {
                struct block *next = list->next;

                free_block(list);
                list = next;
        }
}

void block_pipeline_free(struct block_pipeline *pipeline)
{
        if (!pipeline)
                return;

        pthread_mutex_lock(&pipeline->lock);
        pipeline->stop = true;
        pthread_cond_broadcast(&pipeline->work);
        pthread_mutex_unlock(&pipeline->lock);
        for (unsigned int i = 0; pipeline->workers && i < pipeline->config.workers; i++) {
                if (pipeline->workers[i].started)
                        pthread_join(pipeline->workers[i].thread, NULL);
                sqfs_destroy(pipeline->workers[i].compressor);
        }
        free(pipeline->workers);

        free_blocks(pipeline->head);
        free_blocks(pipeline->free);
        free(pipeline->fragments);
        duplicates_release(&pipeline->duplicates);
        pthread_cond_destroy(&pipeline->spare);
        pthread_cond_destroy(&pipeline->work);
        pthread_mutex_destroy(&pipeline->lock);
        free(pipeline);
}

static struct block *allocate_block(uint32_t block_size)
{
        struct block *block = calloc(1, sizeof(*block));

        if (!block)
                return NULL;
        block->data = malloc(block_size);
        block->packed = malloc(block_size);
        if (!block->data || !block->packed) {
                free_block(block);
                return NULL;
        }
        return block;
}

struct block *block_pipeline_get(struct block_pipeline *pipeline, struct error *err)
{
        struct block *block = NULL;

        pthread_mutex_lock(&pipeline->lock);
        while (!pipeline->free && pipeline->allocated == pipeline->config.blocks &&
               pipeline->error.code == 0)
                pthread_cond_wait(&pipeline->spare, &pipeline->lock);

        if (pipeline->error.code != 0) {
                *err = pipeline->error;
        } else if (pipeline->free) {
                block = pipeline->free;
                pipeline->free = block->next;
        } else {
                block = allocate_block(pipeline->config.block_size);
                if (block)
                        pipeline->allocated++;
                else
                        error_no_memory(err);
        }
        pthread_mutex_unlock(&pipeline->lock);

        if (block)
                *block = (struct block){ .data = block->data, .packed = block->packed };
        return block;
}

void block_pipeline_submit(struct block_pipeline *pipeline, struct block *block)
{
        pthread_mutex_lock(&pipeline->lock);
        if (pipeline->tail)
                pipeline->tail->next = block;
        else
                pipeline->head = block;
        pipeline->tail = block;
        if (!pipeline->todo)
                pipeline->todo = block;
        pthread_cond_signal(&pipeline->work);
        pthread_mutex_unlock(&pipeline->lock);
}

void block_pipeline_give_back(struct block_pipeline *pipeline, struct block *block)
{
        pthread_mutex_lock(&pipeline->lock);
        block->next = pipeline->free;
        pipeline->free = block;
        pthread_mutex_unlock(&pipeline->lock);
}

int block_pipeline_drain(struct block_pipeline *pipeline, struct error *err)
{
        int result = 0;

        pthread_mutex_lock(&pipeline->lock);
        while (pipeline->head || pipeline->placing)
                pthread_cond_wait(&pipeline->spare, &pipeline->lock);
        if (pipeline->error.code != 0) {
                *err = pipeline->error;
                result = -1;
        }
        pthread_mutex_unlock(&pipeline->lock);
        return result;
}

uint64_t block_pipeline_position(const struct block_pipeline *pipeline)
{
        return pipeline->position;
}

uint64_t block_pipeline_duplicates(const struct block_pipeline *pipeline)
{
        return pipeline->duplicate_count;
}

const struct block_place *block_pipeline_fragments(const struct block_pipeline *pipeline,
                                                   uint32_t *ret_count)
{
        *ret_count = pipeline->fragment_count;
        return pipeline->fragments;
}
