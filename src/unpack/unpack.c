/*
 * Extraction in three steps: directories while a list of the rest is made (plan.c), files on
 * several threads, then the directories' own modes and times, which would not
 * survive what is made inside them.
 *
 * Only this file starts threads. Between steps there is one; within a step they
 * share the plan, of which each changes only the items it has taken.
 */
#include "unpack/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "unpack/directories.h"
#include "unpack/extract.h"
#include "util/cancel.h"
#include "util/cleanup.h"
#include "util/thread.h"

#define THREADS_MAX 32

/* Directories that threads hold open, together, beside those that are kept (dir_cache.h). */
#define OPEN_DIRECTORIES_MAX 256

/* What a thread takes at a time: many small files, or a few larger ones. */
#define BATCH_ITEMS 64
#define BATCH_BYTES (4 << 20)

/* Files from this size on are written by all threads together, in parts. */
#define SHARED_FILE_MIN (64 << 20)
#define PART_SIZE       (8 << 20)

struct unpack {
        struct plan *plan;
        unsigned int threads;
        struct extractor *extractors; /* one for each thread */
        struct maker maker;

        pthread_mutex_t lock;
        uint64_t next; /* of the step: item, part or directory not yet taken */
        struct error *err;
        bool failed; /* err is set; everybody stops */

        struct plan_item *shared; /* the file that is written in parts, */
        int shared_fd;            /* and its descriptor */
};

struct worker {
        struct unpack *unpack;
        struct extractor *extractor;
        int (*step)(struct unpack *unpack, struct extractor *extractor, struct error *err);
};

/* ---- threads ---- */

static void *work(void *argument)
{
        const struct worker *worker = argument;
        struct unpack *unpack = worker->unpack;
        struct error err = ERROR_INIT;

        if (worker->step(unpack, worker->extractor, &err) < 0) {
                pthread_mutex_lock(&unpack->lock);
                if (!unpack->failed)
                        *unpack->err = err;
                unpack->failed = true;
                pthread_mutex_unlock(&unpack->lock);
        }
        return NULL;
}

/* Run a step on all threads. Returns 0, or -1 with the first error in unpack->err. */
static int run_step(struct unpack *unpack,
                    int (*step)(struct unpack *unpack, struct extractor *extractor,
                                struct error *err))
{
        struct worker workers[THREADS_MAX];
        pthread_t threads[THREADS_MAX];
        unsigned int started = 1;

        unpack->next = 0;
        for (unsigned int i = 0; i < unpack->threads; i++)
                workers[i] = (struct worker){ unpack, &unpack->extractors[i], step };
        /* With fewer threads than wanted it takes longer, and that is all. */
        while (started < unpack->threads &&
               thread_start(&threads[started], work, &workers[started]) == 0)
                started++;
        work(&workers[0]);
        for (unsigned int i = 1; i < started; i++)
                pthread_join(threads[i], NULL);
        return unpack->failed ? -1 : 0;
}

/* Take up to count numbers below end. Returns how many; 0 when all are taken or one failed. */
static uint64_t take(struct unpack *unpack, uint64_t count, uint64_t end, uint64_t *ret_first)
{
        pthread_mutex_lock(&unpack->lock);
        if (unpack->failed)
                count = 0;
        else if (count > end - unpack->next)
                count = end - unpack->next;
        *ret_first = unpack->next;
        unpack->next += count;
        pthread_mutex_unlock(&unpack->lock);
        return count;
}

/* ---- the plan and its directories ---- */

static void *make_beside(void *maker)
{
        (void)make_directories(maker);
        return NULL;
}

static int plan_and_make_directories(struct unpack *unpack, struct squashfs_image *image)
{
        struct directory_maker maker = {
                .plan = unpack->plan,
                .cache = &unpack->extractors[0].dirs,
                .err = ERROR_INIT,
        };
        pthread_t thread;
        bool beside = unpack->threads > 1 && thread_start(&thread, make_beside, &maker) == 0;
        int status = plan_build(unpack->plan, image, unpack->err);

        if (beside)
                pthread_join(thread, NULL);
        else if (status == 0)
                (void)make_directories(&maker);
        if (status < 0)
                return -1;
        if (maker.status < 0)
                *unpack->err = maker.err;
        return maker.status;
}

/* ---- files that all threads write ---- */

static int step_parts(struct unpack *unpack, struct extractor *extractor, struct error *err)
{
        const struct plan_item *item = unpack->shared;
        uint64_t parts = (item->size + PART_SIZE - 1) / PART_SIZE, part;

        while (take(unpack, 1, parts, &part) > 0) {
                uint64_t offset = part * PART_SIZE;
                uint64_t size = item->size - offset < PART_SIZE ? item->size - offset : PART_SIZE;

                if (extract_part(extractor, item, unpack->shared_fd, offset, offset + size, err) <
                    0)
                        return -1;
        }
        return 0;
}

static int extract_shared(struct unpack *unpack, struct plan_item *item)
{
        unpack->shared = item;
        unpack->shared_fd = extract_begin(&unpack->extractors[0], item, unpack->err);
        if (unpack->shared_fd < 0)
                return -1;
        if (run_step(unpack, step_parts) < 0) {
                (void)close(unpack->shared_fd);
                return -1;
        }
        item->is_extracted = true;
        return extract_end(&unpack->extractors[0], item, unpack->shared_fd, unpack->err);
}

static bool is_another_link(const struct plan *plan, size_t index)
{
        return index > 0 && plan->items[index]->ref == plan->items[index - 1]->ref;
}

static int extract_shared_files(struct unpack *unpack)
{
        const struct plan *plan = unpack->plan;

        for (size_t i = 0; unpack->threads > 1 && i < plan->item_count; i++) {
                if (plan->items[i]->size >= SHARED_FILE_MIN && !is_another_link(plan, i) &&
                    extract_shared(unpack, plan->items[i]) < 0)
                        return -1;
        }
        return 0;
}

/* ---- all other files ---- */

/* The items of a batch, as take() does. */
static uint64_t take_batch(struct unpack *unpack, uint64_t *ret_first)
{
        const struct plan *plan = unpack->plan;
        uint64_t count = 0, bytes = 0;

        pthread_mutex_lock(&unpack->lock);
        *ret_first = unpack->next;
        while (!unpack->failed && unpack->next < plan->item_count && count < BATCH_ITEMS &&
               bytes < BATCH_BYTES) {
                bytes += plan->items[unpack->next++]->size;
                count++;
        }
        pthread_mutex_unlock(&unpack->lock);
        return count;
}

/* The item and its other names, which may reach into the next batch. */
static int extract_with_links(struct unpack *unpack, struct extractor *extractor, size_t index,
                              struct error *err)
{
        const struct plan *plan = unpack->plan;
        const struct plan_item *first = plan->items[index];

        if (cancel_check(err) < 0)
                return -1;
        if (!first->is_extracted && extract_item(extractor, first, err) < 0)
                return -1;
        while (++index < plan->item_count && is_another_link(plan, index)) {
                if (extract_link(extractor, first, plan->items[index], err) < 0)
                        return -1;
        }
        return 0;
}

static int step_items(struct unpack *unpack, struct extractor *extractor, struct error *err)
{
        uint64_t first, count;

        while ((count = take_batch(unpack, &first)) > 0) {
                for (uint64_t i = first; i < first + count; i++) {
                        if (!is_another_link(unpack->plan, i) &&
                            extract_with_links(unpack, extractor, i, err) < 0)
                                return -1;
                }
        }
        return 0;
}

/* ---- directories ---- */

static int step_directories(struct unpack *unpack, struct extractor *extractor, struct error *err)
{
        const struct plan *plan = unpack->plan;
        uint64_t first, count;

        while ((count = take(unpack, BATCH_ITEMS, plan->directory_count, &first)) > 0) {
                for (uint64_t i = first; i < first + count; i++) {
                        if (extract_directory_end(extractor, plan->directories[i], err) < 0)
                                return -1;
                }
        }
        return 0;
}

/* ---- all of it ---- */

static void cleanup_unpack(struct unpack *unpack)
{
        for (unsigned int i = 0; unpack->extractors && i < unpack->threads; i++) {
                dir_cache_release(&unpack->extractors[i].dirs);
                squashfs_window_release(&unpack->extractors[i].window);
                free(unpack->extractors[i].buffer);
        }
        free(unpack->extractors);
        pthread_mutex_destroy(&unpack->lock);
}

static int prepare(struct unpack *unpack, struct squashfs_image *image, int root_fd, uint32_t kept,
                   struct error *err)
{
        unpack->extractors = calloc(unpack->threads, sizeof(*unpack->extractors));
        if (!unpack->extractors)
                return error_no_memory(err);
        for (unsigned int i = 0; i < unpack->threads; i++) {
                struct extractor *extractor = &unpack->extractors[i];

                extractor->image = image;
                extractor->maker = &unpack->maker;
                extractor->buffer = malloc(EXTRACT_BUFFER);
                if (!extractor->buffer)
                        return error_no_memory(err);
                if (dir_cache_init(&extractor->dirs, root_fd,
                                   OPEN_DIRECTORIES_MAX / unpack->threads, kept, err) < 0)
                        return -1;
        }
        return 0;
}

int unpack_image(struct squashfs_image *image, int dir_fd, const struct unpack_options *options,
                 struct error *err)
{
        unsigned int threads = options->threads;
        auto_open_files struct open_files files = { .is_raised = false };
        auto_plan struct plan plan = PLAN_INIT;
        auto_cleanup(cleanup_unpack) struct unpack unpack = {
                .plan = &plan,
                .threads = threads == 0            ? 1
                           : threads < THREADS_MAX ? threads
                                                   : THREADS_MAX,
                .maker = { .report = options->report, .keep_owners = options->keep_owners },
                .lock = PTHREAD_MUTEX_INITIALIZER,
                .err = err,
        };
        /* The caller's may be an O_PATH descriptor, which takes no mode and no time. */
        auto_close int root_fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (root_fd < 0)
                return error_errno(err, "open the directory to extract to");
        squashfs_read_once(image, unpack.threads);
        if (prepare(&unpack, image, root_fd, open_files_raise(&files, root_fd), err) < 0 ||
            plan_and_make_directories(&unpack, image) < 0 || extract_shared_files(&unpack) < 0 ||
            run_step(&unpack, step_items) < 0)
                return -1;
        return run_step(&unpack, step_directories);
}
