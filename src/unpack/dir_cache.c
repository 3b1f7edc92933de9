#include "unpack/dir_cache.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "util/cleanup.h"

/* Directories that are kept open at most; each is about 1 KiB of the kernel's memory. */
#define KEPT_MAX 16384

/* Descriptors that others in this process may need meanwhile. */
#define DESCRIPTORS_LEFT 512

/* ---- the limit of open files ---- */

uint32_t open_files_raise(struct open_files *files, int fd)
{
        struct rlimit limit;
        uint32_t kept;
        int last;

        if (getrlimit(RLIMIT_NOFILE, &files->before) < 0)
                return 0;
        limit = files->before;
        if (limit.rlim_cur < KEPT_MAX + DESCRIPTORS_LEFT) {
                limit.rlim_cur = limit.rlim_max < KEPT_MAX + DESCRIPTORS_LEFT
                                         ? limit.rlim_max
                                         : KEPT_MAX + DESCRIPTORS_LEFT;
                files->is_raised = setrlimit(RLIMIT_NOFILE, &limit) == 0;
                if (!files->is_raised)
                        limit = files->before;
        }
        if (limit.rlim_cur <= DESCRIPTORS_LEFT)
                return 0;
        kept = limit.rlim_cur - DESCRIPTORS_LEFT < KEPT_MAX
                       ? (uint32_t)limit.rlim_cur - DESCRIPTORS_LEFT
                       : KEPT_MAX;
        /* The table grows once, before there are threads, with which each of its steps waits
         * for a grace period (kernel, fs/file.c, expand_fdtable). */
        last = fcntl(fd, F_DUPFD_CLOEXEC, (int)kept);
        if (last >= 0)
                (void)close(last);
        return kept;
}

void open_files_restore(struct open_files *files)
{
        if (files->is_raised)
                (void)setrlimit(RLIMIT_NOFILE, &files->before);
        files->is_raised = false;
}

/* ---- the cache ---- */

int dir_cache_init(struct dir_cache *cache, int root_fd, size_t slots, uint32_t kept,
                   struct error *err)
{
        cache->root_fd = root_fd;
        cache->kept = kept;
        cache->slot_count = slots;
        cache->slots = calloc(slots, sizeof(*cache->slots));
        return cache->slots ? 0 : error_no_memory(err);
}

void dir_cache_release(struct dir_cache *cache)
{
        for (size_t i = 0; cache->slots && i < cache->slot_count; i++) {
                if (cache->slots[i].directory)
                        (void)close(cache->slots[i].fd);
        }
        free(cache->slots);
        cache->slots = NULL;
}

/* Returns a new descriptor, or -1 with *err. */
static int open_directory(struct dir_cache *cache, const struct plan_directory *directory,
                          struct error *err)
{
        int parent = dir_cache_open(cache, directory->parent, err), fd;

        if (parent < 0)
                return -1;
        fd = openat(parent, directory->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
                error_errno(err, "open");
                return plan_error(err, "extract", directory, NULL);
        }
        return fd;
}

/* Recurses to the nearest ancestor that is open; PLAN_DEPTH_MAX bounds that. */
int dir_cache_open(struct dir_cache *cache, const struct plan_directory *directory,
                   struct error *err)
{
        struct dir_slot *slot = &cache->slots[directory->number % cache->slot_count];
        int fd;

        if (!directory->parent)
                return cache->root_fd;
        if (directory->fd >= 0)
                return directory->fd;
        if (slot->directory == directory)
                return slot->fd;

        fd = open_directory(cache, directory, err);
        if (fd < 0)
                return -1;
        if (slot->directory)
                (void)close(slot->fd);
        slot->directory = directory;
        slot->fd = fd;
        return fd;
}

int dir_cache_keep(struct dir_cache *cache, struct plan_directory *directory, struct error *err)
{
        if (!directory->parent || directory->number >= cache->kept)
                return 0;
        directory->fd = open_directory(cache, directory, err);
        return directory->fd < 0 ? -1 : 0;
}
