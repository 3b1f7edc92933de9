#include "util/link_names.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define BITS_FIRST 6

static size_t slot_count(const struct link_names *names)
{
        return names->bits > 0 ? (size_t)1 << names->bits : 0;
}

static struct link_name *find_slot(const struct link_names *names, uint64_t inode)
{
        size_t i = (size_t)(inode * names->multiplier >> (64 - names->bits));

        for (;; i++) {
                struct link_name *slot = &names->slots[i & (slot_count(names) - 1)];

                if (!slot->path || slot->inode == inode)
                        return slot;
        }
}

/* Keep at least half of the slots empty. */
static int make_room(struct link_names *names, struct error *err)
{
        struct link_names larger = {
                .bits = names->bits > 0 ? names->bits + 1 : BITS_FIRST,
                .count = names->count,
                .multiplier = names->multiplier,
        };

        if (2 * names->count < slot_count(names))
                return 0;
        if (names->bits == 0 && getrandom(&larger.multiplier, sizeof(larger.multiplier),
                                          GRND_NONBLOCK) != sizeof(larger.multiplier))
                larger.multiplier = UINT64_C(0x9e3779b97f4a7c15);
        larger.multiplier |= 1;
        larger.slots = calloc(slot_count(&larger), sizeof(*larger.slots));
        if (!larger.slots)
                return error_no_memory(err);
        for (size_t i = 0; i < slot_count(names); i++)
                if (names->slots[i].path)
                        *find_slot(&larger, names->slots[i].inode) = names->slots[i];
        free(names->slots);
        *names = larger;
        return 0;
}

int link_names_note(struct link_names *names, uint64_t inode, const char *path,
                    const char **ret_first, struct error *err)
{
        struct link_name *slot;

        if (make_room(names, err) < 0)
                return -1;
        slot = find_slot(names, inode);
        *ret_first = slot->path;
        if (slot->path)
                return 0;
        slot->inode = inode;
        slot->path = strdup(path);
        if (!slot->path)
                return error_no_memory(err);
        names->count++;
        return 0;
}

void link_names_release(struct link_names *names)
{
        for (size_t i = 0; i < slot_count(names); i++)
                free(names->slots[i].path);
        free(names->slots);
        *names = (struct link_names)LINK_NAMES_INIT;
}
