#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/probe.h"
#include "mount/mount.h"
#include "squashfs/squashfs.h"
#include "util/cleanup.h"

int probe_tmpfs(const struct probe_context *context, const struct probe *probe,
                struct probe_answer *answer, struct error *err)
{
        (void)probe;
        return probe_enter_scratch(context, answer, err);
}

/* ---- proc ---- */

static int mount_proc(void)
{
        pid_t child;

        if (unshare(CLONE_NEWPID) < 0 || mkdir("proc", 0755) < 0)
                return -1;
        child = fork();
        if (child == 0)
                _exit(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0
                              ? errno
                              : EXIT_SUCCESS);
        if (child > 0) {
                int status = 0;

                (void)waitpid(child, &status, 0);
                errno = WIFEXITED(status) ? WEXITSTATUS(status) : ECHILD;
        }
        return child > 0 && errno == 0 ? 0 : -1;
}

int probe_proc(const struct probe_context *context, const struct probe *probe,
               struct probe_answer *answer, struct error *err)
{
        (void)probe;
        if (probe_enter_scratch(context, answer, err) < 0)
                return -1;
        if (mount_proc() == 0)
                return 0;
        error_errno(err, "cannot mount proc");
        if (err->code == EPERM) {
                /* mount_too_revealing() in fs/namespace.c */
                error_append(err, "; parts of this /proc are hidden by other mounts, as container "
                                  "runtimes do");
                (void)snprintf(answer->mend, sizeof(answer->mend),
                               "start the outer container with \"procMount: Unmasked\" (a pod) or "
                               "\"--security-opt systempaths=unconfined\"");
        }
        return -1;
}

/* ---- overlayfs ---- */

static int make_file(const char *path)
{
        auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

        return fd < 0 ? -1 : 0;
}

static int make_layers(void)
{
        static const char *const dirs[] = { "lower", "upper", "work", "merged", "lower/dir" };

        for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
                if (mkdir(dirs[i], 0755) < 0)
                        return -1;
        return make_file("lower/file") < 0 || make_file("lower/dir/file") < 0 ? -1 : 0;
}

/* As runtime/image.c: "userxattr" is unknown to the patched kernels before Linux 5.11. */
static int mount_overlay(struct probe_answer *answer)
{
        static const char options[] = "lowerdir=lower,upperdir=upper,workdir=work,userxattr";
        static const char plain[] = "lowerdir=lower,upperdir=upper,workdir=work";

        if (mount("overlay", "merged", "overlay", 0, options) == 0)
                return probe_found(answer, "userxattr");
        if (errno != EINVAL || mount("overlay", "merged", "overlay", 0, plain) < 0)
                return -1;
        return probe_found(answer, "without userxattr");
}

int probe_overlay(const struct probe_context *context, const struct probe *probe,
                  struct probe_answer *answer, struct error *err)
{
        struct stat st;

        (void)probe;
        if (probe_enter_scratch(context, answer, err) < 0)
                return -1;
        if (make_layers() < 0)
                return error_errno(err, "cannot make the layers");
        if (mount_overlay(answer) < 0) {
                error_errno(err, "cannot mount it");
                return probe_refused(context, HOST_OVERLAY, answer, err);
        }
        answer->module = probe_module_loaded(context, "overlay");
        /* A whiteout is a character device 0:0, which its mounter may make (Linux 5.8). */
        if (unlink("merged/file") < 0 || stat("merged/file", &st) == 0)
                return error_errno(err, "it cannot delete a file of the lower layer");
        /* A directory in the place of a deleted one needs an attribute of the upper layer. */
        if (unlink("merged/dir/file") < 0 || rmdir("merged/dir") < 0 ||
            mkdir("merged/dir", 0755) < 0 || stat("merged/dir/file", &st) == 0)
                return error_errno(err, "it cannot replace a directory of the lower layer");
        return 0;
}

/* ---- FUSE ---- */

int probe_fuse(const struct probe_context *context, const struct probe *probe,
               struct probe_answer *answer, struct error *err)
{
        auto_close int fd = -1;
        char data[256];

        (void)probe;
        if (probe_enter_scratch(context, answer, err) < 0)
                return -1;
        /* The kernel takes the descriptor only from the namespace that mounts. */
        fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
        if (fd < 0) {
                error_errno(err, "/dev/fuse");
                return probe_refused(context, HOST_FUSE_DEVICE, answer, err);
        }
        if (squashfs_fuse_mount_data(fd, 0, 0, data, sizeof(data), err) < 0)
                return -1;
        if (mkdir("fuse", 0755) < 0 ||
            mount("enroot", "fuse", "fuse", MS_RDONLY | MS_NOSUID | MS_NODEV, data) < 0) {
                error_errno(err, "cannot mount it");
                if (err->code == EPERM)
                        error_append(err, "; in user namespaces it needs Linux 4.18");
                return -1;
        }
        answer->module = probe_module_loaded(context, "fuse");
        (void)umount2("fuse", MNT_DETACH);
        return 0;
}

/* ---- system calls ---- */

int probe_mount_api(const struct probe_context *context, const struct probe *probe,
                    struct probe_answer *answer, struct error *err)
{
        auto_close int target = -1;

        (void)probe;
        if (probe_enter_scratch(context, answer, err) < 0)
                return -1;
        if (mkdir("source", 0755) < 0 || mkdir("target", 0755) < 0)
                return error_errno(err, "cannot make directories");
        target = open("target", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (target < 0)
                return error_errno(err, "cannot open a directory");
        if (mount_api_try("source", target, err) < 0)
                return -1;
        if (make_file("target/file") == 0 || errno != EROFS)
                return error_set(err, EINVAL, "mount_setattr has no effect");
        return 0;
}

int probe_openat2(const struct probe_context *context, const struct probe *probe,
                  struct probe_answer *answer, struct error *err)
{
        struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
        auto_close int fd = (int)syscall(SYS_openat2, AT_FDCWD, "/..", &how, sizeof(how));

        (void)context;
        (void)probe;
        (void)answer;
        return fd < 0 ? error_errno(err, "cannot open a path") : 0;
}
