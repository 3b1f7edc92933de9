/*
 * Between entering a container and execve(2) a process of this program is there, and what it
 * executes may be this program again (a link to /proc/self/exe), so that its file can be
 * reached as /proc/PID/exe and written to once nobody executes it (CVE-2019-5736). Where
 * those inside are who may write to it, that is root of the machine without a user
 * namespace, or the user for whom the program was installed in a home directory, it
 * executes a copy of itself in memory that nobody can write to.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "oci/oci.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

static bool is_copy(void)
{
        char path[64] = "";

        return readlink("/proc/self/exe", path, sizeof(path) - 1) > 0 &&
               strncmp(path, "/memfd:", 7) == 0;
}

/* The owner could give himself the right. */
static bool can_be_changed(void)
{
        struct stat st;

        return stat("/proc/self/exe", &st) < 0 || st.st_uid == geteuid() ||
               access("/proc/self/exe", W_OK) == 0;
}

static int make_copy(void)
{
        auto_close int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        auto_close int to = memfd_create("enroot", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
        struct stat st;

        if (to < 0 && errno == EINVAL)
                to = memfd_create("enroot", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (from < 0 || to < 0 || fstat(from, &st) < 0)
                return -1;
        while (st.st_size > 0) {
                ssize_t size = sendfile(to, from, NULL, (size_t)st.st_size);

                if (size <= 0)
                        return -1;
                st.st_size -= size;
        }
        if (fcntl(to, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return -1;
        return TAKE_FD(to);
}

int oci_become_copy(char **argv, char **environment, struct error *err)
{
        auto_close int fd = -1;

        if (!can_be_changed() || is_copy())
                return 0;
        fd = make_copy();
        if (fd >= 0)
                (void)fexecve(fd, argv, environment);
        return error_errno(err, "cannot execute a copy of the program, which keeps containers "
                                "from changing it");
}
