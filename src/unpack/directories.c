#include "unpack/directories.h"

#include <sys/stat.h>

#include "unpack/make.h"
#include "util/cancel.h"
#include "util/cleanup.h"

/* Directories that are taken from the plan at a time. */
#define BATCH 64

static int make_directory(struct directory_maker *maker, struct plan_directory *directory)
{
        struct error *err = &maker->err;
        int parent = dir_cache_open(maker->cache, directory->parent, err);

        if (parent < 0)
                return -1;
        /* Mostly the mode needs no change in the end. */
        if (mkdirat(parent, directory->name, make_mode(ENTRY_DIRECTORY, directory->mode) & 01777) <
            0) {
                error_errno(err, "mkdir");
                return plan_error(err, "extract", directory->parent, directory->name);
        }
        return dir_cache_keep(maker->cache, directory, err);
}

int make_directories(struct directory_maker *maker)
{
        struct plan_directory *batch[BATCH];
        size_t made = 1, count; /* the root is there */

        maker->status = 0;
        while (maker->status == 0 &&
               (count = plan_wait_directories(maker->plan, made, batch, BATCH)) > 0) {
                for (size_t i = 0; maker->status == 0 && i < count; i++)
                        maker->status = make_directory(maker, batch[i]);
                if (maker->status == 0)
                        maker->status = cancel_check(&maker->err);
                made += count;
        }
        return maker->status;
}
