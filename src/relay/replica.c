#include "relay/replica.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "util/io.h"

#define SUM_SIZE (1u << 20) /* bytes hashed at a time: a millisecond or two */

void replica_release(struct replica *replica)
{
        temp_file_discard(&replica->temp);
        if (replica->fd >= 0)
                (void)close(replica->fd);
        sha256_free(replica->sha);
        *replica = (struct replica)REPLICA_INIT;
}

int replica_fd(const struct replica *replica)
{
        return replica->fd >= 0 ? replica->fd : replica->temp.fd;
}

static int new_sum(struct replica *replica, struct error *err)
{
        replica->sha = sha256_new(err);
        return replica->sha ? 0 : -1;
}

int replica_open(struct replica *replica, struct store *store, const char *digest,
                 struct error *err)
{
        auto_close int fd = store_get_image(store, digest, err);
        struct stat st;

        if (fd < 0)
                return err->code == ENOENT ? 0 : -1;
        if (fstat(fd, &st) < 0)
                return error_errno(err, "%s", digest);
        replica_release(replica);
        replica->size = replica->have = (uint64_t)st.st_size;
        replica->fd = TAKE_FD(fd);
        return new_sum(replica, err) < 0 ? -1 : 1;
}

int replica_begin(struct replica *replica, struct store *store, const char *digest, uint64_t size,
                  struct error *err)
{
        char name[STORE_IMAGE_NAME_SIZE];

        replica_release(replica);
        if (store_image_name(digest, name, err) < 0 || new_sum(replica, err) < 0)
                return -1;
        if (store_check_space(store, size, err) < 0)
                return -1;
        if (temp_file_create(&replica->temp, store_dir_fd(store), name, 0666, err) < 0)
                return error_prefix(err, "ENROOT_CACHE_PATH: %s", store_path(store));
        replica->size = size;
        return 0;
}

int replica_append(struct replica *replica, const void *data, size_t size, struct error *err)
{
        if (size > replica->size - replica->have)
                return error_set(err, EMSGSIZE, "more bytes than were promised");
        if (io_write_full(replica->temp.fd, data, size) < 0)
                return error_errno(err, "cannot write the image to the cache (ENROOT_CACHE_PATH)");
        sha256_update(replica->sha, data, size);
        replica->have += size;
        replica->hashed = replica->have;
        return 0;
}

static void finish_sum(struct replica *replica)
{
        memcpy(replica->sum, "sha256:", 7);
        sha256_finish(replica->sha, replica->sum + 7);
        replica->summed = true;
}

int replica_publish(struct replica *replica, const char *digest, const char *sum,
                    struct error *err)
{
        char name[STORE_IMAGE_NAME_SIZE];

        if (replica->have != replica->size)
                return error_set(err, EMSGSIZE, "fewer bytes than were promised");
        finish_sum(replica);
        if (strcmp(replica->sum, sum) != 0)
                return error_set(err, EBADMSG, "other bytes than were sent");
        /* Publishing closes the temporary file's, and others are still being served. */
        replica->fd = fcntl(replica->temp.fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (replica->fd < 0)
                return error_errno(err, "%s", digest);
        if (store_image_name(digest, name, err) < 0)
                return -1;
        return temp_file_publish(&replica->temp, name, true, err);
}

int replica_sum_some(struct replica *replica, struct error *err)
{
        auto_free char *buffer = malloc(SUM_SIZE);
        uint64_t rest = replica->size - replica->hashed;
        size_t size = rest < SUM_SIZE ? (size_t)rest : SUM_SIZE;

        if (!buffer)
                return error_no_memory(err);
        if (io_pread_full(replica->fd, buffer, size, replica->hashed) != (ssize_t)size)
                return error_set(err, EIO, "cannot read the image in the cache");
        sha256_update(replica->sha, buffer, size);
        replica->hashed += size;
        if (replica->hashed == replica->size)
                finish_sum(replica);
        return 0;
}
