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

int duplicates_find_or_add_size(struct duplicates *sizes, const struct content_hash_key *key,
                                struct stored_file *file, struct stored_file **ret_first)
{
        /* With the key, so that no image can choose sizes whose slots collide. */
        uint64_t hash = content_hash_of(key, &file->size, sizeof(file->size)).value[0];
        size_t cursor = 0;
        uint32_t item;

        while (hash_index_next(&sizes->index, hash, &cursor, &item)) {
                if (sizes->files[item]->size == file->size) {
                        *ret_first = sizes->files[item];
                        return 0;
                }
        }
        *ret_first = NULL;
        return append(sizes, file, hash);
}

int duplicates_find_or_add(struct duplicates *duplicates, struct stored_file *file,
                           struct stored_file **ret_earlier)
{
        size_t cursor = 0;
        uint32_t item;

        while (hash_index_next(&duplicates->index, file->hash.value[0], &cursor, &item)) {
                struct stored_file *earlier = duplicates->files[item];

                if (earlier->size == file->size &&
                    content_hash_equal(&earlier->hash, &file->hash)) {
                        *ret_earlier = earlier;
                        return 0;
                }
        }
        *ret_earlier = NULL;
        return append(duplicates, file, file->hash.value[0]);
}
