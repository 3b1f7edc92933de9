#include "util/thread.h"

#include <signal.h>
#include <stddef.h>

int thread_start(pthread_t *ret, void *(*run)(void *context), void *context)
{
        sigset_t all, before;
        int code;

        (void)sigfillset(&all);
        (void)pthread_sigmask(SIG_SETMASK, &all, &before);
        code = pthread_create(ret, NULL, run, context);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
        return code;
}
