/* Files of a host and of images that tests make up. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/strbuf.h"

/* Write a file below the current directory, with its directories. */
void put_file(const char *path, const void *content, size_t size);
void put_text(const char *path, const char *text);
void put_link(const char *path, const char *target);

/* Append a shared object of ELF; soname NULL: without one. */
void append_elf(struct strbuf *file, uint16_t machine, const char *soname);

/* The same with a note section "NAME" of the owner. */
void append_elf_note(struct strbuf *file, const char *section, const char *owner,
                     const char *note);

/* One entry of ld.so.cache. */
struct cache_line {
        uint32_t flags;
        const char *name, *path;
};

/* Append an ld.so.cache in format 1.1. */
void append_cache(struct strbuf *file, const struct cache_line *lines, size_t count);
