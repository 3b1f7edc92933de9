/*
 * The driver's libraries: every file lib*.so.VERSION of the loaded driver's version in the
 * directories that the host's linker knows to have some. Of those, the ones for which the
 * capabilities ask.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "gpu/elf_file.h"
#include "gpu/ld_cache.h"
#include "gpu/nvidia.h"
#include "util/io.h"
#include "util/path.h"

#define DIRECTORY_LIMIT 32u

#if defined(__x86_64__)
#define TRIPLET        "x86_64-linux-gnu"
#define COMPAT_TRIPLET "i386-linux-gnu"
#elif defined(__aarch64__)
#define TRIPLET        "aarch64-linux-gnu"
#define COMPAT_TRIPLET "arm-linux-gnueabihf"
#elif defined(__powerpc64__)
#define TRIPLET        "powerpc64le-linux-gnu"
#define COMPAT_TRIPLET "powerpc-linux-gnu"
#else
#define TRIPLET        "unknown"
#define COMPAT_TRIPLET "unknown"
#endif

/* Where drivers are installed, for a host whose ld.so.cache does not tell. */
static const char *const default_dirs[] = {
        "/usr/lib64",
        "/usr/lib/" TRIPLET,
        "/usr/lib/" TRIPLET "/nvidia/current",
        "/lib64",
        "/lib/" TRIPLET,
        "/usr/lib/" COMPAT_TRIPLET,
        "/usr/lib32",
        "/usr/lib",
};

/* Libraries that other packages install, too, and which must fit the image's C library. */
static bool is_driver_library(const char *name)
{
        return nvidia_library_capabilities(name) != 0;
}

/* ---- finding ---- */

static int add_directory(struct strlist *dirs, const char *path, size_t length)
{
        auto_free char *dir = strndup(path, length);

        if (!dir)
                return -1;
        if (strlist_contains(dirs, dir) || dirs->count == DIRECTORY_LIMIT)
                return 0;
        return strlist_append(dirs, dir);
}

/* The directories of the driver's libraries in the host's ld.so.cache. */
static int read_cache(struct nvidia *nvidia, struct error *err)
{
        auto_free char *path = nvidia_path(nvidia->driver_root, "/etc/ld.so.cache");
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct error ignored = ERROR_INIT;
        struct ld_cache_entry entry;
        struct ld_cache cache;

        if (!path)
                return error_no_memory(err);
        if (io_read_file(AT_FDCWD, path, LD_CACHE_LIMIT, &text, &ignored) < 0 ||
            !ld_cache_parse(strbuf_text(&text), text.length, &cache))
                return 0;
        for (uint32_t i = 0; i < cache.count; i++) {
                const char *slash;

                if (!ld_cache_entry_at(&cache, i, &entry) || strncmp(entry.name, "lib", 3) != 0 ||
                    *entry.path != '/' || !is_driver_library(entry.name))
                        continue;
                slash = strrchr(entry.path, '/');
                if (add_directory(&nvidia->library_dirs, entry.path, (size_t)(slash - entry.path)) <
                    0)
                        return error_no_memory(err);
        }
        return 0;
}

int nvidia_find_libraries(struct nvidia *nvidia, struct error *err)
{
        if (read_cache(nvidia, err) < 0)
                return -1;
        for (size_t i = 0; nvidia->library_dirs.count == 0 && i < ARRAY_SIZE(default_dirs); i++) {
                auto_free char *ml = nvidia_path(nvidia->driver_root, "%s/libnvidia-ml.so.1",
                                                 default_dirs[i]);
                auto_free char *cuda =
                        nvidia_path(nvidia->driver_root, "%s/libcuda.so.1", default_dirs[i]);

                if (!ml || !cuda)
                        return error_no_memory(err);
                if ((access(ml, F_OK) == 0 || access(cuda, F_OK) == 0) &&
                    strlist_append(&nvidia->library_dirs, default_dirs[i]) < 0)
                        return error_no_memory(err);
        }
        for (size_t i = 0; !nvidia->nvml_path && i < nvidia->library_dirs.count; i++) {
                auto_free char *path =
                        nvidia_path(nvidia->driver_root, "%s/libnvidia-ml.so.%s",
                                    nvidia->library_dirs.items[i], nvidia->driver.version);

                if (!path)
                        return error_no_memory(err);
                if (access(path, R_OK) == 0)
                        nvidia->nvml_path = TAKE_PTR(path);
        }
        return 0;
}

/* ---- injecting ---- */

/* Where libraries belong in this container. */
static void choose_targets(struct nvidia *nvidia)
{
        const struct root_view *view = nvidia->request->view;

        if (root_view_exists(view, "/etc/debian_version")) {
                nvidia->target_dir = "/usr/lib/" TRIPLET;
                nvidia->compat_target_dir = "/usr/lib/" COMPAT_TRIPLET;
                return;
        }
        nvidia->target_dir = "/usr/lib64";
        nvidia->compat_target_dir = root_view_exists(view, "/usr/lib32") ? "/usr/lib32"
                                                                         : "/usr/lib";
}

/* The directory inside for a library, by what it is for; NULL: it is not wanted. */
static const char *target_of(const struct nvidia *nvidia, const char *source)
{
        struct elf_library library;
        auto_close int fd = open(source, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        const struct elf_file file = { .read = elf_read_fd, .fd = fd };
        unsigned int flags;

        if (fd < 0 || !elf_read_library(&file, &library))
                return NULL;
        flags = elf_cache_flags(&library);
        if (flags == ld_cache_native_flags)
                return nvidia->target_dir;
        if (flags == ld_cache_compat_flags && nvidia->capabilities & NVIDIA_COMPAT32)
                return nvidia->compat_target_dir;
        return NULL;
}

/*
 * One file of a directory that has the driver's version at its end. The capability to run
 * 32-bit programs adds copies of what the others ask for; alone it asks for nothing.
 */
static int add_library(struct nvidia *nvidia, const char *dir, const char *subdir, const char *name,
                       struct error *err)
{
        auto_free char *source = NULL, *target = NULL;
        const char *target_dir;

        if (!(nvidia_library_capabilities(name) & nvidia->capabilities))
                return 0;
        source = nvidia_path(nvidia->driver_root, "%s%s/%s", dir, subdir, name);
        target_dir = source ? target_of(nvidia, source) : NULL;
        if (!source)
                return error_no_memory(err);
        if (!target_dir)
                return 0;
        target = nvidia_path(target_dir, "%s/%s", subdir, name);
        if (!target)
                return error_no_memory(err);
        for (size_t i = 0; i < nvidia->injection->library_count; i++)
                if (strcmp(nvidia->injection->libraries[i].path, target) == 0)
                        return 0; /* /lib and /usr/lib may be one directory */
        if (gpu_injection_bind(nvidia->injection, GPU_FILE, source, target, false, err) < 0)
                return -1;
        return gpu_injection_library(nvidia->injection, source, target, err);
}

/* Names of the files lib*.so.VERSION of a directory, sorted. */
static int list_libraries(const struct nvidia *nvidia, const char *dir, const char *subdir,
                          struct strlist *names, struct error *err)
{
        auto_free char *path = nvidia_path(nvidia->driver_root, "%s%s", dir, subdir);
        const char *version = nvidia->driver.version;
        auto_closedir DIR *stream = NULL;
        const struct dirent *entry;

        if (!path)
                return error_no_memory(err);
        stream = opendir(path);
        while (stream && (entry = readdir(stream))) {
                const char *suffix = strstr(entry->d_name, ".so.");

                if (suffix && strncmp(entry->d_name, "lib", 3) == 0 &&
                    strcmp(suffix + strlen(".so."), version) == 0 &&
                    strlist_append(names, entry->d_name) < 0)
                        return error_no_memory(err);
        }
        strlist_sort(names);
        return 0;
}

static int add_directory_libraries(struct nvidia *nvidia, const char *dir, const char *subdir,
                                   struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;

        if (list_libraries(nvidia, dir, subdir, &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++)
                if (add_library(nvidia, dir, subdir, names.items[i], err) < 0)
                        return -1;
        return 0;
}

/* Whether a library is injected for this machine's own programs. */
static bool has_library(const struct nvidia *nvidia, const char *soname)
{
        for (size_t i = 0; i < nvidia->injection->library_count; i++) {
                const struct gpu_library *library = &nvidia->injection->libraries[i];

                if (library->soname && strcmp(library->soname, soname) == 0 && library->source &&
                    library->flags == ld_cache_native_flags)
                        return true;
        }
        return false;
}

/* Why libcuda of the driver's version is not there. Always -1. */
static int missing_cuda(const struct nvidia *nvidia, struct error *err)
{
        for (size_t i = 0; i < nvidia->library_dirs.count; i++) {
                auto_free char *link = nvidia_path(nvidia->driver_root, "%s/libcuda.so.1",
                                                   nvidia->library_dirs.items[i]);
                char target[256];
                ssize_t length = link ? readlink(link, target, sizeof(target) - 1) : -1;

                if (length <= 0)
                        continue;
                target[length] = '\0';
                return error_set(err, ENOENT,
                                 "the loaded driver is %s, but its library is %s: load the module "
                                 "that fits the libraries, or reboot",
                                 nvidia->driver.version, target);
        }
        return error_set(err, ENOENT,
                         "libcuda.so.%s of the driver is not installed on the host (it is looked "
                         "for in the directories of %s/etc/ld.so.cache; " GPU_DRIVER_ROOT
                         " names another root)",
                         nvidia->driver.version, nvidia->driver_root);
}

/* Names without a version, for linking, and those that programs open. */
static int add_aliases(struct nvidia *nvidia, struct error *err)
{
        const char *version = nvidia->driver.version;
        const struct {
                const char *soname, *path, *target;
                unsigned int capabilities;
                bool versioned;
        } aliases[] = {
                { "libcuda.so.1", "libcuda.so", "libcuda.so.1", NVIDIA_COMPUTE | NVIDIA_VIDEO,
                  false },
                { "libnvidia-opticalflow.so.1", "libnvidia-opticalflow.so",
                  "libnvidia-opticalflow.so.1", NVIDIA_VIDEO, false },
                { "libGLX_nvidia.so.0", "libGLX_indirect.so.0", "libGLX_nvidia.so.",
                  NVIDIA_GRAPHICS | NVIDIA_DISPLAY, true },
                { "libnvidia-allocator.so.1", "gbm/nvidia-drm_gbm.so",
                  "../libnvidia-allocator.so.1", NVIDIA_GRAPHICS | NVIDIA_DISPLAY, false },
        };

        for (size_t i = 0; i < ARRAY_SIZE(aliases); i++) {
                auto_free char *path = nvidia_path(nvidia->target_dir, "/%s", aliases[i].path);
                auto_free char *target = nvidia_path(aliases[i].target, "%s",
                                                     aliases[i].versioned ? version : "");

                if (!path || !target)
                        return error_no_memory(err);
                if (nvidia->capabilities & aliases[i].capabilities &&
                    has_library(nvidia, aliases[i].soname) &&
                    gpu_injection_alias(nvidia->request, nvidia->injection, path, target, NULL,
                                        err) < 0)
                        return -1;
        }
        return 0;
}

int nvidia_add_libraries(struct nvidia *nvidia, struct error *err)
{
        struct gpu_injection *injection = nvidia->injection;

        choose_targets(nvidia);
        for (size_t i = 0; i < nvidia->library_dirs.count; i++) {
                const char *dir = nvidia->library_dirs.items[i];

                if (add_directory_libraries(nvidia, dir, "", err) < 0 ||
                    (nvidia->capabilities & NVIDIA_VIDEO &&
                     add_directory_libraries(nvidia, dir, "/vdpau", err) < 0))
                        return -1;
        }
        if (nvidia->capabilities & NVIDIA_COMPUTE && !has_library(nvidia, "libcuda.so.1")) {
                if (nvidia->devices != NVIDIA_DEVICES_NONE)
                        return missing_cuda(nvidia, err);
                (void)missing_cuda(nvidia, err);
                if (gpu_injection_warn(injection, err, "%s", err->message) < 0)
                        return -1;
        }
        if (nvidia->capabilities & NVIDIA_UTILITY && !has_library(nvidia, "libnvidia-ml.so.1") &&
            gpu_injection_warn(injection, err,
                               "libnvidia-ml.so.%s of the driver is not installed on the host; "
                               "nvidia-smi will not work",
                               nvidia->driver.version) < 0)
                return -1;
        return add_aliases(nvidia, err);
}
