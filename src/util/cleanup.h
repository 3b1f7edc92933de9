/*
 * Clean-up by attribute: a variable declared with one of these is released when
 * it leaves scope. Always initialise it on the declaration line.
 *
 *      auto_close int fd = -1;
 *      auto_free char *name = NULL;
 *
 * Handing the resource to somebody else is explicit: return TAKE_FD(fd).
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *pointer)
{
        free(*(void **)pointer);
}

/* close() is never retried: on Linux the descriptor is gone even after EINTR. */
static inline void cleanup_close(int *fd)
{
        int saved = errno;

        if (*fd >= 0)
                (void)close(*fd);
        errno = saved;
}

static inline void cleanup_fclose(FILE **file)
{
        if (*file)
                (void)fclose(*file);
}

static inline void cleanup_closedir(DIR **dir)
{
        if (*dir)
                (void)closedir(*dir);
}

#define auto_cleanup(function) __attribute__((cleanup(function)))
#define auto_free              auto_cleanup(cleanup_free)
#define auto_close             auto_cleanup(cleanup_close)
#define auto_fclose            auto_cleanup(cleanup_fclose)
#define auto_closedir          auto_cleanup(cleanup_closedir)

/* The value of an owner variable, which is left empty: ownership moves to the caller. */
#define TAKE(variable, empty)                                                                      \
        ({                                                                                         \
                __typeof__(variable) *take_from = &(variable);                                     \
                __typeof__(variable) taken = *take_from;                                           \
                *take_from = (empty);                                                              \
                taken;                                                                             \
        })
#define TAKE_PTR(pointer) TAKE(pointer, NULL)
#define TAKE_FD(fd)       TAKE(fd, -1)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
