#include "gpu/injection.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "env/env.h"

static void library_release(struct gpu_library *library)
{
        free(library->soname);
        free(library->path);
        free(library->source);
}

void gpu_program_release(struct gpu_program *program)
{
        free(program->path);
        strlist_release(&program->args);
        strlist_release(&program->environment);
}

void gpu_injection_release(struct gpu_injection *injection)
{
        mount_plan_release(&injection->mounts);
        for (size_t i = 0; i < injection->link_count; i++) {
                free(injection->links[i].path);
                free(injection->links[i].target);
        }
        free(injection->links);
        strlist_release(&injection->environment);
        strlist_release(&injection->warnings);
        for (size_t i = 0; i < injection->library_count; i++)
                library_release(&injection->libraries[i]);
        free(injection->libraries);
        for (size_t i = 0; i < injection->program_count; i++)
                gpu_program_release(&injection->programs[i]);
        free(injection->programs);
        *injection = (struct gpu_injection)GPU_INJECTION_INIT;
}

const char *gpu_setting(const struct gpu_request *request, const char *name)
{
        return env_setting(request->host, request->container, name);
}

int gpu_injection_bind(struct gpu_injection *injection, enum gpu_mount_kind kind,
                       const char *source, const char *target, bool optional, struct error *err)
{
        static const struct {
                enum mount_create create;
                uint64_t set;
                bool recursive;
        } kinds[] = {
                [GPU_FILE] = { MOUNT_CREATE_FILE, MS_RDONLY | MS_NOSUID | MS_NODEV, false },
                [GPU_DIRECTORY] = { MOUNT_CREATE_DIR, MS_RDONLY | MS_NOSUID | MS_NODEV, true },
                [GPU_DEVICE] = { MOUNT_CREATE_AUTO, MS_NOSUID | MS_NOEXEC, true },
                [GPU_SOCKET] = { MOUNT_CREATE_AUTO, MS_NOSUID | MS_NODEV | MS_NOEXEC, true },
        };
        const struct mount_entry entry = {
                .source = (char *)source,
                .target = (char *)target,
                .bind = true,
                .recursive = kinds[kind].recursive,
                .attr_set = kinds[kind].set,
                .propagation = MS_PRIVATE,
                .create = kinds[kind].create,
                .nofail = optional,
        };

        return mount_plan_append(&injection->mounts, &entry) < 0 ? error_no_memory(err) : 0;
}

int gpu_injection_memory(struct gpu_injection *injection, const char *target, const char *content,
                         size_t length, struct error *err)
{
        const struct mount_entry entry = {
                .target = (char *)target,
                .bind = true,
                .attr_set = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                .create = MOUNT_CREATE_FILE,
                .nofail = true,
                .content = (char *)content,
                .content_length = length,
        };

        return mount_plan_append(&injection->mounts, &entry) < 0 ? error_no_memory(err) : 0;
}

int gpu_injection_link(struct gpu_injection *injection, const char *path, const char *target,
                       struct error *err)
{
        struct gpu_link *links =
                reallocarray(injection->links, injection->link_count + 1, sizeof(*links));
        struct gpu_link link = { .path = strdup(path), .target = strdup(target) };

        if (links)
                injection->links = links;
        if (!links || !link.path || !link.target) {
                free(link.path);
                free(link.target);
                return error_no_memory(err);
        }
        links[injection->link_count++] = link;
        return 0;
}

int gpu_injection_setenv(struct gpu_injection *injection, const char *name, const char *value,
                         struct error *err)
{
        return env_set(&injection->environment, name, value) < 0 ? error_no_memory(err) : 0;
}

int gpu_injection_warn(struct gpu_injection *injection, struct error *err, const char *fmt, ...)
{
        char *text;
        va_list args;
        int length;

        va_start(args, fmt);
        length = vasprintf(&text, fmt, args);
        va_end(args);
        if (length < 0)
                return error_no_memory(err);
        if (strlist_contains(&injection->warnings, text)) {
                free(text);
                return 0;
        }
        return strlist_append_owned(&injection->warnings, text) < 0 ? error_no_memory(err) : 0;
}

int gpu_injection_add_library(struct gpu_injection *injection, const struct gpu_library *library,
                              struct error *err)
{
        struct gpu_library *libraries = reallocarray(
                injection->libraries, injection->library_count + 1, sizeof(*libraries));
        struct gpu_library copy = {
                .soname = library->soname ? strdup(library->soname) : NULL,
                .path = strdup(library->path),
                .source = library->source ? strdup(library->source) : NULL,
                .flags = library->flags,
        };

        if (libraries)
                injection->libraries = libraries;
        if (!libraries || !copy.path || (library->soname && !copy.soname) ||
            (library->source && !copy.source)) {
                library_release(&copy);
                return error_no_memory(err);
        }
        libraries[injection->library_count++] = copy;
        return 0;
}
