/* Threads of a library folder. */
#pragma once

#include <pthread.h>

/*
 * Start a thread in which every signal is blocked: handlers, and the EINTR that ends a
 * wait, are for the program's own thread. Returns 0, or an error number.
 */
int thread_start(pthread_t *ret, void *(*run)(void *context), void *context);
