#include "source/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "codec/codec.h"
#include "source/spool.h"
#include "source/tar_walk.h"
#include "util/cancel.h"
#include "util/io.h"
#include "util/path.h"

/* What an extent is read in, in bytes. */
#define BUFFER_SIZE (256u << 10)

struct member {
        char *name;   /* normalised */
        char *target; /* normalised name of another member, of links; NULL */
        enum tar_member_type type;
        uint64_t offset, size;
};

struct archive {
        int fd; /* of the directory or the tar archive */
        bool is_directory;
        struct member *members; /* sorted by name, each name once */
        size_t count, capacity;
};

/* ---- life ---- */

static void member_release(struct member *member)
{
        free(member->name);
        free(member->target);
}

void archive_close(struct archive *archive)
{
        for (size_t i = 0; i < archive->count; i++)
                member_release(&archive->members[i]);
        free(archive->members);
        if (archive->fd >= 0)
                (void)close(archive->fd);
        free(archive);
}

static struct archive *archive_new(struct error *err)
{
        struct archive *archive = calloc(1, sizeof(*archive));

        if (archive)
                archive->fd = -1;
        else
                error_no_memory(err);
        return archive;
}

struct archive *archive_open_directory(const char *path, struct error *err)
{
        auto_archive struct archive *archive = archive_new(err);

        if (!archive)
                return NULL;
        archive->is_directory = true;
        archive->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (archive->fd < 0) {
                error_errno(err, "%s", path);
                return NULL;
        }
        return TAKE_PTR(archive);
}

/* ---- the table of contents of a tar archive ---- */

/* The name that a link in the member called name leads to: a hard link names a member itself. */
static char *link_target(const struct tar_member *member, const char *name)
{
        auto_strbuf struct strbuf joined = STRBUF_INIT, normal = STRBUF_INIT;
        const char *slash = strrchr(name, '/');

        if (member->type == TAR_MEMBER_SYMLINK && member->target[0] != '/' && slash)
                strbuf_append_mem(&joined, name, (size_t)(slash + 1 - name));
        strbuf_append(&joined, member->target);
        if (joined.failed || path_normalize(joined.data, &normal) < 0)
                return NULL;
        return strdup(strbuf_text(&normal));
}

static int add_member(struct archive *archive, const struct tar_member *member, struct error *err)
{
        auto_strbuf struct strbuf name = STRBUF_INIT;
        struct member *added;

        if (archive->count == ARCHIVE_MEMBER_LIMIT)
                return error_set(err, EFBIG, "an archive of more than %u files",
                                 ARCHIVE_MEMBER_LIMIT);
        /* What cannot be a name in an image layout is nothing that anybody asks for. */
        if (path_normalize(member->name, &name) < 0)
                return name.failed ? error_no_memory(err) : 0;
        if (archive->count == archive->capacity) {
                size_t capacity = archive->capacity ? archive->capacity * 2 : 64;
                struct member *members = reallocarray(archive->members, capacity, sizeof(*members));

                if (!members)
                        return error_no_memory(err);
                archive->members = members;
                archive->capacity = capacity;
        }
        added = &archive->members[archive->count++];
        *added = (struct member){
                .name = strdup(strbuf_text(&name)),
                .type = member->type,
                .offset = member->offset,
                .size = member->size,
        };
        if (!added->name)
                return error_no_memory(err);
        if (member->type == TAR_MEMBER_HARD_LINK || member->type == TAR_MEMBER_SYMLINK)
                added->target = link_target(member, added->name);
        return 0;
}

static int by_name_and_place(const void *left, const void *right)
{
        const struct member *one = left, *other = right;
        int order = strcmp(one->name, other->name);

        return order ? order : (one->offset > other->offset) - (one->offset < other->offset);
}

/* Sort the members; the last of one name stays. */
static void sort_members(struct archive *archive)
{
        size_t kept = 0;

        if (archive->count == 0)
                return;
        qsort(archive->members, archive->count, sizeof(*archive->members), by_name_and_place);
        for (size_t i = 0; i < archive->count; i++) {
                struct member *next = i + 1 < archive->count ? &archive->members[i + 1] : NULL;

                if (next && strcmp(archive->members[i].name, next->name) == 0)
                        member_release(&archive->members[i]);
                else
                        archive->members[kept++] = archive->members[i];
        }
        archive->count = kept;
}

/* file_size: an archive without its end blocks may end before a header. */
static int read_members(struct archive *archive, uint64_t file_size, struct error *err)
{
        auto_tar_walk struct tar_walk walk = TAR_WALK_INIT;
        auto_free char *piece = malloc(TAR_WALK_RECORD_LIMIT);
        int state = 2;

        if (!piece)
                return error_no_memory(err);
        while (state != 0) {
                struct tar_member member;
                ssize_t n;

                if (walk.position == file_size && walk.record == TAR_RECORD_NONE && file_size > 0)
                        return 0;
                n = io_pread_full(archive->fd, piece, walk.wanted, walk.position);
                if (n < 0)
                        return error_errno(err, "read");
                if ((size_t)n < walk.wanted)
                        return error_set(err, EIO,
                                         file_size == 0 ? "the archive is empty"
                                                        : "the archive ends too early");
                state = tar_walk_step(&walk, piece, &member, err);
                if (state < 0 || cancel_check(err) < 0 ||
                    (state == 1 && add_member(archive, &member, err) < 0))
                        return -1;
        }
        return 0;
}

/* ---- archives that are no plain file ---- */

static bool starts_like_tar(const void *block)
{
        auto_tar_walk struct tar_walk walk = TAR_WALK_INIT;
        struct error ignored = ERROR_INIT;
        struct tar_member member;

        return tar_walk_step(&walk, block, &member, &ignored) >= 0;
}

/* Write the archive, decompressed, to a nameless file. fd is read from its position on. */
static int spool_archive(int fd, const char *temp_path, struct report *report, struct error *err)
{
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        struct stream *compressed = copy >= 0 ? stream_from_fd(copy, err) : NULL;
        auto_stream struct stream *tar = compressed ? codec_open(compressed, err) : NULL;
        auto_close int spool = -1;
        char head[TAR_BLOCK_SIZE];
        ssize_t n;

        if (copy < 0)
                return error_errno(err, "cannot duplicate a descriptor");
        if (!tar)
                return -1;
        n = stream_read_full(tar, head, sizeof(head), err);
        if (n < 0)
                return -1;
        if (n == 0)
                return error_set(err, EIO, "the archive is empty");
        if ((size_t)n < sizeof(head) || !starts_like_tar(head))
                return error_set(err, EBADMSG, "this is not a tar archive, compressed or not");
        spool = spool_open(temp_path, 0, err);
        if (spool < 0 || spool_write(spool, temp_path, head, sizeof(head), err) < 0 ||
            spool_copy(spool, temp_path, tar, report, err) < 0)
                return -1;
        return TAKE_FD(spool);
}

/* Whether the archive can be read where it is. */
static bool is_plain(int fd)
{
        char head[TAR_BLOCK_SIZE];
        struct stat st;

        return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && lseek(fd, 0, SEEK_CUR) == 0 &&
               io_pread_full(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
               starts_like_tar(head);
}

struct archive *archive_open_tar(int fd, const char *temp_path, struct report *report,
                                 struct error *err)
{
        auto_archive struct archive *archive = archive_new(err);
        struct stat st;

        if (!archive)
                return NULL;
        if (is_plain(fd)) {
                archive->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
                if (archive->fd < 0)
                        error_errno(err, "cannot duplicate a descriptor");
        } else {
                archive->fd = spool_archive(fd, temp_path, report, err);
        }
        if (archive->fd < 0)
                return NULL;
        if (fstat(archive->fd, &st) < 0) {
                error_errno(err, "fstat");
                return NULL;
        }
        if (read_members(archive, (uint64_t)st.st_size, err) < 0)
                return NULL;
        sort_members(archive);
        return TAKE_PTR(archive);
}

/* ---- members ---- */

static int by_name(const void *name, const void *member)
{
        return strcmp(name, ((const struct member *)member)->name);
}

/* name is normalised. */
static int find_in_tar(const struct archive *archive, const char *name, struct extent *ret,
                       struct error *err)
{
        const char *asked_for = name;

        for (unsigned int links = 0; links <= PATH_MAX_LINKS; links++) {
                const struct member *member =
                        archive->count > 0 ? bsearch(name, archive->members, archive->count,
                                                     sizeof(*archive->members), by_name)
                                           : NULL;

                if (!member)
                        return error_set(err, ENOENT, "%.200s is not in the archive", name);
                if (member->target) {
                        name = member->target;
                        continue;
                }
                if (member->type != TAR_MEMBER_FILE)
                        return error_set(err, EINVAL, "%.200s is not a file", name);
                ret->fd = fcntl(archive->fd, F_DUPFD_CLOEXEC, 0);
                if (ret->fd < 0)
                        return error_errno(err, "cannot duplicate a descriptor");
                ret->offset = member->offset;
                ret->size = member->size;
                return 0;
        }
        return error_set(err, ELOOP, "%.200s: too many links", asked_for);
}

static int find_in_directory(const struct archive *archive, const char *name, struct extent *ret,
                             struct error *err)
{
        auto_close int fd =
                path_open_in_root(archive->fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC, 0);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_errno(err, "%.200s", name);
        if (!S_ISREG(st.st_mode))
                return error_set(err, EINVAL, "%.200s is not a file", name);
        *ret = (struct extent){ .fd = TAKE_FD(fd), .size = (uint64_t)st.st_size };
        return 0;
}

int archive_find(const struct archive *archive, const char *name, struct extent *ret,
                 struct error *err)
{
        auto_strbuf struct strbuf normal = STRBUF_INIT;

        if (path_normalize(name, &normal) < 0)
                return normal.failed ? error_no_memory(err)
                                     : error_set(err, ENAMETOOLONG, "%.200s: too long", name);
        return archive->is_directory ? find_in_directory(archive, strbuf_text(&normal), ret, err)
                                     : find_in_tar(archive, strbuf_text(&normal), ret, err);
}

bool archive_has(const struct archive *archive, const char *name)
{
        auto_extent struct extent extent = EXTENT_INIT;
        struct error ignored = ERROR_INIT;

        return archive_find(archive, name, &extent, &ignored) == 0;
}

int archive_read(const struct archive *archive, const char *name, size_t limit,
                 struct strbuf *content, struct error *err)
{
        auto_extent struct extent extent = EXTENT_INIT;
        auto_stream struct stream *stream = NULL;
        auto_free char *text = NULL;
        ssize_t n;

        if (archive_find(archive, name, &extent, err) < 0)
                return -1;
        if (extent.size > limit)
                return error_set(err, EFBIG, "%.200s: larger than %zu bytes", name, limit);
        text = malloc((size_t)extent.size + 1);
        if (!text)
                return error_no_memory(err);
        n = io_pread_full(extent.fd, text, (size_t)extent.size, extent.offset);
        if (n < 0)
                return error_errno(err, "%.200s", name);
        if ((uint64_t)n < extent.size)
                return error_set(err, EIO, "%.200s ends too early", name);
        return strbuf_append_mem(content, text, (size_t)n) < 0 ? error_no_memory(err) : 0;
}

/* ---- streams ---- */

struct extent_stream {
        struct stream base;
        struct extent extent;
        struct report *report;
        char buffer[BUFFER_SIZE];
};

static ssize_t extent_read(struct stream *stream, void *buffer, size_t size, struct error *err)
{
        struct extent_stream *self = (struct extent_stream *)stream;
        ssize_t n;

        if (size > self->extent.size)
                size = (size_t)self->extent.size;
        n = io_pread_full(self->extent.fd, buffer, size, self->extent.offset);
        if (n < 0)
                return error_errno(err, "read");
        if ((size_t)n < size)
                return error_set(err, EIO, "the file became shorter");
        self->extent.offset += size;
        self->extent.size -= size;
        if (self->report)
                self->report->progress.bytes_done += size;
        return n;
}

static ssize_t extent_next(struct stream *stream, const void **ret_data, struct error *err)
{
        struct extent_stream *self = (struct extent_stream *)stream;

        *ret_data = self->buffer;
        return extent_read(stream, self->buffer, sizeof(self->buffer), err);
}

static void extent_close(struct stream *stream)
{
        struct extent_stream *self = (struct extent_stream *)stream;

        extent_release(&self->extent);
        free(self);
}

struct stream *extent_stream(struct extent *extent, struct report *report, struct error *err)
{
        struct extent_stream *self = malloc(sizeof(*self));

        if (!self) {
                error_no_memory(err);
                return NULL;
        }
        self->base =
                (struct stream){ .read = extent_read, .next = extent_next, .close = extent_close };
        self->extent = TAKE(*extent, (struct extent)EXTENT_INIT);
        self->report = report;
        return &self->base;
}
