/*
 * The container's first process: puts its root together, waits for "start", becomes the
 * command. In its namespaces from the beginning, with all capabilities of the user
 * namespace until process.c drops them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "oci/container.h"
#include "util/io.h"
#include "util/path.h"

/* ---- the root ---- */

static int open_root(const struct creation *creation, struct mount_root *root, struct error *err)
{
        char *path = creation->spec.rootfs;
        struct mount_entry entry = {
                .source = path,
                .target = path,
                .bind = true,
                .recursive = true,
                .propagation = MS_SLAVE,
                .propagation_recursive = true,
        };
        struct mount_plan plan = { .entries = &entry, .count = 1 };
        auto_close int host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        struct mount_root host_root = { .fd = host };

        if (host < 0)
                return error_errno(err, "/");
        if (mount_plan_apply(&plan, &host_root, 0, 0, creation->report, err) < 0)
                return -1;
        root->path = path;
        root->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        return root->fd < 0 ? error_errno(err, "%s", path) : 0;
}

static int make_read_only(const struct creation *creation, const struct mount_root *root,
                          struct error *err)
{
        struct mount_entry entry = {
                .target = (char *)"/",
                .bind = true,
                .remount = true,
                .attr_set = MS_RDONLY,
        };
        struct mount_plan plan = { .entries = &entry, .count = 1 };

        if (!creation->spec.read_only)
                return 0;
        return mount_plan_apply(&plan, root, 0, 0, creation->report, err);
}

/* The working directory is made where the image lacks it, as every runtime does. */
static int make_directory(const struct creation *creation, const struct mount_root *root,
                          struct error *err)
{
        const char *path = creation->spec.process.cwd;
        auto_close int fd = path_make_dirs(root->fd, path, 0755);

        return fd < 0 && errno != EROFS && errno != EACCES
                       ? error_errno(err, "the working directory %s", path)
                       : 0;
}

/* "net.ipv4.ip_forward=1"; a dot is a slash (sysctl(8)). */
static int set_parameter(const struct mount_root *root, const char *setting, struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;
        const char *value = strchr(setting, '=');
        auto_close int fd = -1;

        (void)strbuf_append(&path, "/proc/sys/");
        for (const char *c = setting; c < value; c++)
                (void)strbuf_append_char(&path, *c == '.' ? '/' : *c);
        if (path.failed)
                return error_no_memory(err);
        fd = path_open_in_root(root->fd, strbuf_text(&path), O_WRONLY, 0);
        value++;
        if (fd < 0 || io_write_full(fd, value, strlen(value)) < 0)
                return error_errno(err, "sysctl %s", setting);
        return 0;
}

/* Through the container's own /proc, before its paths are made read-only. */
static int set_parameters(const struct oci_spec *spec, const struct mount_root *root,
                          struct error *err)
{
        for (size_t i = 0; i < spec->sysctl.count; i++)
                if (set_parameter(root, spec->sysctl.items[i], err) < 0)
                        return -1;
        return 0;
}

/*
 * Where the root of the machine is one that pivot_root(2) does not take (an initramfs), the
 * new one is moved over it. Whoever gets out of it by chroot(2) finds the old one, so its
 * views of the kernel, which no namespace has covered, are taken away.
 */
static int move_root(int root_fd, const char *rootfs, struct error *err)
{
        static const char *const views[] = { "/proc", "/sys" };

        for (size_t i = 0; i < ARRAY_SIZE(views); i++)
                if (umount2(views[i], MNT_DETACH) < 0 &&
                    mount("tmpfs", views[i], "tmpfs", MS_RDONLY, "size=0") < 0)
                        return error_errno(err, "--no-pivot: cannot take %s away", views[i]);
        if (fchdir(root_fd) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
            chdir("/") < 0)
                return error_errno(err, "--no-pivot: cannot move %s to the root", rootfs);
        return 0;
}

static int assemble(struct creation *creation, struct error *err)
{
        struct oci_spec *spec = &creation->spec;
        auto_close int fd = -1;
        struct mount_root root = { .fd = -1, .mount_image = runtime_mount_image };
        int result;

        if (open_root(creation, &root, err) < 0)
                return -1;
        fd = root.fd;
        result = mounts_apply(creation, &root, err);
        if (result < 0 || devices_make(creation, &root, err) < 0 ||
            set_parameters(spec, &root, err) < 0 ||
            make_directory(creation, &root, err) < 0 ||
            hooks_run_all(&spec->hooks[OCI_CREATE_CONTAINER], &creation->state, err) < 0 ||
            mounts_cover(creation, &root, err) < 0 || make_read_only(creation, &root, err) < 0)
                return -1;
        return creation->create->no_pivot
                       ? move_root(root.fd, spec->rootfs, err)
                       : runtime_pivot(root.fd, spec->rootfs, creation->user_namespace, err);
}

/* ---- the rest ---- */

static int set_names(const struct oci_spec *spec, struct error *err)
{
        if (spec->hostname && sethostname(spec->hostname, strlen(spec->hostname)) < 0)
                return error_errno(err, "hostname %s", spec->hostname);
        if (spec->domainname && setdomainname(spec->domainname, strlen(spec->domainname)) < 0)
                return error_errno(err, "domainname %s", spec->domainname);
        return 0;
}

static int set_up(struct creation *creation, struct error *err)
{
        const struct oci_spec *spec = &creation->spec;

        (void)setsid();
        /* The number that others know it by; inside it may be 1. */
        if (message_receive(creation->channel, MESSAGE_GO, &creation->state.pid, err) < 0)
                return -1;
        creation->state.status = OCI_CREATING;
        if (label_is_needed(&spec->process) &&
            (creation->label_fd = label_open(&spec->process, err)) < 0)
                return -1;
        if (creation->state.own_keyring &&
            keyring_join(creation->state.id, creation->report, err) < 0)
                return -1;
        /* The creator has moved this process: its cgroup is the root now. */
        if (spec->new_namespaces & CLONE_NEWCGROUP && unshare(CLONE_NEWCGROUP) < 0)
                return error_errno(err, "cannot create a cgroup namespace");
        if (set_names(spec, err) < 0 || assemble(creation, err) < 0)
                return -1;
        if (spec->propagation && mount(NULL, "/", NULL, spec->propagation, NULL) < 0)
                return error_errno(err, "rootfsPropagation");
        if (creation->console_fd >= 0 &&
            console_make(&spec->process, creation->console_fd, true, err) < 0)
                return -1;
        return process_check(&spec->process, err);
}

/* Wait until "start" has connected, whatever became of those that tried before. */
static int wait_for_start(int listen_fd)
{
        for (;;) {
                int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
                char go;

                if (fd >= 0 && recv(fd, &go, sizeof(go), 0) == sizeof(go))
                        return fd;
                if (fd >= 0)
                        (void)close(fd);
                else if (errno != EINTR && errno != ECONNABORTED)
                        return -1;
        }
}

static int go_on(struct creation *creation, int start_fd, struct error *err)
{
        struct oci_spec *spec = &creation->spec;
        const struct process_surroundings surroundings = {
                .preserve_fds = creation->create->preserve_fds,
                .keep_fd = start_fd,
                .label_fd = creation->label_fd,
                .notification = { creation->notify_fd, creation->state.pid, &creation->state },
                .dies_with_parent = creation->create->foreground,
        };

        creation->state.status = OCI_CREATED;
        if (hooks_run_all(&spec->hooks[OCI_START_CONTAINER], &creation->state, err) < 0 ||
            schedule_personality(spec, err) < 0)
                return -1;
        return process_become(&spec->process, &creation->filter, &surroundings, creation->report,
                              err);
}

_Noreturn void inside_run(struct creation *creation)
{
        const struct oci_spec *spec = &creation->spec;
        struct error err = ERROR_INIT;
        int start_fd;

        /* "run" is gone, the container goes; the parent is "run" itself, the stage's heir. */
        if (set_up(creation, &err) < 0 ||
            (creation->create->foreground && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0))
                message_fail(creation->channel, &err);
        /*
         * Processes of a container whose namespaces it shares must not get at the descriptors
         * of the host that are open here until execve(2). Elsewhere nobody is inside yet, and
         * "exec" shall be possible.
         */
        if (spec->namespaces[OCI_NS_USER] || spec->namespaces[OCI_NS_PID])
                (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
        if (message_send(creation->channel, MESSAGE_READY, 0, &err) < 0)
                _exit(EXIT_FAILURE);
        if (!creation->create->foreground)
                (void)close(TAKE_FD(creation->channel));
        start_fd = wait_for_start(creation->listen_fd);
        if (start_fd < 0)
                _exit(EXIT_FAILURE);
        (void)go_on(creation, start_fd, &err);
        message_fail(start_fd, &err);
}
