#include "unpack/ref_set.h"

#include <stdlib.h>

#define CAPACITY_MIN 256

/* The slot that holds the reference, or the empty one where it belongs. */
static squashfs_ref *slot_of(squashfs_ref *slots, size_t capacity, squashfs_ref ref)
{
        size_t at = (ref * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (capacity - 1);

        while (slots[at] != 0 && slots[at] != ref + 1)
                at = (at + 1) & (capacity - 1);
        return &slots[at];
}

static int grow(struct ref_set *set)
{
        size_t capacity = set->capacity ? set->capacity * 2 : CAPACITY_MIN;
        squashfs_ref *slots = calloc(capacity, sizeof(*slots));

        if (!slots)
                return -1;
        for (size_t i = 0; i < set->capacity; i++) {
                if (set->slots[i] != 0)
                        *slot_of(slots, capacity, set->slots[i] - 1) = set->slots[i];
        }
        free(set->slots);
        set->slots = slots;
        set->capacity = capacity;
        return 0;
}

int ref_set_add(struct ref_set *set, squashfs_ref ref)
{
        squashfs_ref *slot;

        /* At most half full, so that a search ends soon. */
        if (set->count * 2 >= set->capacity && grow(set) < 0)
                return -1;
        slot = slot_of(set->slots, set->capacity, ref);
        if (*slot != 0)
                return 0;
        *slot = ref + 1;
        set->count++;
        return 1;
}

void ref_set_release(struct ref_set *set)
{
        free(set->slots);
        *set = (struct ref_set)REF_SET_INIT;
}
