#include "unpack/dir_cache.h"

#include <fcntl.h>
#include <unistd.h>

#include "util/cleanup.h"

int dir_cache_init(struct dir_cache *cache, int root_fd, size_t slots, struct error *err)
{
        cache->root_fd = root_fd;
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

/* Recurses to the nearest ancestor that is open; PLAN_DEPTH_MAX bounds that. */
int dir_cache_open(struct dir_cache *cache, const struct plan_directory *directory,
                   struct error *err)
{
        struct dir_slot *slot = &cache->slots[directory->number % cache->slot_count];
        int parent, fd;

        if (!directory->parent)
                return cache->root_fd;
        if (slot->directory == directory)
                return slot->fd;

        parent = dir_cache_open(cache, directory->parent, err);
        if (parent < 0)
                return -1;
        fd = openat(parent, directory->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0) {
                error_errno(err, "open");
                return plan_error(err, "extract", directory, NULL);
        }
        if (slot->directory)
                (void)close(slot->fd);
        slot->directory = directory;
        slot->fd = fd;
        return fd;
}
