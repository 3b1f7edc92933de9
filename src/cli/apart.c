#include "cli/apart.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/ending.h"
#include "cli/messages.h"
#include "util/cancel.h"

static int run(const struct command_context *context, apart_step step, const void *arguments,
               bool progress, pid_t parent)
{
        struct error err = ERROR_INIT;
        int result;

        /* Without the parent, which may have ended already, there is nobody to go on. */
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent)
                return EXIT_FAILURE;
        cancel_install();
        if (progress)
                messages_progress_start(context->report);
        result = step(context, arguments, &err);
        messages_progress_stop();
        if (result == 0)
                return EXIT_SUCCESS;
        message_error(err.message);
        return cancel_signal() ? ending_of_signal(cancel_signal()) : EXIT_FAILURE;
}

int apart_run(const struct command_context *context, apart_step step, const void *arguments,
              bool progress, struct error *err)
{
        const pid_t parent = getpid();
        pid_t child = fork();
        int status = 0;

        if (child < 0)
                return error_errno(err, "cannot start a process");
        if (child == 0)
                _exit(run(context, step, arguments, progress, parent));
        while (waitpid(child, &status, 0) < 0)
                if (errno != EINTR)
                        return error_errno(err, "cannot wait for a process");
        return ending_of_child(status);
}
