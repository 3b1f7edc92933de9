/* Terminals of containers, whose other side somebody outside has. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#include "oci/container.h"

#define MASTER "/dev/ptmx"

int descriptor_send(int socket_fd, int fd, const char *text, size_t length, struct error *err)
{
        struct iovec data = { .iov_base = (char *)text, .iov_len = length };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .space = { 0 } };
        struct msghdr message = {
                .msg_iov = &data,
                .msg_iovlen = 1,
                .msg_control = control.space,
                .msg_controllen = sizeof(control.space),
        };
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);

        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof(fd));
        return sendmsg(socket_fd, &message, MSG_NOSIGNAL) < 0
                       ? error_errno(err, "cannot hand a descriptor over")
                       : 0;
}

int console_receive(int socket_fd, struct error *err)
{
        char name[64];
        struct iovec data = { .iov_base = name, .iov_len = sizeof(name) };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { .space = { 0 } };
        struct msghdr message = {
                .msg_iov = &data,
                .msg_iovlen = 1,
                .msg_control = control.space,
                .msg_controllen = sizeof(control.space),
        };
        const struct cmsghdr *header;
        int fd;

        if (recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC) < 0)
                return error_errno(err, "the container's terminal");
        header = CMSG_FIRSTHDR(&message);
        if (!header || header->cmsg_type != SCM_RIGHTS)
                return error_set(err, EPROTO, "the container's terminal does not come");
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
        return fd;
}

int socket_connect(const char *path, const char *option, struct error *err)
{
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (strlen(path) >= sizeof(address.sun_path))
                return error_set(err, ENAMETOOLONG, "%s %s", option, path);
        memcpy(address.sun_path, path, strlen(path));
        if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return error_errno(err, "%s %s", option, path);
        return TAKE_FD(fd);
}

/* The other side of a pseudo-terminal, and its path. A descriptor, or -1 with errno. */
static int open_slave(int master, char path[32])
{
        int unlocked = 0;
        unsigned int number;

        if (ioctl(master, TIOCSPTLCK, &unlocked) < 0 || ioctl(master, TIOCGPTN, &number) < 0)
                return -1;
        (void)snprintf(path, 32, "/dev/pts/%u", number);
        return open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
}

int console_make(const struct oci_process *process, int socket_fd, bool with_node,
                 struct error *err)
{
        const struct winsize size = { .ws_row = process->rows, .ws_col = process->columns };
        auto_close int master = open(MASTER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        auto_close int slave = -1;
        char path[32];

        slave = master < 0 ? -1 : open_slave(master, path);
        if (slave < 0) {
                (void)error_errno(err, "terminal: %s", MASTER);
                return error_append(err, " (the configuration must mount devpts at /dev/pts)");
        }
        if (process->rows > 0)
                (void)ioctl(slave, TIOCSWINSZ, &size);
        (void)fchown(slave, process->uid, process->gid);
        /* Without a file there, as below a /dev of the host, there is no console. */
        if (with_node && mount(path, "/dev/console", NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
                return error_errno(err, "/dev/console");
        /* The text beside it is its name, as runc sends it. */
        if (descriptor_send(socket_fd, master, MASTER, strlen(MASTER), err) < 0)
                return error_prefix(err, "terminal");
        if (ioctl(slave, TIOCSCTTY, 0) < 0)
                return error_errno(err, "cannot make %s the controlling terminal", path);
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
                if (dup2(slave, fd) < 0)
                        return error_errno(err, "%s", path);
        return 0;
}
