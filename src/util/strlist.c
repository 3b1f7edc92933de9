#include "util/strlist.h"

#include <string.h>

void strlist_release(struct strlist *list)
{
        for (size_t i = 0; i < list->count; i++)
                free(list->items[i]);
        free(list->items);
        *list = (struct strlist)STRLIST_INIT;
}

int strlist_append_owned(struct strlist *list, char *text)
{
        auto_free char *owned = text;

        if (!owned)
                return -1;
        if (list->count + 2 > list->capacity) {
                size_t capacity = list->capacity ? list->capacity * 2 : 8;
                char **items = reallocarray(list->items, capacity, sizeof(*items));

                if (!items)
                        return -1;
                list->items = items;
                list->capacity = capacity;
        }
        list->items[list->count++] = TAKE_PTR(owned);
        list->items[list->count] = NULL;
        return 0;
}

int strlist_append(struct strlist *list, const char *text)
{
        return strlist_append_owned(list, strdup(text));
}

int strlist_append_mem(struct strlist *list, const char *text, size_t size)
{
        return strlist_append_owned(list, strndup(text, size));
}

void strlist_remove(struct strlist *list, size_t index)
{
        free(list->items[index]);
        memmove(list->items + index, list->items + index + 1,
                (list->count - index) * sizeof(*list->items));
        list->count--;
}

bool strlist_contains(const struct strlist *list, const char *text)
{
        for (size_t i = 0; i < list->count; i++)
                if (strcmp(list->items[i], text) == 0)
                        return true;
        return false;
}

static int compare(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

void strlist_sort(struct strlist *list)
{
        if (list->count > 1)
                qsort(list->items, list->count, sizeof(*list->items), compare);
}
