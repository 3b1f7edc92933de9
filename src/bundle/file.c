/* A bundle as a file: written front to back, then its checksum; read, and checked. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bundle/bundle.h"
#include "util/cancel.h"
#include "util/cleanup.h"
#include "util/io.h"

/* Bytes copied or hashed at once: how long Ctrl-C waits, at most. */
#define COPY_CHUNK (64u << 20)
#define HASH_CHUNK (1u << 20)

/* ---- reading ---- */

/* Read size bytes at an offset; fewer are EBADMSG. */
static int read_at(int fd, void *buffer, size_t size, uint64_t offset, struct error *err)
{
        ssize_t count = io_pread_full(fd, buffer, size, offset);

        if (count < 0)
                return error_errno(err, "read");
        if ((size_t)count < size)
                return error_set(err, EBADMSG, "damaged bundle: it ends early");
        return 0;
}

static int check_length(int fd, const struct bundle *bundle, struct error *err)
{
        uint64_t expected = bundle->image_offset + bundle->image_size;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return error_errno(err, "stat");
        if ((uint64_t)st.st_size == expected)
                return 0;
        return error_set(err, EBADMSG,
                         "damaged bundle: it has %jd of %" PRIu64
                         " bytes; a download or copy stopped half-way, get it again",
                         (intmax_t)st.st_size, expected);
}

int bundle_read(int fd, struct bundle *ret, struct error *err)
{
        unsigned char elf[BUNDLE_ELF_SIZE], head[BUNDLE_HEAD_SIZE];
        auto_free char *data = NULL;
        uint64_t runtime_size, place;
        uint32_t records;
        struct stat st;

        if (read_at(fd, elf, sizeof(elf), 0, err) < 0 ||
            bundle_runtime_size(elf, sizeof(elf), &runtime_size, err) < 0)
                return -1;
        if (fstat(fd, &st) < 0)
                return error_errno(err, "stat");
        if ((uint64_t)st.st_size == runtime_size)
                return error_set(err, ENOEXEC,
                                 "the runtime of bundles alone; \"enroot bundle\" puts an image "
                                 "behind it");
        place = bundle_head_offset(runtime_size);
        if (read_at(fd, head, sizeof(head), place, err) < 0 ||
            bundle_decode_head(head, sizeof(head), ret, &records, err) < 0 ||
            check_length(fd, ret, err) < 0)
                return -1;
        data = malloc(sizeof(head) + records);
        if (!data)
                return error_no_memory(err);
        if (read_at(fd, data, sizeof(head) + records, place, err) < 0)
                return -1;
        return bundle_decode(data, sizeof(head) + records, ret, err);
}

/* ---- checksum ---- */

/* SHA-256 of the first size bytes, those of the checksum being zeros. */
static int compute(int fd, uint64_t place, uint64_t size, char ret[SHA256_HEX_SIZE],
                   struct error *err)
{
        auto_sha256 struct sha256 *sha = sha256_new(err);
        auto_free unsigned char *buffer = malloc(HASH_CHUNK);
        uint64_t checksum = place + BUNDLE_CHECKSUM_OFFSET;

        if (!sha)
                return -1;
        if (!buffer)
                return error_no_memory(err);
        for (uint64_t done = 0; done < size;) {
                size_t chunk = size - done < HASH_CHUNK ? (size_t)(size - done) : HASH_CHUNK;

                if (cancel_check(err) < 0 || read_at(fd, buffer, chunk, done, err) < 0)
                        return -1;
                for (uint64_t i = 0; i < BUNDLE_CHECKSUM_SIZE; i++)
                        if (checksum + i >= done && checksum + i < done + chunk)
                                buffer[checksum + i - done] = 0;
                sha256_update(sha, buffer, chunk);
                done += chunk;
        }
        sha256_finish(sha, ret);
        return 0;
}

/* The head's place in a file that was read before. */
static int find_head(int fd, uint64_t *ret, struct error *err)
{
        unsigned char elf[BUNDLE_ELF_SIZE];
        uint64_t runtime_size;

        if (read_at(fd, elf, sizeof(elf), 0, err) < 0 ||
            bundle_runtime_size(elf, sizeof(elf), &runtime_size, err) < 0)
                return -1;
        *ret = bundle_head_offset(runtime_size);
        return 0;
}

int bundle_verify(int fd, const struct bundle *bundle, struct error *err)
{
        char actual[SHA256_HEX_SIZE];
        uint64_t place;

        if (!bundle->has_checksum)
                return 0;
        if (find_head(fd, &place, err) < 0 ||
            compute(fd, place, bundle->image_offset + bundle->image_size, actual, err) < 0)
                return -1;
        if (strcmp(actual, bundle->checksum) != 0)
                return error_set(err, EBADMSG,
                                 "Checksum validation failed: the bundle is damaged, get it again");
        return 0;
}

/* ---- writing ---- */

/*
 * Append a file's first size bytes to another one. copy_file_range(2) shares them where
 * both are on one file system that can; sendfile(2) copies within the kernel elsewhere.
 */
static int append_file(int fd, int from_fd, uint64_t size, struct error *err)
{
        bool ranges = true;
        off_t offset = 0;

        while ((uint64_t)offset < size) {
                size_t left = size - (uint64_t)offset < COPY_CHUNK
                                      ? (size_t)(size - (uint64_t)offset)
                                      : COPY_CHUNK;
                ssize_t count;

                errno = 0;
                count = ranges ? copy_file_range(from_fd, &offset, fd, NULL, left, 0)
                               : sendfile(fd, from_fd, &offset, left);

                if (cancel_check(err) < 0)
                        return -1;
                if (count < 0 && errno == EINTR)
                        continue;
                /* EXDEV, EOPNOTSUPP, EINVAL …: of the way, not of the files. */
                if (ranges && count <= 0 && errno != ENOSPC && errno != EDQUOT && errno != EFBIG)
                        ranges = false;
                else if (count < 0)
                        return error_errno(err, "write");
                else if (count == 0)
                        return error_set(err, EBADMSG, "a file became shorter while it was read");
        }
        return 0;
}

static int append_text(int fd, uint64_t place, const struct strbuf *text, uint64_t next,
                       struct error *err)
{
        if (lseek(fd, (off_t)place, SEEK_SET) < 0 ||
            io_write_full(fd, strbuf_text(text), text->length) < 0 ||
            lseek(fd, (off_t)next, SEEK_SET) < 0)
                return error_errno(err, "write");
        return 0;
}

static int put_checksum(int fd, uint64_t place, struct bundle *bundle, struct error *err)
{
        if (compute(fd, place, bundle->image_offset + bundle->image_size, bundle->checksum, err) <
            0)
                return -1;
        if (pwrite(fd, bundle->checksum, BUNDLE_CHECKSUM_SIZE,
                   (off_t)(place + BUNDLE_CHECKSUM_OFFSET)) != BUNDLE_CHECKSUM_SIZE)
                return error_errno(err, "write");
        return 0;
}

int bundle_write(int fd, int runtime_fd, int image_fd, struct bundle *bundle, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct stat runtime, image;
        uint64_t place;

        if (fstat(runtime_fd, &runtime) < 0 || fstat(image_fd, &image) < 0)
                return error_errno(err, "stat");
        bundle->image_size = (uint64_t)image.st_size;
        place = bundle_head_offset((uint64_t)runtime.st_size);
        if (bundle_encode(bundle, (uint64_t)runtime.st_size, &text, err) < 0 ||
            append_file(fd, runtime_fd, (uint64_t)runtime.st_size, err) < 0 ||
            append_text(fd, place, &text, bundle->image_offset, err) < 0 ||
            append_file(fd, image_fd, bundle->image_size, err) < 0)
                return -1;
        return bundle->has_checksum ? put_checksum(fd, place, bundle, err) : 0;
}
