#include "util/own_program.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3 */
#endif

/* How the kernel shows the file of a copy, whose name is the original's path. */
#define COPY_PREFIX    "/memfd:"
#define COPY_SUFFIX    " (deleted)"
#define COPY_NAME_SIZE 250 /* of memfd_create(2), with the NUL */

/* Returns 1 in a copy; 0 otherwise, or -1 with errno. */
static int find_path(char ret[PATH_MAX])
{
        char shown[PATH_MAX] = "";
        size_t length, suffix = strlen(COPY_SUFFIX);
        bool copied;

        if (readlink("/proc/self/exe", shown, sizeof(shown) - 1) < 0)
                return -1;
        copied = strncmp(shown, COPY_PREFIX, strlen(COPY_PREFIX)) == 0;
        strcpy(ret, copied ? shown + strlen(COPY_PREFIX) : shown);
        length = strlen(ret);
        if (copied && length >= suffix && strcmp(ret + length - suffix, COPY_SUFFIX) == 0)
                ret[length - suffix] = '\0';
        return copied;
}

int own_program_path(char ret[PATH_MAX])
{
        if (find_path(ret) < 0)
                return -1;
        if (*ret == '/')
                return 0;
        errno = ENOENT;
        return -1;
}

/* The owner could give himself the right. */
static bool can_be_changed(void)
{
        struct stat st;

        return stat("/proc/self/exe", &st) < 0 || st.st_uid == geteuid() ||
               access("/proc/self/exe", W_OK) == 0;
}

static int make_copy(const char *path)
{
        const char *name = strlen(path) < COPY_NAME_SIZE ? path : "enroot";
        auto_close int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
        auto_close int to = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
        struct stat st;

        if (to < 0 && errno == EINVAL)
                to = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
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

int own_program_protect(char **argv, char **environment, struct error *err)
{
        auto_close int fd = -1;
        char path[PATH_MAX];
        int copied;

        if (!can_be_changed())
                return 0;
        copied = find_path(path);
        if (copied == 1)
                return 0;
        if (copied == 0)
                fd = make_copy(path);
        if (fd >= 0)
                (void)fexecve(fd, argv, environment);
        return error_errno(err, "cannot execute a copy of the program, which keeps containers "
                                "from changing it");
}
