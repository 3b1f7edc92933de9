/* Libraries of ELF, and caches of the dynamic linker: read, and written again with more. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "gpu/elf_file.h"
#include "gpu/ld_cache.h"

static void try_elf(const uint8_t *data, size_t size)
{
        const struct elf_file file = { .read = elf_read_memory, .memory = data, .size = size };
        auto_strbuf struct strbuf note = STRBUF_INIT;
        struct elf_library library;

        if (elf_read_library(&file, &library) &&
            (strchr(library.soname, '/') || library.soname[0] == '.'))
                abort();
        (void)elf_read_note(&file, ".note.x", "Owner", &note);
}

/* What was added is found, and nothing that was there is lost but what it replaces. */
static void try_cache(const char *text, size_t size)
{
        const struct gpu_library library = {
                .soname = (char *)"libcuda.so.1",
                .path = (char *)"/usr/lib/libcuda.so.535.1",
                .flags = ld_cache_native_flags,
        };
        auto_strbuf struct strbuf made = STRBUF_INIT;
        struct ld_cache cache;
        const char *path;

        (void)gpu_ld_cache_find(text, size, "libcuda.so.1");
        if (!ld_cache_parse(text, size, &cache) || ld_cache_add(&cache, &library, 1, &made) != 1)
                return;
        path = gpu_ld_cache_find(made.data, made.length, "libcuda.so.1");
        if (!path || strcmp(path, "/usr/lib/libcuda.so.1") != 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        try_elf(data, size);
        try_cache((const char *)data, size);
        return 0;
}
