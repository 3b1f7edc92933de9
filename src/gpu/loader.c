/*
 * What makes the container's linker find injected libraries: links under their SONAMEs, and
 * an ld.so.cache with them in it, which is put together here and mounted over the image's.
 * No ldconfig is run, the image's no more than the host's: that takes longer than a whole
 * start, fails on images that have none or one that crashes, follows the image's links
 * (CVE-2025-23267), and what it would find is known already.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "env/env.h"
#include "gpu/elf_file.h"
#include "gpu/injection.h"
#include "gpu/ld_cache.h"

#define LD_CACHE "/etc/ld.so.cache"

int gpu_injection_library(struct gpu_injection *injection, const char *source, const char *target,
                          struct error *err)
{
        struct elf_library library;
        auto_close int fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        const struct elf_file file = { .read = elf_read_fd, .fd = fd };

        if (fd < 0 || !elf_read_library(&file, &library))
                return 0;
        return gpu_injection_add_library(injection,
                                         &(struct gpu_library){
                                                 .soname = *library.soname ? library.soname : NULL,
                                                 .path = (char *)target,
                                                 .source = (char *)source,
                                                 .flags = elf_cache_flags(&library),
                                         },
                                         err);
}

/* ---- links ---- */

/* Where the name of a path starts. */
static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

static bool has_link(const struct gpu_injection *injection, const char *path)
{
        for (size_t i = 0; i < injection->link_count; i++)
                if (strcmp(injection->links[i].path, path) == 0)
                        return true;
        return false;
}

int gpu_injection_alias(const struct gpu_request *request, struct gpu_injection *injection,
                        const char *path, const char *name, const char *source, struct error *err)
{
        auto_free char *present = request->view->readlink(request->view, path);
        mode_t mode;

        if (present ? strcmp(present, name) == 0 : has_link(injection, path))
                return 0;
        if (present || request->view->mode(request->view, path, &mode) < 0)
                return gpu_injection_link(injection, path, name, err);
        if (S_ISREG(mode) && source)
                return gpu_injection_bind(injection, GPU_FILE, source, path, true, err);
        return gpu_injection_warn(injection, err, "%s of the image is in the way of a link to %s",
                                  path, name);
}

static int make_links(const struct gpu_request *request, struct gpu_injection *injection,
                      struct error *err)
{
        for (size_t i = 0; i < injection->library_count; i++) {
                const struct gpu_library *library = &injection->libraries[i];
                const char *name = base_name(library->path);
                auto_strbuf struct strbuf path = STRBUF_INIT;

                if (!library->soname || !library->source || strcmp(library->soname, name) == 0)
                        continue;
                strbuf_append_mem(&path, library->path, (size_t)(name - library->path));
                if (strbuf_append(&path, library->soname) < 0)
                        return error_no_memory(err);
                if (gpu_injection_alias(request, injection, path.data, name, library->source, err) <
                    0)
                        return -1;
        }
        return 0;
}

/* ---- the linker ---- */

/* Put the libraries' directories in front of LD_LIBRARY_PATH. */
static int set_library_path(const struct gpu_request *request, struct gpu_injection *injection,
                            struct error *err)
{
        const char *present = env_get(request->container, "LD_LIBRARY_PATH");
        auto_strlist struct strlist dirs = STRLIST_INIT;
        auto_strbuf struct strbuf value = STRBUF_INIT;

        for (size_t i = 0; i < injection->library_count; i++) {
                const struct gpu_library *library = &injection->libraries[i];
                size_t length = (size_t)(base_name(library->path) - 1 - library->path);
                auto_free char *dir = strndup(library->path, length);

                if (!dir || (library->flags == ld_cache_native_flags &&
                             !strlist_contains(&dirs, dir) && strlist_append(&dirs, dir) < 0))
                        return error_no_memory(err);
        }
        if (dirs.count == 0)
                return 0;
        for (size_t i = 0; i < dirs.count; i++)
                strbuf_printf(&value, "%s%s", i > 0 ? ":" : "", dirs.items[i]);
        if (present && *present)
                strbuf_printf(&value, ":%s", present);
        if (value.failed)
                return error_no_memory(err);
        return gpu_injection_setenv(injection, "LD_LIBRARY_PATH", value.data, err);
}

int gpu_injection_finish(const struct gpu_request *request, struct gpu_injection *injection,
                         struct error *err)
{
        auto_strbuf struct strbuf old = STRBUF_INIT, text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        struct ld_cache cache;
        int added = 0;

        if (injection->library_count == 0)
                return 0;
        if (make_links(request, injection, err) < 0)
                return -1;
        if (request->view->read(request->view, LD_CACHE, LD_CACHE_LIMIT, &old, &ignored) == 0 &&
            ld_cache_parse(strbuf_text(&old), old.length, &cache))
                added = ld_cache_add(&cache, injection->libraries, injection->library_count, &text);
        if (added < 0)
                return error_no_memory(err);
        if (added == 0)
                return set_library_path(request, injection, err);
        return gpu_injection_memory(injection, LD_CACHE, text.data, text.length, err);
}
