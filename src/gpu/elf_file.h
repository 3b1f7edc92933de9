/*
 * The little of ELF that matters about libraries: for which machine one is, what its SONAME
 * is, and NVIDIA's note about forward compatibility. Of little-endian files, as all
 * machines with NVIDIA drivers write them. Pure: a callback reads.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/strbuf.h"

/* Limits on what a file may claim to have. */
#define ELF_HEADERS_LIMIT 4096u       /* program headers, section headers, entries of .dynamic */
#define ELF_NAME_LIMIT    256u        /* a SONAME or section name, with its NUL */
#define ELF_NOTE_LIMIT    (64u << 10) /* bytes of a note section */

struct elf_file {
        /* As pread(2): fewer bytes than asked for only at the end of the file. */
        ssize_t (*read)(const struct elf_file *file, void *buffer, size_t size, uint64_t offset);
        int fd;             /* of elf_read_fd */
        const void *memory; /* of elf_read_memory */
        size_t size;
};

ssize_t elf_read_fd(const struct elf_file *file, void *buffer, size_t size, uint64_t offset);
ssize_t elf_read_memory(const struct elf_file *file, void *buffer, size_t size, uint64_t offset);

struct elf_library {
        uint16_t machine; /* EM_X86_64 … */
        bool wide;        /* ELFCLASS64 */
        char soname[ELF_NAME_LIMIT]; /* "" when it has none */
};

/* Read headers and SONAME. False for what is no shared object. */
bool elf_read_library(const struct elf_file *file, struct elf_library *ret);

/*
 * Append the descriptor of the first note in the section of that name whose owner is as
 * given. Returns 1; 0 when there is none; -1 without memory.
 */
int elf_read_note(const struct elf_file *file, const char *section, const char *owner,
                  struct strbuf *descriptor);

/* The architecture in the flags of an entry of ld.so.cache (glibc, sysdeps/generic/ldconfig.h). */
unsigned int elf_cache_flags(const struct elf_library *library);
