/*
 * Making the directories of a plan while it is still being built: reading the image and
 * making directories take about as long.
 */
#pragma once

#include <pthread.h>

#include "unpack/dir_cache.h"

struct directory_maker {
        struct plan *plan;
        struct dir_cache *cache; /* of the thread that makes them */
        struct error err;
        int status; /* once it is done */
};

/*
 * Make all directories below the root, parents first, until the plan is complete. They are
 * kept open as far as the cache may. Returns 0, or -1 with maker->err.
 */
int make_directories(struct directory_maker *maker);
