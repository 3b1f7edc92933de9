/* Parsers of what drivers and the dynamic linker leave for others to read. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The version in /proc/driver/nvidia/version ("… Kernel Module  535.129.03  Thu …"). */
bool nvidia_version_parse(const char *text, char *ret, size_t size);

/*
 * The path of a library in ld.so.cache, or NULL. The strings of the cache are pairs of
 * name and path (glibc, elf/cache.c); the table before them is not needed for this.
 */
const char *ld_cache_find(const char *cache, size_t length, const char *library);
