/*
 * Starting an image file without unpacking it: a FUSE server shows the image, and an
 * overlay with a layer in memory makes it writable.
 *
 * The life of the server. It is forked after the user namespace is entered, because
 * the kernel accepts /dev/fuse only from the namespace that mounts (fuse_fill_super),
 * and before the mount namespace is, because the namespace must die with the
 * container's last process: then the kernel takes the file system down, reading
 * /dev/fuse gives ENODEV, and the server ends, whatever killed the container. Until
 * the image is mounted that signal does not exist, so the server first waits for a
 * byte on a socket; the socket closes unwritten when the start fails, and it ends.
 * It is forked twice, so that it is no child of the container's command.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/host.h"
#include "runtime/container.h"
#include "util/path.h"

#define SERVER_NAME "enroot-fuse"

void image_start_release(struct image_start *start)
{
        int *fds[] = { &start->image_fd, &start->fuse_fd, &start->go_fd };

        if (start->image)
                squashfs_close(TAKE_PTR(start->image));
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (*fds[i] >= 0)
                        (void)close(TAKE_FD(*fds[i]));
}

char *image_root_path(const struct config *config)
{
        return path_join(config->runtime_path, "overlay");
}

int image_open(struct image_start *start, const struct container *container, struct error *err)
{
        const char *path = container->start->rootfs;

        start->image_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (start->image_fd < 0)
                return error_errno(err, "%s", path);
        start->image = squashfs_open(start->image_fd, path, err);
        if (!start->image)
                return -1;
        if (path_make_private_dirs(container->config->runtime_path, 0700, err) < 0)
                return error_append(err, "; set ENROOT_RUNTIME_PATH to a directory of yours");
        return 0;
}

static int open_fuse(struct error *err)
{
        int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

        if (fd >= 0)
                return fd;
        error_errno(err, "/dev/fuse");
        host_explain(HOST_FUSE_DEVICE, err);
        return error_append(err, ", or unpack the image with \"enroot create\" and start that");
}

/* ---- the server process ---- */

static int detach_from_terminal(void)
{
        /*
         * A batch system asks every process of a job to end before it kills them.
         * The files must stay there while the container's programs do so.
         */
        static const int ignored[] = {
                SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE
        };
        auto_close int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
                (void)signal(ignored[i], SIG_IGN);
        if (null < 0 || setsid() < 0 || chdir("/") < 0)
                return -1;
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (dup2(null, fd) < 0)
                        return -1;
        return 0;
}

/* The whole life of the server. It has nobody to report to: without it, the start fails. */
static int serve(struct image_start *start, const struct identity *identity, int go_fd)
{
        int keep[] = { start->image_fd, start->fuse_fd, go_fd };
        const struct squashfs_serve_options options = {
                .uid = identity->uid,
                .gid = identity->gid,
                .uid_count = identity->uid_count,
                .gid_count = identity->gid_count,
        };
        struct error err = ERROR_INIT;
        char go;

        /*
         * The server still sees the host's files. Not being dumpable keeps the
         * container's processes, which have its user id and namespace, out of
         * its memory and of /proc/PID/root (ptrace(2), access mode checking).
         */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NAME, SERVER_NAME) < 0 ||
            detach_from_terminal() < 0 || privileges_drop_all(&err) < 0)
                return EXIT_FAILURE;
        /* Somebody may be waiting for the end of a pipe that the container was given. */
        descriptors_close_all_but(keep, ARRAY_SIZE(keep));
        if (recv(go_fd, &go, sizeof(go), 0) != sizeof(go))
                return EXIT_FAILURE;
        (void)close(go_fd);
        if (squashfs_serve(start->image, start->fuse_fd, &options, &err) < 0)
                return EXIT_FAILURE;
        return EXIT_SUCCESS;
}

int image_start_server(struct image_start *start, const struct container *container,
                       struct error *err)
{
        auto_close int go_fd = -1;
        int sockets[2];
        pid_t child;

        start->fuse_fd = open_fuse(err);
        if (start->fuse_fd < 0)
                return -1;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_errno(err, "cannot make a socket");
        start->go_fd = sockets[0];
        go_fd = sockets[1];

        child = fork();
        if (child < 0)
                return error_errno(err, "cannot start the image's server");
        if (child == 0) {
                pid_t server = fork();

                if (server == 0)
                        _exit(serve(start, &container->identity, go_fd));
                _exit(server < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
        }
        /* A failure shows at the socket; the status may be lost to an ignored SIGCHLD. */
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        return 0;
}

/* ---- mounting ---- */

/* Mount a file system at a path of the host, seen in this mount namespace only. */
static int mount_at(const char *source, const char *target, const char *type, uint64_t flags,
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
        char *source;

        return asprintf(&source, ROOT_MOUNT_SOURCE "%s", container->start->rootfs) < 0 ? NULL :
                                                                                          source;
}

/*
 * Put the writable layer over the image. The current directory is the one that the
 * layers are in: overlay options know no safe way to write any path.
 */
static int mount_overlay(const char *source, const char *target, bool user_namespace,
                         struct error *err)
{
        static const char plain[] = "lowerdir=lower,upperdir=upper,workdir=work,xino=off";
        static const char user[] = "lowerdir=lower,upperdir=upper,workdir=work,xino=off,userxattr";

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

static int make_layers(const char *path, struct error *err)
{
        static const char *const names[] = { "lower", "upper", "work" };

        if (mkdir(path, 0755) < 0 || chdir(path) < 0)
                return error_errno(err, "%s", path);
        for (size_t i = 0; i < ARRAY_SIZE(names); i++)
                /* upper gives the container's root its mode, whatever the user's umask. */
                if (mkdir(names[i], 0755) < 0 || chmod(names[i], 0755) < 0)
                        return error_errno(err, "%s/%s", path, names[i]);
        return 0;
}

/* Mount the image at lower and let the server go. */
static int mount_image(const struct image_start *start, const struct container *container,
                       const char *source, const char *root_path, struct error *err)
{
        auto_free char *lower = path_join(root_path, "lower");
        char data[256];

        if (!lower)
                return error_no_memory(err);
        if (squashfs_fuse_mount_data(start->fuse_fd, container->identity.uid,
                                     container->identity.gid, data, sizeof(data), err) < 0 ||
            mount_at(source, lower, "fuse", MS_RDONLY, data, err) < 0)
                return -1;
        if (send(start->go_fd, "", 1, MSG_NOSIGNAL) != 1)
                return error_set(err, ECHILD, "the image's server ended early");
        return 0;
}

int image_mount(struct image_start *start, struct container *container, struct error *err)
{
        const char *runtime = container->config->runtime_path;
        auto_free char *source = mount_source(container);

        if (!source)
                return error_no_memory(err);
        if (mount_at("tmpfs", runtime, "tmpfs", 0, "mode=700", err) < 0)
                return -1;
        container->root_path = image_root_path(container->config);
        if (!container->root_path)
                return error_no_memory(err);
        container->root.path = container->root_path;
        if (make_layers(container->root_path, err) < 0 ||
            mount_image(start, container, source, container->root_path, err) < 0)
                return -1;
        if (mount_overlay(source, container->root_path, container->user_namespace, err) < 0)
                return host_explain(HOST_OVERLAY, err);
        container->root.fd = open(container->root_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (container->root.fd < 0)
                return error_errno(err, "%s", container->root_path);
        return 0;
}
