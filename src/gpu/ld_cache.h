/*
 * ld.so.cache of glibc (elf/cache.c, sysdeps/generic/dl-cache.h), format 1.1: what glibc
 * writes since 2.2, alone or behind a section of the older format. Pure, on bytes that an
 * image may have made up.
 */
#pragma once

#include <stdint.h>

#include "gpu/gpu.h"
#include "util/strbuf.h"

/* Largest cache that is read, in bytes: a host with thousands of libraries has 300 KiB. */
#define LD_CACHE_LIMIT (8u << 20)

/* Flags of libraries for this machine's own programs, and for its 32-bit ones. */
extern const unsigned int ld_cache_native_flags, ld_cache_compat_flags;

struct ld_cache {
        const char *start; /* of the header that offsets count from */
        size_t length;
        uint32_t count;
};

struct ld_cache_entry {
        const char *name, *path;
        uint32_t flags;
};

/* False for what is no such cache. */
bool ld_cache_parse(const char *text, size_t length, struct ld_cache *ret);

/* One entry; false when it is malformed. */
bool ld_cache_entry_at(const struct ld_cache *cache, uint32_t index, struct ld_cache_entry *ret);

/*
 * A cache with the libraries in it, under their SONAMEs in the directories of their paths.
 * Older entries of the same name and architecture are left out; of two libraries, the first
 * counts. Returns 1; 0 when the cache is malformed (ret is unchanged then); -1 without memory.
 */
int ld_cache_add(const struct ld_cache *cache, const struct gpu_library *libraries, size_t count,
                 struct strbuf *ret);
