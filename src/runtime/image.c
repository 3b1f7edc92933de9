/*
 * Starting an image file without unpacking it: a server shows the image (image_server.c),
 * and an overlay with a writable layer (writable.c) over it takes the changes. Where the
 * kernel has no overlayfs for users, the image stays read-only (underlay.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/host.h"
#include "runtime/container.h"
#include "util/path.h"

/* Directories of the runtime directory, which is the current one while they are mounted. */
#define LOWER "lower"   /* the image */
#define LAYER "layer"   /* upper and work */
#define ROOT  "overlay" /* both together, the container's root */

void image_start_release(struct image_start *start)
{
        image_server_release(&start->server);
        if (start->layer_fd >= 0)
                (void)close(TAKE_FD(start->layer_fd));
}

char *image_root_path(const struct config *config)
{
        return path_join(config->runtime_path, ROOT);
}

int image_open(struct image_start *start, const struct container *container, struct error *err)
{
        const struct runtime_overlay *overlay = &container->start->overlay;

        if (overlay->dir && !container->config->native_overlayfs)
                return error_set(err, EINVAL,
                                 "overlay %s: changes are kept with the kernel's overlayfs only, "
                                 "which ENROOT_NATIVE_OVERLAYFS=no forbids",
                                 overlay->dir);
        if (image_server_open(&start->server, container->start->rootfs,
                              container->start->image_offset, err) < 0)
                return -1;
        return writable_open(overlay, &start->layer_fd, err);
}

int image_start_server(struct image_start *start, const struct container *container,
                       struct error *err)
{
        return image_server_start(&start->server, &container->identity, start->layer_fd, false,
                                  err);
}

int mount_at(const char *source, const char *target, const char *type, uint64_t flags,
             const char *data, struct error *err)
{
        struct mount_entry entry = {
                .source = (char *)source,
                .target = (char *)target,
                .type = (char *)type,
                .data = (char *)data,
                .attr_set = flags | MS_NOSUID | MS_NODEV,
        };
        struct mount_plan plan = { .entries = &entry, .count = 1 };
        auto_close int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct mount_root root = { .fd = host };

        if (host < 0)
                return error_errno(err, "/");
        return mount_plan_apply(&plan, &root, 0, 0, NULL, err);
}

/*
 * What processes.c recognises the container's processes by, and what mount(8) shows
 * inside: the source of the root mount. malloc'd, or NULL.
 */
static char *mount_source(const struct container *container)
{
        const struct runtime_start *start = container->start;
        const char *path = start->shown_as ? start->shown_as : start->rootfs;
        char *source;

        return asprintf(&source, ROOT_MOUNT_SOURCE "%s", path) < 0 ? NULL : source;
}

/* ---- the root ---- */

/*
 * The current directory is the one that the layers are in: overlay options know no safe
 * way to write any path.
 */
static int mount_overlay(const char *source, const char *target, bool user_namespace,
                         struct error *err)
{
        static const char plain[] =
                "lowerdir=" LOWER ",upperdir=" LAYER "/upper,workdir=" LAYER "/work,xino=off";
        static const char user[] = "lowerdir=" LOWER ",upperdir=" LAYER "/upper,workdir=" LAYER
                                   "/work,xino=off,userxattr";

        /*
         * "userxattr" came with overlayfs in user namespaces (Linux 5.11). Older
         * kernels of Ubuntu and Debian allow the one without knowing the other.
         */
        if (user_namespace && mount_at(source, target, "overlay", 0, user, err) == 0)
                return 0;
        if (user_namespace && err->code != EINVAL)
                return -1;
        return mount_at(source, target, "overlay", 0, plain, err);
}

/* Whether overlayfs is refused to users as such, whatever the layers are. */
static bool is_no_overlay(const struct error *err)
{
        return err->code == ENODEV || err->code == EPERM || err->code == EACCES;
}

/* A root without overlayfs; reason says why there is none. */
static int mount_underlay(const struct container *container, const char *source, int lower_fd,
                          const char *reason, struct error *err)
{
        const char *target = container->root_path;
        auto_close int root = -1;

        report_warn(container->report,
                    "%s: the image's files cannot be changed or removed, and new ones, which are "
                    "lost at the end, only be made in /, /etc, /home, /opt, /root, /run, /srv, "
                    "/tmp and /var; \"enroot create\" makes a container that can be changed",
                    reason);
        if (writable_mount_memory(&container->start->overlay, source, target, 0755, err) < 0)
                return -1;
        root = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root < 0)
                return error_errno(err, "%s", target);
        return underlay_build(lower_fd, root, err);
}

static int mount_root(const struct image_start *start, const struct container *container,
                      const char *source, int lower_fd, struct error *err)
{
        const struct runtime_overlay *overlay = &container->start->overlay;
        auto_free char *layer = path_join(container->config->runtime_path, LAYER);
        struct error refusal = ERROR_INIT;

        if (!layer)
                return error_no_memory(err);

        if (!container->config->native_overlayfs)
                return mount_underlay(container, source, lower_fd, "ENROOT_NATIVE_OVERLAYFS=no",
                                      err);
        if (writable_mount(overlay, start->layer_fd, layer, err) < 0)
                return -1;
        if (mount_overlay(source, container->root_path, container->user_namespace, err) == 0) {
                /* overlayfs makes it without permissions, and "rm -r" would stop at it. */
                if (start->layer_fd >= 0)
                        (void)fchmodat(start->layer_fd, "work/work", 0700, 0);
                return 0;
        }
        if (overlay->dir || !is_no_overlay(err))
                return host_explain(HOST_OVERLAY, err);
        refusal = *err;
        return mount_underlay(container, source, lower_fd, refusal.message, err);
}

static int mount_layers(struct image_start *start, struct container *container, struct error *err)
{
        static const char *const names[] = { LOWER, LAYER, ROOT };
        const char *runtime = container->config->runtime_path;
        auto_free char *source = mount_source(container);
        auto_close int lower = -1;

        container->root_path = image_root_path(container->config);
        if (!source || !container->root_path)
                return error_no_memory(err);
        container->root.path = container->root_path;
        if (chdir(runtime) < 0)
                return error_errno(err, "%s", runtime);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                if (mkdir(names[i], 0755) < 0)
                        return error_errno(err, "%s/%s", runtime, names[i]);
        lower = open(LOWER, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (lower < 0)
                return error_errno(err, "%s/" LOWER, runtime);
        if (image_server_mount(&start->server, &container->identity, source, lower, 0, err) < 0)
                return -1;
        (void)close(TAKE_FD(lower));
        lower = open(LOWER, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* the image's root now */
        if (lower < 0)
                return error_errno(err, "%s/" LOWER, runtime);
        return mount_root(start, container, source, lower, err);
}

int image_mount(struct image_start *start, struct container *container, struct error *err)
{
        /* Relative paths of the command line, and of hooks, are the caller's. */
        auto_close int cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

        if (mount_layers(start, container, err) < 0)
                return -1;
        if (cwd >= 0 && fchdir(cwd) < 0)
                return error_errno(err, "cannot return to the current directory");
        container->root.fd = open(container->root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (container->root.fd < 0)
                return error_errno(err, "%s", container->root_path);
        return 0;
}

/* ---- images as mounts ---- */

int runtime_mount_image(const void *context, const struct mount_entry *entry, const char *source,
                        int target_fd, struct error *err)
{
        const struct identity own = { .uid = geteuid(), .gid = getegid() };
        const struct identity *identity = context ? context : &own;
        auto_image_server struct image_server server = IMAGE_SERVER_INIT;

        if (image_server_open(&server, source, 0, err) < 0 ||
            image_server_start(&server, identity, -1, true, err) < 0)
                return -1;
        return image_server_mount(&server, identity, entry->source, target_fd, entry->attr_set,
                                  err);
}
