/*
 * A list of owned strings.
 *
 * Invariant: items is NULL (count 0) or holds count strings and a final NULL,
 * so that it can be given to execve as it is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/cleanup.h"

struct strlist {
        char **items;
        size_t count, capacity;
};

#define STRLIST_INIT { .items = NULL }

void strlist_release(struct strlist *list);
#define auto_strlist auto_cleanup(strlist_release)

/* Append a copy of text, or of size bytes of it. Return 0, or -1 when memory has run out. */
int strlist_append(struct strlist *list, const char *text);
int strlist_append_mem(struct strlist *list, const char *text, size_t size);

/* Append text itself, which then belongs to the list (it is freed on failure, too). */
int strlist_append_owned(struct strlist *list, char *text);

/* Remove and free the item at index; later items move down. */
void strlist_remove(struct strlist *list, size_t index);

bool strlist_contains(const struct strlist *list, const char *text);

/* Sort by byte value, as the C locale's shell globs do. */
void strlist_sort(struct strlist *list);
