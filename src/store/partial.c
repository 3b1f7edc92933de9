#include "store/partial.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "util/cleanup.h"
#include "util/strbuf.h"

/* Only a file that this user made himself can be what he has fetched. */
static bool is_own(int fd, uint64_t size, uint64_t *ret_have)
{
        struct stat st;

        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
            st.st_nlink != 1 || (uint64_t)st.st_size > size)
                return false;
        *ret_have = (uint64_t)st.st_size;
        return true;
}

int partial_open(const struct store *store, const char *blob_name, uint64_t size, mode_t mode,
                 struct temp_file *temp, uint64_t *ret_have, struct error *err)
{
        auto_strbuf struct strbuf name = STRBUF_INIT;
        auto_close int fd = -1;

        if (strbuf_printf(&name, ".%s" PARTIAL_SUFFIX, blob_name) < 0)
                return error_no_memory(err);
        fd = openat(store->dir_fd, name.data, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0 || !is_own(fd, size, ret_have)) {
                if (fd >= 0)
                        (void)close(TAKE_FD(fd));
                (void)unlinkat(store->dir_fd, name.data, 0);
                fd = openat(store->dir_fd, name.data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
                *ret_have = 0;
        }
        if (fd < 0)
                return error_errno(err, "%s", name.data);
        *temp = (struct temp_file){
                .fd = TAKE_FD(fd), .dir_fd = store->dir_fd, .name = strbuf_take(&name), .mode = mode
        };
        return temp->name ? 0 : error_no_memory(err);
}

void partial_keep(struct temp_file *temp, uint64_t length)
{
        /* What was reserved behind the end would be lost to the disk. */
        (void)ftruncate(temp->fd, (off_t)length);
        free(TAKE_PTR(temp->name));
        temp_file_discard(temp);
}

bool partial_is_recent(const struct store *store, const char *name)
{
        size_t length = strlen(name), suffix = strlen(PARTIAL_SUFFIX);
        struct stat st;

        return length > suffix && strcmp(name + length - suffix, PARTIAL_SUFFIX) == 0 &&
               fstatat(store->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
               st.st_mtime > time(NULL) - PARTIAL_AGE;
}
