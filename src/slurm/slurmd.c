#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "slurm/contexts.h"
#include "slurm/runtime_dir.h"
#include "slurm/settings.h"
#include "step/step.h"
#include "util/cleanup.h"
#include "util/error.h"

/* Marks of jobs that are older than this start count no more (commands/step_reap.c). */
static int note_start(int dir_fd, struct error *err)
{
        static const char unfinished[] = "." STEP_START_FILE;
        auto_close int fd = openat(dir_fd, unfinished,
                                   O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        struct timespec now;

        (void)clock_gettime(CLOCK_REALTIME, &now);
        if (fd < 0 || fchmod(fd, 0644) < 0 ||
            dprintf(fd, "%" PRId64 ".%09ld\n", (int64_t)now.tv_sec, now.tv_nsec) < 0 ||
            renameat(dir_fd, unfinished, dir_fd, STEP_START_FILE) < 0)
                return error_errno(err, STEP_START_FILE);
        return 0;
}

int slurmd_init(int argc, char **argv)
{
        struct settings settings;
        struct error err = ERROR_INIT;
        auto_close int dir_fd = -1;

        slurm_info("pyxis: enroot " ENROOT_VERSION);
        /* With an error slurmd would not come up, for jobs without containers either. */
        if (settings_parse(&settings, argc, argv) < 0)
                return 0;
        dir_fd = runtime_dir_open(settings.runtime_path, &err);
        if (dir_fd < 0 || note_start(dir_fd, &err) < 0)
                slurm_error("pyxis: %s", err.message);
        return 0;
}
