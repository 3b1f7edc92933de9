/*
 * The process that shows an image file as a file system, and its life.
 *
 * It is forked after the user namespace is entered, because the kernel accepts
 * /dev/fuse only from the namespace that mounts (fuse_fill_super), and it is outside of
 * the mount namespace that holds the mount, because that must die with the container's
 * last process: then the kernel takes the file system down, reading /dev/fuse gives
 * ENODEV, and the server ends, whatever killed the container. For the container's own
 * image the server is forked before the mount namespace is made. A data image is found
 * when that is there already, and its server makes a namespace of its own: a copy, whose
 * mounts live as long as it does, so that images end one after the other, the last one
 * first. Nothing must propagate into the copy, or it would hold its own file system.
 *
 * Until the image is mounted the signal to end does not exist, so the server first waits
 * for a byte on a socket; the socket closes unwritten when the start fails, and it ends.
 * It is forked twice, so that it is no child of the container's command.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/host.h"
#include "runtime/container.h"


void image_server_release(struct image_server *server)
{
        int *fds[] = { &server->image_fd, &server->fuse_fd, &server->control_fd };

        if (server->image)
                squashfs_close(TAKE_PTR(server->image));
        for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
                if (*fds[i] >= 0)
                        (void)close(TAKE_FD(*fds[i]));
}

int image_server_open(struct image_server *server, const char *path, uint64_t offset,
                      struct error *err)
{
        server->image_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (server->image_fd < 0)
                return error_errno(err, "%s", path);
        server->image = squashfs_open_at(server->image_fd, offset, path, err);
        return server->image ? squashfs_serve_prepare(err) : -1;
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

/* A mount namespace that the container's mounts neither come into nor are held by. */
static int leave_mount_namespace(void)
{
        if (unshare(CLONE_NEWNS) < 0)
                return -1;
        return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
}

/* The whole life of the server. It has nobody to report to: without it, the start fails. */
static int serve(struct image_server *server, const struct identity *identity, int control_fd,
                 int keep_fd, bool apart)
{
        int keep[] = { server->image_fd, server->fuse_fd, control_fd, keep_fd };
        const struct squashfs_serve_options options = {
                .uid = identity->uid,
                .gid = identity->gid,
                .uid_count = identity->uid_count,
                .gid_count = identity->gid_count,
        };
        struct error err = ERROR_INIT;
        char byte = 0;

        /*
         * The server still sees the host's files. Not being dumpable keeps the
         * container's processes, which have its user id and namespace, out of
         * its memory and of /proc/PID/root (ptrace(2), access mode checking).
         */
        if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || prctl(PR_SET_NAME, RUNTIME_SERVER_NAME) < 0 ||
            detach_from_terminal() < 0 || (apart && leave_mount_namespace() < 0) ||
            privileges_drop_all(&err) < 0)
                return EXIT_FAILURE;
        /* Somebody may be waiting for the end of a pipe that the container was given. */
        runtime_close_descriptors(keep, ARRAY_SIZE(keep));
        if (apart && send(control_fd, &byte, sizeof(byte), MSG_NOSIGNAL) != sizeof(byte))
                return EXIT_FAILURE;
        if (recv(control_fd, &byte, sizeof(byte), 0) != sizeof(byte))
                return EXIT_FAILURE;
        (void)close(control_fd);
        if (squashfs_serve(server->image, server->fuse_fd, &options, &err) < 0)
                return EXIT_FAILURE;
        return EXIT_SUCCESS;
}

/* Returns the process in between, which has our memory until its end: nothing is copied twice. */
static pid_t fork_server(struct image_server *server, const struct identity *identity,
                         int control_fd, int keep_fd, bool apart)
{
        pid_t child = vfork(), process;

        if (child != 0)
                return child;
        process = fork();
        if (process == 0)
                _exit(serve(server, identity, control_fd, keep_fd, apart));
        _exit(process < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

static int ended_early(struct error *err)
{
        return error_set(err, ECHILD, "the image's server ended early");
}

int image_server_start(struct image_server *server, const struct identity *identity, int keep_fd,
                       bool apart, struct error *err)
{
        auto_close int control_fd = -1;
        int sockets[2];
        pid_t child;
        char ready;

        server->fuse_fd = open_fuse(err);
        if (server->fuse_fd < 0)
                return -1;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) < 0)
                return error_errno(err, "cannot make a socket");
        server->control_fd = sockets[0];
        control_fd = sockets[1];

        child = fork_server(server, identity, control_fd, keep_fd, apart);
        if (child < 0)
                return error_errno(err, "cannot start the image's server");
        /* A failure shows at the socket; the status may be lost to an ignored SIGCHLD. */
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                ;
        (void)close(TAKE_FD(control_fd));
        /* Mounted before the server has its own namespace, the image would be in both. */
        if (apart && recv(server->control_fd, &ready, sizeof(ready), 0) != sizeof(ready))
                return ended_early(err);
        return 0;
}

int image_server_mount(struct image_server *server, const struct identity *identity,
                       const char *source, int target_fd, uint64_t attributes, struct error *err)
{
        char data[256], target[64];

        if (squashfs_fuse_mount_data(server->fuse_fd, identity->uid, identity->gid, data,
                                     sizeof(data), err) < 0)
                return -1;
        (void)snprintf(target, sizeof(target), "/proc/self/fd/%d", target_fd);
        if (mount(source, target, "fuse",
                  (unsigned long)attributes | MS_RDONLY | MS_NOSUID | MS_NODEV, data) < 0)
                return error_errno(err, "cannot mount the image");
        if (send(server->control_fd, "", 1, MSG_NOSIGNAL) != 1)
                return ended_early(err);
        return 0;
}
