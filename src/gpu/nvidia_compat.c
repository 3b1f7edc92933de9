/*
 * CUDA's forward compatibility: an image may bring user-mode libraries of a newer driver, in
 * /usr/local/cuda/compat. Only certain pairs of versions work; others end in CUDA errors 803
 * and 804, so that the driver's own libraries are what the linker finds then.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "gpu/elf_file.h"
#include "gpu/ld_cache.h"
#include "gpu/nvidia.h"
#include "gpu/requirement.h"
#include "util/json.h"
#include "util/path.h"

#define COMPAT_DIR "/usr/local/cuda/compat"
#define SECTION    ".note.cuda.fwd_compatibility"
#define OWNER      "NVIDIA Corporation"

/* Largest library that is read whole, which a dry run of an image does, in bytes. */
#define LIBRARY_LIMIT (512u << 20)

/* The packages cuda-compat have these, under these names. */
static const char *const libraries[] = {
        "libcuda.so.1",          "libcudadebugger.so.1",       "libnvidia-nvvm.so.4",
        "libnvidia-nvvm70.so.4", "libnvidia-ptxjitcompiler.so.1", "libnvidia-pkcs11.so.1",
        "libnvidia-tileiras.so.1",
};

/* ---- the note ---- */

static bool json_number(const struct json_node *node, unsigned long *ret)
{
        auto_free char *text = json_node_print(node);
        const char *digits = text ? text + strspn(text, "\"") : "";

        *ret = strtoul(digits, NULL, 10);
        return *digits >= '0' && *digits <= '9';
}

bool nvidia_compat_allows(const char *note, size_t length, const char *driver,
                          const char *compat, const char *cuda)
{
        struct error ignored = ERROR_INIT;
        auto_json_node struct json_node *root = json_node_parse(note, length, &ignored);
        const struct json_node *majors = NULL;
        const char *note_cuda = NULL;
        unsigned long major = strtoul(driver, NULL, 10), other;

        if (!root || json_node_member(root, "Driver", JSON_NODE_ARRAY, &majors, &ignored) < 0 ||
            json_node_text(root, "CUDA Version", &note_cuda, &ignored) < 0)
                return false;
        for (size_t i = 0; i < json_node_count(majors); i++)
                if (json_number(json_node_at(majors, i), &other) && other == major)
                        return requirement_compare_versions(compat, driver) > 0;
        return json_node_count(majors) == 0 && note_cuda && cuda &&
               requirement_compare_versions(note_cuda, cuda) > 0;
}

/* Append the note of a library of the rootfs. 1, 0 when it has none, -1 with *err. */
static int read_note(const struct root_view *view, const char *path, struct strbuf *note,
                     struct error *err)
{
        auto_close int fd = view->fd >= 0 ? path_open_in_root(view->fd, path, O_RDONLY, 0) : -1;
        auto_strbuf struct strbuf content = STRBUF_INIT;
        struct elf_file file = { .read = elf_read_fd, .fd = fd };
        struct error ignored = ERROR_INIT;
        int result;

        if (fd < 0) {
                if (view->read(view, path, LIBRARY_LIMIT, &content, &ignored) < 0)
                        return 0;
                file = (struct elf_file){ .read = elf_read_memory, .memory = content.data,
                                          .size = content.length };
        }
        result = elf_read_note(&file, SECTION, OWNER, note);
        return result < 0 ? error_no_memory(err) : result;
}

/* ---- the decision ---- */

/* Whether the libraries of that version, in the image, are to be used. 1, 0, or -1 with *err. */
static int is_wanted(const struct root_view *view, const char *driver, const char *path,
                     const char *compat, struct error *err)
{
        auto_strbuf struct strbuf note = STRBUF_INIT;
        int found = read_note(view, path, &note, err);
        const char *cuda;
        bool exact;

        if (found < 0)
                return -1;
        if (found == 0)
                return strtoul(driver, NULL, 10) < strtoul(compat, NULL, 10);
        cuda = nvidia_cuda_version(driver, &exact);
        return nvidia_compat_allows(strbuf_text(&note), note.length, driver, compat, cuda);
}

int gpu_injection_compat(const struct gpu_request *request, const char *driver,
                         struct gpu_injection *injection, struct error *err)
{
        const struct root_view *view = request->view;
        auto_free char *name = view->readlink(view, COMPAT_DIR "/libcuda.so.1");
        auto_free char *path = NULL;
        const char *version;
        mode_t mode;
        int wanted;

        if (!name || strncmp(name, "libcuda.so.", strlen("libcuda.so.")) != 0 || strchr(name, '/'))
                return 0;
        version = name + strlen("libcuda.so.");
        path = path_join(COMPAT_DIR, name);
        if (!path)
                return error_no_memory(err);
        if (!strchr(version, '.') || strspn(version, "0123456789.") != strlen(version) ||
            view->mode(view, path, &mode) < 0 || !S_ISREG(mode))
                return 0;
        wanted = is_wanted(view, driver, path, version, err);
        for (size_t i = 0; wanted > 0 && i < ARRAY_SIZE(libraries); i++) {
                auto_free char *file = path_join(COMPAT_DIR, libraries[i]);

                if (!file)
                        return error_no_memory(err);
                if (root_view_exists(view, file) &&
                    gpu_injection_add_library(injection,
                                              &(struct gpu_library){
                                                      .soname = (char *)libraries[i],
                                                      .path = file,
                                                      .flags = ld_cache_native_flags,
                                              },
                                              err) < 0)
                        return -1;
        }
        return wanted < 0 ? -1 : 0;
}
