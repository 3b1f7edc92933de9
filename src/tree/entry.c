#include "tree/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void xattr_list_release(struct xattr_list *list)
{
        for (size_t i = 0; i < list->count; i++) {
                free(list->items[i].name);
                free(list->items[i].value);
        }
        free(list->items);
        *list = (struct xattr_list){ .items = NULL };
}

void entry_meta_release(struct entry_meta *meta)
{
        free(meta->target);
        xattr_list_release(&meta->xattrs);
        *meta = (struct entry_meta){ .target = NULL };
}

void entry_release(struct entry *entry)
{
        free(entry->path);
        entry->path = NULL;
        entry_meta_release(&entry->meta);
}

static bool starts_with(const char *text, const char *prefix)
{
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool xattr_is_kept(const char *name)
{
        if (starts_with(name, "user."))
                return !starts_with(name, "user.overlay.");
        if (starts_with(name, "trusted."))
                return !starts_with(name, "trusted.overlay.");
        return starts_with(name, "security.") && strcmp(name, "security.selinux") != 0;
}

/* Where name is, or where it has to be inserted. */
static size_t xattr_position(const struct xattr_list *list, const char *name)
{
        size_t low = 0, high = list->count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (strcmp(list->items[middle].name, name) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

const struct xattr *xattr_list_find(const struct xattr_list *list, const char *name)
{
        size_t position = xattr_position(list, name);

        if (position == list->count || strcmp(list->items[position].name, name) != 0)
                return NULL;
        return &list->items[position];
}

static void *copy_value(const void *value, size_t size)
{
        void *copy = malloc(size > 0 ? size : 1);

        if (copy && size > 0)
                memcpy(copy, value, size);
        return copy;
}

int xattr_list_set(struct xattr_list *list, const char *name, const void *value, size_t size)
{
        size_t position = xattr_position(list, name);
        void *copy = copy_value(value, size);
        struct xattr *items;
        char *name_copy;

        if (!copy)
                return -1;
        if (position < list->count && strcmp(list->items[position].name, name) == 0) {
                free(list->items[position].value);
                list->items[position].value = copy;
                list->items[position].size = size;
                return 0;
        }

        name_copy = strdup(name);
        items = name_copy ? reallocarray(list->items, list->count + 1, sizeof(*items)) : NULL;
        if (!items) {
                free(name_copy);
                free(copy);
                return -1;
        }
        memmove(items + position + 1, items + position, (list->count - position) * sizeof(*items));
        items[position] = (struct xattr){ .name = name_copy, .value = copy, .size = size };
        list->items = items;
        list->count++;
        return 0;
}

mode_t entry_type_bits(enum entry_type type)
{
        switch (type) {
        case ENTRY_DIRECTORY:
                return S_IFDIR;
        case ENTRY_SYMLINK:
                return S_IFLNK;
        case ENTRY_FIFO:
                return S_IFIFO;
        case ENTRY_SOCKET:
                return S_IFSOCK;
        case ENTRY_CHAR_DEVICE:
                return S_IFCHR;
        case ENTRY_BLOCK_DEVICE:
                return S_IFBLK;
        case ENTRY_FILE:
        case ENTRY_HARDLINK:
        case ENTRY_WHITEOUT:
        case ENTRY_OPAQUE:
                break;
        }
        return S_IFREG;
}
