/* See sample_image.h. */
#include "sample_image.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "image_builder.h"
#include "util/cleanup.h"

#define MTIME      1234567890
#define MANY       1500 /* names; enough for an index of the directory */
#define SPARSE     ((uint64_t)3000 * 4096 + 100)
#define PIECE_SIZE 4096

static const struct sample {
        const char *path;
        enum entry_type type;
        uint16_t mode;
        size_t size;
        const char *target;
} samples[] = {
        { "", ENTRY_DIRECTORY, 0755 },
        { "bin", ENTRY_DIRECTORY, 0755 },
        { "bin/empty", ENTRY_FILE, 0644, 0 },
        { "bin/one", ENTRY_FILE, 0600, 1 },
        { "bin/short", ENTRY_FILE, 0644, 4095 },
        { "bin/exact", ENTRY_FILE, 0640, 4096 },
        { "bin/longer", ENTRY_FILE, 0444, 4097 },
        { "bin/block", ENTRY_FILE, 0644, 131072 },
        { "bin/block+1", ENTRY_FILE, 0644, 131073 },
        { "bin/large", ENTRY_FILE, 0644, 3000017 },
        { "bin/tool", ENTRY_FILE, 04755, 10000 },
        { "bin/tool-link", ENTRY_HARDLINK, 0, 0, "bin/tool" },
        { "closed", ENTRY_DIRECTORY, 0 },
        { "closed/secret", ENTRY_FILE, 0, 77 },
        { "closed/script", ENTRY_FILE, 0011, 78 },
        { "deep", ENTRY_DIRECTORY, 02755 },
        { "deep/a", ENTRY_DIRECTORY, 0555 },
        { "deep/a/b", ENTRY_DIRECTORY, 0700 },
        { "deep/a/b/c", ENTRY_FILE, 0644, 5 },
        { "dev", ENTRY_DIRECTORY, 0755 },
        { "dev/null", ENTRY_CHAR_DEVICE, 0666 },
        { "empty", ENTRY_DIRECTORY, 01777 },
        { "odd name\xff\n", ENTRY_FILE, 0644, 9 },
        { "pipe", ENTRY_FIFO, 0600 },
        { "link", ENTRY_SYMLINK, 0777, 0, "/etc/passwd" },
        { "dangling", ENTRY_SYMLINK, 0777, 0, "../../nowhere at all" },
};

static const uint64_t sparse_pieces[] = { 0, (uint64_t)1030 * 4096, (uint64_t)2998 * 4096 };

static unsigned int seed_of(const struct sample *sample)
{
        return (unsigned int)(sample - samples) + 7;
}

/* ---- building ---- */

static void add_samples(struct image_builder *builder)
{
        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                const struct sample *sample = &samples[i];
                auto_free void *content = make_content(sample->size, seed_of(sample));
                struct entry_meta meta = {
                        .type = sample->type,
                        .mode = sample->mode,
                        .mtime = MTIME,
                        .size = sample->size,
                        .target = (char *)sample->target,
                        .rdev = 0x103, /* 1:3 */
                };
                struct xattr note[] = {
                        { (char *)"security.capability", (char *)"\1\0\0\2", 4 },
                        { (char *)"user.note", (char *)"remember", 8 },
                };

                if (strcmp(sample->path, "bin/tool") == 0 || strcmp(sample->path, "deep") == 0)
                        meta.xattrs = (struct xattr_list){ note, ARRAY_SIZE(note) };
                builder_add(builder, sample->path, &meta, content);
        }
}

bool sample_build(const char *path, const char *words)
{
        auto_free void *piece = make_content(PIECE_SIZE, 1);
        struct image_builder builder;
        char name[32];

        if (!builder_start(&builder, path, words))
                return false;
        add_samples(&builder);
        builder_directory(&builder, "many");
        for (int i = 0; i < MANY; i++) {
                (void)snprintf(name, sizeof(name), "many/name-%04d", i);
                builder_file(&builder, name, name, strlen(name));
        }
        builder_sparse(&builder, "sparse", SPARSE, sparse_pieces, ARRAY_SIZE(sparse_pieces), piece,
                       PIECE_SIZE);
        builder_finish(&builder);
        builder_end(&builder);
        return true;
}

/* The whole content of "sparse". */
static unsigned char *sparse_content(void)
{
        auto_free void *piece = make_content(PIECE_SIZE, 1);
        unsigned char *content = calloc(1, SPARSE);

        assert_non_null(content);
        for (size_t i = 0; i < ARRAY_SIZE(sparse_pieces); i++)
                memcpy(content + sparse_pieces[i], piece, PIECE_SIZE);
        return content;
}

static uint16_t mode_after(const struct sample *sample, enum sample_detail detail)
{
        if (detail == SAMPLE_EXACT || sample->type == ENTRY_SYMLINK)
                return sample->mode;
        if (sample->type == ENTRY_DIRECTORY)
                return sample->mode | 0700;
        return sample->mode | 0400 | (sample->mode & 0111 ? 0100 : 0);
}

/* ---- through the reader ---- */

squashfs_ref sample_find(struct squashfs_image *image, const char *path)
{
        auto_free char *copy = strdup(path);
        squashfs_ref ref = squashfs_root(image);
        struct error err = ERROR_INIT;

        for (char *save, *name = strtok_r(copy, "/", &save); name;
             name = strtok_r(NULL, "/", &save)) {
                if (squashfs_lookup(image, ref, name, &ref, &err) != 1)
                        fail_msg("%s: %s is missing: %s", path, name, err.message);
        }
        return ref;
}

static void check_content(struct squashfs_image *image, squashfs_ref ref,
                          const unsigned char *content, size_t size)
{
        static const size_t offsets[] = { 0, 1, 4000, 4096, 131000, 131072, 1 << 20, 4218880 };
        auto_free unsigned char *buffer = malloc(size + 1);
        struct error err = ERROR_INIT;

        assert_int_equal(squashfs_read(image, ref, buffer, size + 1, 0, &err), size);
        assert_memory_equal(buffer, content, size);
        assert_int_equal(squashfs_read(image, ref, buffer, 1, size, &err), 0);
        assert_int_equal(squashfs_read(image, ref, buffer, 1, UINT64_MAX, &err), 0);
        for (size_t i = 0; i < ARRAY_SIZE(offsets) && offsets[i] < size; i++) {
                size_t wanted = size - offsets[i] < 5000 ? size - offsets[i] : 5000;

                assert_int_equal(squashfs_read(image, ref, buffer, 5000, offsets[i], &err), wanted);
                assert_memory_equal(buffer, content + offsets[i], wanted);
        }
}

static void check_xattrs(struct squashfs_image *image, squashfs_ref ref,
                         const struct sample *sample)
{
        auto_cleanup(entry_meta_release) struct entry_meta meta = { .target = NULL };
        struct error err = ERROR_INIT;
        const struct xattr *note;

        assert_int_equal(squashfs_xattrs(image, ref, &meta.xattrs, &err), 0);
        note = xattr_list_find(&meta.xattrs, "user.note");
        if (strcmp(sample->path, "deep") != 0) {
                assert_null(note);
                return;
        }
        assert_non_null(note);
        assert_int_equal(note->size, 8);
        assert_memory_equal(note->value, "remember", 8);
}

static void check_sample(struct squashfs_image *image, const struct sample *sample,
                         enum sample_detail detail)
{
        squashfs_ref ref = sample_find(image, sample->path);
        struct error err = ERROR_INIT;
        struct squashfs_stat stat;

        if (squashfs_stat(image, ref, &stat, &err) < 0)
                fail_msg("%s", err.message);
        if (sample->type == ENTRY_HARDLINK) {
                /* gensquashfs makes two files of it. */
                if (detail == SAMPLE_EXACT) {
                        assert_int_equal(ref, sample_find(image, sample->target));
                        assert_int_equal(stat.links, 2);
                }
                return;
        }
        assert_int_equal(stat.meta.type, sample->type);
        assert_int_equal(stat.meta.mode, mode_after(sample, detail));
        /* gensquashfs does not keep the time of the root. */
        if (*sample->path)
                assert_int_equal(stat.meta.mtime, MTIME);
        if (sample->type == ENTRY_FILE) {
                auto_free void *content = make_content(sample->size, seed_of(sample));

                assert_int_equal(stat.meta.size, sample->size);
                check_content(image, ref, content, sample->size);
        } else if (sample->type == ENTRY_SYMLINK) {
                auto_free char *text = squashfs_readlink(image, ref, &err);

                assert_string_equal(text, sample->target);
        } else if (sample->type == ENTRY_CHAR_DEVICE) {
                assert_int_equal(stat.meta.rdev, 0x103);
        }
        if (sample->mode != 04755)
                check_xattrs(image, ref, sample);
}

struct count {
        unsigned int names, stop_after;
        uint64_t next;
};

static int count_names(const struct squashfs_dirent *entry, void *context, struct error *err)
{
        struct count *count = context;
        char expected[32];

        (void)err;
        (void)snprintf(expected, sizeof(expected), "name-%04u", count->names++);
        assert_string_equal(entry->name, expected);
        count->next = entry->next;
        return count->names == count->stop_after;
}

/* Every place where a listing can be left is one where it can be taken up again. */
static void check_many(struct squashfs_image *image)
{
        squashfs_ref many = sample_find(image, "many"), ref;
        struct error err = ERROR_INIT;
        struct count count = { .stop_after = 1 };

        for (; count.names < MANY; count.stop_after++) {
                assert_int_equal(squashfs_list(image, many, count.next, count_names, &count, &err),
                                 0);
                assert_int_equal(count.names, count.stop_after);
        }
        assert_int_equal(squashfs_list(image, many, count.next, count_names, &count, &err), 0);
        assert_int_equal(count.names, MANY);
        count = (struct count){ .names = 0 };
        assert_int_equal(squashfs_list(image, many, 0, count_names, &count, &err), 0);
        assert_int_equal(count.names, MANY);

        for (int i = 0; i < MANY; i++) {
                char name[32], content[32];

                (void)snprintf(name, sizeof(name), "many/name-%04d", i);
                ref = sample_find(image, name);
                assert_int_equal(squashfs_read(image, ref, content, sizeof(content), 0, &err),
                                 strlen(name));
                assert_memory_equal(content, name, strlen(name));
        }
        assert_int_equal(squashfs_lookup(image, many, "a", &ref, &err), 0);
        assert_int_equal(squashfs_lookup(image, many, "name-0700a", &ref, &err), 0);
        assert_int_equal(squashfs_lookup(image, many, "z", &ref, &err), 0);
}

void sample_check_image(struct squashfs_image *image, enum sample_detail detail)
{
        auto_free unsigned char *content = sparse_content();

        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                if (detail == SAMPLE_EXACT || samples[i].type != ENTRY_CHAR_DEVICE)
                        check_sample(image, &samples[i], detail);
        }
        check_many(image);
        check_content(image, sample_find(image, "sparse"), content, SPARSE);
}

/* ---- as files ---- */

static void check_file(int dir_fd, const char *path, const unsigned char *content, size_t size)
{
        auto_free unsigned char *buffer = malloc(size + 1);
        auto_close int fd = openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        size_t done = 0;
        ssize_t count;

        if (fd < 0)
                fail_msg("%s cannot be opened", path);
        while ((count = read(fd, buffer + done, size + 1 - done)) > 0)
                done += (size_t)count;
        assert_int_equal(done, size);
        assert_memory_equal(buffer, content, size);
}

static void check_path(int dir_fd, const struct sample *sample, enum sample_detail detail)
{
        const char *path = *sample->path ? sample->path : ".";
        struct stat st, target;

        if (fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
                fail_msg("%s is missing", path);
        if (sample->type == ENTRY_HARDLINK) {
                assert_int_equal(fstatat(dir_fd, sample->target, &target, 0), 0);
                assert_int_equal(st.st_ino, target.st_ino);
                assert_int_equal(st.st_nlink, 2);
                return;
        }
        assert_int_equal(st.st_mode & 07777, mode_after(sample, detail));
        assert_int_equal(st.st_mtime, MTIME);
        if (sample->type == ENTRY_FILE) {
                auto_free void *content = make_content(sample->size, seed_of(sample));

                assert_true(S_ISREG(st.st_mode));
                check_file(dir_fd, path, content, sample->size);
        } else if (sample->type == ENTRY_SYMLINK) {
                char text[64] = "";

                assert_int_equal(readlinkat(dir_fd, path, text, sizeof(text) - 1),
                                 strlen(sample->target));
                assert_string_equal(text, sample->target);
        } else {
                assert_int_equal(S_ISDIR(st.st_mode), sample->type == ENTRY_DIRECTORY);
                assert_int_equal(S_ISFIFO(st.st_mode), sample->type == ENTRY_FIFO);
        }
}

static void check_file_xattrs(int dir_fd)
{
        auto_close int fd = openat(dir_fd, "bin/tool", O_RDONLY | O_CLOEXEC);
        auto_close int directory = openat(dir_fd, "deep", O_RDONLY | O_CLOEXEC);
        char value[16];

        assert_int_equal(fgetxattr(fd, "user.note", value, sizeof(value)), 8);
        assert_memory_equal(value, "remember", 8);
        assert_int_equal(fgetxattr(directory, "user.note", value, sizeof(value)), 8);
        assert_true(fgetxattr(fd, "security.capability", value, sizeof(value)) < 0);
}

void sample_check_directory(int dir_fd, enum sample_detail detail)
{
        auto_free unsigned char *content = sparse_content();
        struct stat st;

        for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
                if (detail == SAMPLE_EXACT || samples[i].type != ENTRY_CHAR_DEVICE)
                        check_path(dir_fd, &samples[i], detail);
        }
        check_file_xattrs(dir_fd);
        check_file(dir_fd, "sparse", content, SPARSE);
        if (detail == SAMPLE_EXTRACTED) {
                assert_int_equal(fstatat(dir_fd, "sparse", &st, 0), 0);
                assert_true((uint64_t)st.st_blocks * 512 < SPARSE / 2);
                assert_true(fstatat(dir_fd, "dev/null", &st, 0) < 0);
        }
}
