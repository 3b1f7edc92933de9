#include "util/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"

int capabilities_keep(struct error *err)
{
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

        if (syscall(SYS_capget, &header, data) < 0)
                return error_errno(err, "cannot read the capabilities");
        for (size_t i = 0; i < ARRAY_SIZE(data); i++)
                data[i].inheritable = data[i].permitted;
        if (syscall(SYS_capset, &header, data) < 0)
                return error_errno(err, "cannot pass the capabilities on");
        for (unsigned long cap = 0; cap < 32 * ARRAY_SIZE(data); cap++)
                if (data[cap / 32].permitted & 1u << cap % 32 &&
                    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
                        return error_errno(err, "cannot pass the capabilities on");
        return 0;
}
