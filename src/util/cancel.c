#include "util/cancel.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t caught;

static void take_note(int sig)
{
        caught = sig;
}

void cancel_install(void)
{
        struct sigaction action = { .sa_handler = take_note };

        (void)sigaction(SIGINT, &action, NULL);
        (void)sigaction(SIGTERM, &action, NULL);
        (void)sigaction(SIGHUP, &action, NULL);
        action.sa_handler = SIG_IGN;
        (void)sigaction(SIGPIPE, &action, NULL);
}

int cancel_signal(void)
{
        return caught;
}

int cancel_check(struct error *err)
{
        if (!caught)
                return 0;
        return error_set(err, EINTR, "interrupted");
}
