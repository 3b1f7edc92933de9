#include "cli/ending.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

int ending_of_signal(int sig)
{
        const struct rlimit none = { 0, 0 };
        sigset_t set;

        /* A core file, if any, is the child's and not ours. */
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)sigemptyset(&set);
        (void)sigaddset(&set, sig);
        (void)signal(sig, SIG_DFL);
        (void)sigprocmask(SIG_UNBLOCK, &set, NULL);
        (void)raise(sig);
        return 128 + sig;
}

int ending_of_child(int wait_status)
{
        if (WIFSIGNALED(wait_status))
                return ending_of_signal(WTERMSIG(wait_status));
        return WEXITSTATUS(wait_status);
}
