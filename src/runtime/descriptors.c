#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/container.h"

/* Where neither close_range nor /proc is there to tell which descriptors are open. */
#define DESCRIPTORS_MAX (1 << 20)

static int by_number(const void *a, const void *b)
{
        return *(const int *)a - *(const int *)b;
}

/* Close first to last, both included. */
static void close_between(int first, int last)
{
        auto_closedir DIR *dir = NULL;
        const struct dirent *entry;

#ifdef SYS_close_range
        if (syscall(SYS_close_range, (unsigned int)first, (unsigned int)last, 0) == 0)
                return;
#endif
        /* Before Linux 5.9. closefrom(3) would abort the program where there is no /proc. */
        dir = opendir("/proc/self/fd");
        while (dir && (entry = readdir(dir)) != NULL) {
                int fd = atoi(entry->d_name); /* 0 for "." and ".." */

                if (fd >= first && fd <= last && fd != dirfd(dir))
                        (void)close(fd);
        }
        for (int fd = first; !dir && fd <= last && fd < DESCRIPTORS_MAX; fd++)
                (void)close(fd);
}

void runtime_close_descriptors(int *keep, size_t count)
{
        int first = STDERR_FILENO + 1;

        if (count > 0)
                qsort(keep, count, sizeof(*keep), by_number);
        for (size_t i = 0; i < count; i++) {
                if (keep[i] < first)
                        continue;
                if (keep[i] > first)
                        close_between(first, keep[i] - 1);
                first = keep[i] + 1;
        }
        close_between(first, INT_MAX);
}
