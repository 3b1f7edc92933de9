/* See duplicates.h. */
#include "squashfs/duplicates.h"

#include <errno.h>

#define FIRST_CAPACITY 256

void duplicates_release(struct duplicates *duplicates)
{
        free(duplicates->files);
        hash_index_release(&duplicates->index);
        *duplicates = (struct duplicates)DUPLICATES_INIT;
}

static int append(struct duplicates *duplicates, struct stored_file *file, uint64_t hash)
{
        if (duplicates->count == duplicates->capacity) {
                uint32_t capacity =
                        duplicates->capacity ? duplicates->capacity * 2 : FIRST_CAPACITY;
                struct stored_file **files;

                if (capacity < duplicates->capacity)
                        return -1;
                files = reallocarray(duplicates->files, capacity, sizeof(*files));
                if (!files)
                        return -1;
                duplicates->files = files;
                duplicates->capacity = capacity;
        }
        if (hash_index_add(&duplicates->index, hash, duplicates->count) < 0)
                return -1;
        duplicates->files[duplicates->count++] = file;
        return 0;
}

typedef bool same_fn(const struct stored_file *a, const struct stored_file *b);

/* By a hash that is equal where the files are the same. */
static int find_or_add(struct duplicates *set, uint64_t hash, same_fn *same,
                       struct stored_file *file, struct stored_file **ret)
{
        size_t cursor = 0;
        uint32_t item;

        while (hash_index_next(&set->index, hash, &cursor, &item)) {
                if (same(set->files[item], file)) {
                        *ret = set->files[item];
                        return 0;
                }
        }
        *ret = NULL;
        return append(set, file, hash);
}

static bool same_size(const struct stored_file *a, const struct stored_file *b)
{
        return a->size == b->size;
}

int duplicates_find_or_add_size(struct duplicates *sizes, const struct content_hash_key *key,
                                struct stored_file *file, struct stored_file **ret_first)
{
        /* With the key, so that no image can choose sizes whose slots collide. */
        uint64_t hash = content_hash_of(key, &file->size, sizeof(file->size)).value[0];

        return find_or_add(sizes, hash, same_size, file, ret_first);
}

static bool same_content(const struct stored_file *a, const struct stored_file *b)
{
        return same_size(a, b) && content_hash_equal(&a->hash, &b->hash);
}

int duplicates_find_or_add(struct duplicates *duplicates, struct stored_file *file,
                           struct stored_file **ret_earlier)
{
        return find_or_add(duplicates, file->hash.value[0], same_content, file, ret_earlier);
}
