/*
 * A CDI file of what the native way finds of NVIDIA's: for engines such as podman, and for
 * administrators who want fixed names.
 *
 * For all devices there is what a container without GPUs gets; each device has what an
 * injection of it has besides. Links of libraries become mounts of the same file under
 * another name, so that no program is needed to make them.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/env.h"
#include "gpu/empty_view.h"
#include "gpu/nvidia.h"
#include "gpu/sysfs.h"
#include "util/json_writer.h"
#include "util/path.h"

/* The oldest version that has everything that is used: "hostPath" of nodes. */
#define VERSION "0.5.0"

/* Links that lead to links. */
#define LINK_LIMIT 8

#define HOOK_PROGRAM "nvidia-cdi-hook"

/* ---- what is found ---- */

/* The injection for a value of NVIDIA_VISIBLE_DEVICES into an image shaped like the host. */
static int inject(const struct gpu_roots *roots, const char *devices,
                  struct gpu_injection *injection, struct error *err)
{
        auto_strlist struct strlist environment = STRLIST_INIT, none = STRLIST_INIT;
        const struct root_view view = empty_view_like_host();
        const struct gpu_request request = {
                .roots = roots, .host = &environment, .container = &none, .view = &view
        };

        if (env_set(&environment, "NVIDIA_VISIBLE_DEVICES", devices) < 0 ||
            env_set(&environment, "NVIDIA_DRIVER_CAPABILITIES", "all") < 0)
                return error_no_memory(err);
        return gpu_nvidia_inject(&request, injection, err);
}

static const struct mount_entry *find_target(const struct gpu_injection *injection,
                                             const char *target)
{
        for (size_t i = 0; i < injection->mounts.count; i++)
                if (strcmp(injection->mounts.entries[i].target, target) == 0)
                        return &injection->mounts.entries[i];
        return NULL;
}

/* Files in memory, and the driver's directory of procfs, are made for one container at a time. */
static bool is_static(const struct mount_entry *entry)
{
        return entry->bind && !entry->content && entry->source &&
               strncmp(entry->target, "/proc/", 6) != 0;
}

static bool is_node(const struct mount_entry *entry)
{
        struct stat st;

        return stat(entry->source, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) &&
               strncmp(entry->target, "/dev/", 5) == 0;
}

/* ---- writing ---- */

static void write_nodes(struct json_writer *writer, const struct gpu_injection *injection,
                        const struct gpu_injection *without)
{
        json_write_array(writer, "deviceNodes");
        for (size_t i = 0; i < injection->mounts.count; i++) {
                const struct mount_entry *entry = &injection->mounts.entries[i];

                if (!is_static(entry) || !is_node(entry) ||
                    (without && find_target(without, entry->target)))
                        continue;
                json_write_object(writer, NULL);
                json_write_text(writer, "path", entry->target);
                json_write_text(writer, "hostPath", entry->source);
                json_write_end(writer);
        }
        json_write_end(writer);
}

static void write_mount(struct json_writer *writer, const struct mount_entry *entry,
                        const char *target)
{
        json_write_object(writer, NULL);
        json_write_text(writer, "hostPath", entry->source);
        json_write_text(writer, "containerPath", target);
        json_write_array(writer, "options");
        json_write_text(writer, NULL, entry->attr_set & MS_RDONLY ? "ro" : "rw");
        json_write_text(writer, NULL, "nosuid");
        if (entry->attr_set & MS_NODEV)
                json_write_text(writer, NULL, "nodev");
        if (entry->attr_set & MS_NOEXEC)
                json_write_text(writer, NULL, "noexec");
        json_write_text(writer, NULL, "rbind");
        json_write_text(writer, NULL, "rprivate");
        json_write_end(writer);
        json_write_end(writer);
}

/* What is mounted at the end of the links that start at path; NULL for nothing. */
static const struct mount_entry *follow(const struct gpu_injection *injection, const char *path)
{
        char at[PATH_MAX];

        if (snprintf(at, sizeof(at), "%s", path) >= (int)sizeof(at))
                return NULL;
        for (int i = 0; i < LINK_LIMIT; i++) {
                const struct gpu_link *link = NULL;
                size_t directory = (size_t)(strrchr(at, '/') + 1 - at);

                for (size_t j = 0; j < injection->link_count && !link; j++)
                        if (strcmp(injection->links[j].path, at) == 0)
                                link = &injection->links[j];
                if (!link)
                        return find_target(injection, at);
                if (strchr(link->target, '/') || directory + strlen(link->target) >= sizeof(at))
                        return NULL;
                strcpy(at + directory, link->target);
        }
        return NULL;
}

static void write_mounts(struct json_writer *writer, const struct gpu_injection *injection)
{
        json_write_array(writer, "mounts");
        for (size_t i = 0; i < injection->mounts.count; i++) {
                const struct mount_entry *entry = &injection->mounts.entries[i];

                if (is_static(entry) && !is_node(entry))
                        write_mount(writer, entry, entry->target);
        }
        for (size_t i = 0; i < injection->link_count; i++) {
                const char *path = injection->links[i].path;
                const struct mount_entry *entry = follow(injection, path);

                if (entry)
                        write_mount(writer, entry, path);
        }
        json_write_end(writer);
}

/* Tell the container's linker where the libraries are, if there is the program that does. */
static int write_hooks(struct json_writer *writer, const struct gpu_injection *injection,
                       const char *program, struct error *err)
{
        auto_strlist struct strlist folders = STRLIST_INIT;

        for (size_t i = 0; i < injection->library_count; i++) {
                const char *path = injection->libraries[i].path;
                auto_free char *folder = strndup(path, (size_t)(strrchr(path, '/') - path));

                if (!folder ||
                    (!strlist_contains(&folders, folder) && strlist_append(&folders, folder) < 0))
                        return error_no_memory(err);
        }
        if (!program || folders.count == 0)
                return 0;
        json_write_array(writer, "hooks");
        json_write_object(writer, NULL);
        json_write_text(writer, "hookName", "createContainer");
        json_write_text(writer, "path", program);
        json_write_array(writer, "args");
        json_write_text(writer, NULL, HOOK_PROGRAM);
        json_write_text(writer, NULL, "update-ldcache");
        for (size_t i = 0; i < folders.count; i++) {
                json_write_text(writer, NULL, "--folder");
                json_write_text(writer, NULL, folders.items[i]);
        }
        json_write_end(writer);
        json_write_end(writer);
        json_write_end(writer);
        return 0;
}

static void write_device(struct json_writer *writer, const char *name,
                         const struct gpu_injection *injection, const struct gpu_injection *common)
{
        json_write_object(writer, NULL);
        json_write_text(writer, "name", name);
        json_write_object(writer, "containerEdits");
        write_nodes(writer, injection, common);
        json_write_end(writer);
        json_write_end(writer);
}

/* The GPUs by index and by UUID, and all of them. */
static int write_devices(struct json_writer *writer, const struct gpu_roots *roots,
                         const struct nvidia_driver *driver, const struct gpu_injection *common,
                         struct error *err)
{
        auto_gpu_injection struct gpu_injection all = GPU_INJECTION_INIT;
        unsigned int index = 0;

        json_write_array(writer, "devices");
        for (size_t i = 0; i < driver->gpu_count; i++) {
                const struct nvidia_gpu *gpu = &driver->gpus[i];
                auto_gpu_injection struct gpu_injection injection = GPU_INJECTION_INIT;
                char name[16];

                if (gpu->excluded || gpu->access_errno)
                        continue;
                (void)snprintf(name, sizeof(name), "%u", index++);
                if (inject(roots, name, &injection, err) < 0)
                        return -1;
                write_device(writer, name, &injection, common);
                if (*gpu->uuid && !strchr(gpu->uuid, '?'))
                        write_device(writer, gpu->uuid, &injection, common);
        }
        if (index == 0)
                return error_set(err, ENODEV,
                                 "there is no NVIDIA GPU that may be used "
                                 "(\"enroot devices doctor\" says why)");
        if (inject(roots, "all", &all, err) < 0)
                return -1;
        write_device(writer, "all", &all, common);
        json_write_end(writer);
        return 0;
}

int gpu_cdi_write(const struct gpu_roots *roots, const char *path_list, struct strbuf *text,
                  struct strlist *warnings, struct error *err)
{
        auto_nvidia_driver struct nvidia_driver driver = { .gpus = NULL };
        auto_gpu_injection struct gpu_injection common = GPU_INJECTION_INIT;
        auto_free char *program = path_find_program(HOOK_PROGRAM, path_list);
        struct json_writer writer = { .text = text };

        if (nvidia_driver_find(roots, &driver, err) < 0)
                return -1;
        if (!driver.version[0])
                return error_set(err, ENODEV,
                                 "the NVIDIA driver is not loaded (\"enroot devices "
                                 "doctor\" says what there is)");
        if (inject(roots, "none", &common, err) < 0)
                return -1;
        json_write_object(&writer, NULL);
        json_write_text(&writer, "cdiVersion", VERSION);
        json_write_text(&writer, "kind", "nvidia.com/gpu");
        if (write_devices(&writer, roots, &driver, &common, err) < 0)
                return -1;
        json_write_object(&writer, "containerEdits");
        json_write_array(&writer, "env");
        json_write_text(&writer, NULL, "NVIDIA_VISIBLE_DEVICES=void");
        json_write_end(&writer);
        write_nodes(&writer, &common, NULL);
        write_mounts(&writer, &common);
        if (write_hooks(&writer, &common, program, err) < 0)
                return -1;
        json_write_end(&writer);
        json_write_end(&writer);
        if (!program &&
            strlist_append(warnings, HOOK_PROGRAM " is not installed: containers find the "
                                                  "libraries only if their linker looks there "
                                                  "by itself") < 0)
                return error_no_memory(err);
        return text->failed ? error_no_memory(err) : 0;
}
