/* How the kernel shares processors and disks with a container's process. */
#include <errno.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "oci/container.h"

#define WHO_PROCESS 1 /* IOPRIO_WHO_PROCESS */

/* struct sched_attr of the kernel; some C libraries have no name for it. */
struct scheduling {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
};

static int set_scheduler(const struct oci_scheduler *scheduler, struct error *err)
{
        const struct scheduling scheduling = {
                .size = sizeof(scheduling),
                .policy = scheduler->policy,
                .flags = scheduler->flags,
                .nice = scheduler->nice,
                .priority = scheduler->priority,
                .runtime = scheduler->runtime,
                .deadline = scheduler->deadline,
                .period = scheduler->period,
        };

        if (!scheduler->given || syscall(SYS_sched_setattr, 0, &scheduling, 0) == 0)
                return 0;
        (void)error_errno(err, "scheduler");
        return err->code == EPERM
                       ? error_append(err, " (RLIMIT_NICE and RLIMIT_RTPRIO say what a user may)")
                       : -1;
}

int schedule_process(const struct oci_process *process, struct error *err)
{
        if (set_scheduler(&process->scheduler, err) < 0)
                return -1;
        if (process->io_priority &&
            syscall(SYS_ioprio_set, WHO_PROCESS, 0, process->io_priority) < 0)
                return error_errno(err, "ioPriority");
        return 0;
}

int schedule_cpus(const struct oci_cpus *cpus, struct error *err)
{
        if (cpus->given && sched_setaffinity(0, sizeof(cpus->set), &cpus->set) < 0)
                return error_errno(err, "execCPUAffinity");
        return 0;
}

int schedule_personality(const struct oci_spec *spec, struct error *err)
{
        if (spec->has_personality && personality((unsigned long)spec->personality) < 0)
                return error_errno(err, "personality");
        return 0;
}
