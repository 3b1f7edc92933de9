/*
 * containers-registries.conf(5), version 2: where a registry really is, its mirrors,
 * whether it may be spoken to at all. Pure; site.c reads the files.
 *
 * Of the format, short names (unqualified-search-registries, aliases) and
 * credential-helpers mean nothing here and are passed over.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "util/error.h"

#define REGISTRIES_FILE_LIMIT   (1u << 20) /* bytes */
#define REGISTRIES_ENTRY_LIMIT  1000u
#define REGISTRIES_MIRROR_LIMIT 32u /* of one registry */

enum registries_use {
        REGISTRIES_USE_ALWAYS,
        REGISTRIES_USE_DIGEST, /* only for references with a digest */
        REGISTRIES_USE_TAG,
};

struct registries_mirror {
        char *location; /* host[:port][/path] */
        bool insecure;
        enum registries_use use;
};

/* A [[registry]]. */
struct registries_entry {
        char *prefix;   /* host[:port][/path], or "*.domain" */
        char *location; /* what takes the prefix's place; NULL: nothing does */
        bool insecure, blocked;
        struct registries_mirror *mirrors; /* in the order in which they are tried */
        size_t mirror_count;
        char *file;
};

struct registries {
        struct registries_entry *entries;
        size_t count;
};

void registries_release(struct registries *registries);
#define auto_registries auto_cleanup(registries_release)

/*
 * Add what a file says; an entry replaces an earlier one of the same prefix.
 * Returns 0, or -1 with *err naming the line; the caller puts the file in front.
 */
int registries_parse(struct registries *registries, const char *text, size_t length,
                     const char *file, struct error *err);

/* The entry with the longest prefix of HOST/REPOSITORY, or NULL. */
const struct registries_entry *registries_find(const struct registries *registries,
                                               const char *name);

/* name with location instead of the entry's prefix (NULL: as it is). malloc'd, or NULL. */
char *registries_rewrite(const struct registries_entry *entry, const char *location,
                         const char *name);

/* Whether a host as a whole is marked as insecure: that is what counts for redirects to it. */
bool registries_host_insecure(const struct registries *registries, const char *host);
