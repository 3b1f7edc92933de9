/*
 * Points of layers (codec.h), each in a file beside its blob, which they may outlive. Whoever
 * reads them finds out what is wrong with them.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "store/store_private.h"
#include "util/cleanup.h"

#define POINTS_NAME_SIZE (STORE_NAME_SIZE + sizeof(STORE_POINTS_SUFFIX))
#define POINTS_MODE      0640

static int points_name(const char *digest, char name[POINTS_NAME_SIZE], struct error *err)
{
        char blob_name[STORE_NAME_SIZE];

        if (store_blob_name(digest, blob_name, err) < 0)
                return -1;
        (void)snprintf(name, POINTS_NAME_SIZE, "%s" STORE_POINTS_SUFFIX, blob_name);
        return 0;
}

int store_get_points(struct store *store, const char *digest, struct error *err)
{
        char name[POINTS_NAME_SIZE];
        struct stat st;

        return points_name(digest, name, err) < 0 ? -1 : store_open_used(store, name, &st, err);
}

int store_create_points(struct store *store, const char *digest, struct temp_file *ret,
                        struct error *err)
{
        char name[POINTS_NAME_SIZE];

        return points_name(digest, name, err) < 0
                       ? -1
                       : temp_file_create(ret, store->dir_fd, name, POINTS_MODE, err);
}

int store_publish_points(const char *digest, struct temp_file *file, struct error *err)
{
        char name[POINTS_NAME_SIZE];

        if (points_name(digest, name, err) < 0)
                return -1;
        return temp_file_publish(file, name, true, err);
}

bool store_drop_points(struct store *store, const char *digest)
{
        char name[POINTS_NAME_SIZE];
        struct error ignored = ERROR_INIT;

        return points_name(digest, name, &ignored) == 0 && unlinkat(store->dir_fd, name, 0) == 0;
}
