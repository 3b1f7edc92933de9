/* See image_builder.h. */
#include "image_builder.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/cleanup.h"

static void check(int result, const struct error *err)
{
        if (result < 0)
                fail_msg("%s", err->message);
}

bool builder_start(struct image_builder *builder, const char *path, const char *words)
{
        struct error err = ERROR_INIT;

        *builder = (struct image_builder){ .path = path };
        check(squashfs_options_parse(words, &builder->options, NULL, &err), &err);
        builder->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        assert_true(builder->fd >= 0);
        builder->tree = tree_new(&err);
        assert_non_null(builder->tree);
        check(tree_begin_layer(builder->tree, &err), &err);
        builder->writer = squashfs_writer_new(builder->fd, &builder->options, &err);
        if (!builder->writer && err.code == EOPNOTSUPP) {
                print_message("skipped: %s: %s\n", words, err.message);
                builder_end(builder);
                return false;
        }
        if (!builder->writer)
                fail_msg("%s", err.message);
        return true;
}

static struct tree_inode *add(struct image_builder *builder, const char *path,
                              const struct entry_meta *meta)
{
        auto_cleanup(entry_release) struct entry entry = { .path = strdup(path) };
        struct tree_inode *file = NULL;
        struct error err = ERROR_INIT;

        entry.meta = *meta;
        entry.meta.target = meta->target ? strdup(meta->target) : NULL;
        entry.meta.xattrs = (struct xattr_list){ .items = NULL };
        for (size_t i = 0; i < meta->xattrs.count; i++) {
                const struct xattr *xattr = &meta->xattrs.items[i];

                assert_int_equal(
                        xattr_list_set(&entry.meta.xattrs, xattr->name, xattr->value, xattr->size),
                        0);
        }
        check(tree_add(builder->tree, &entry, &file, &err), &err);
        return file;
}

void builder_add(struct image_builder *builder, const char *path, const struct entry_meta *meta,
                 const void *content)
{
        struct tree_inode *file = add(builder, path, meta);
        struct error err = ERROR_INIT;

        if (!file)
                return;
        check(squashfs_writer_begin_file(builder->writer, file, &err), &err);
        check(squashfs_writer_append(builder->writer, content, meta->size, 0, &err), &err);
        check(squashfs_writer_end_file(builder->writer, &err), &err);
}

void builder_file(struct image_builder *builder, const char *path, const void *content,
                  uint64_t size)
{
        builder_add(builder, path,
                    &(struct entry_meta){
                            .type = ENTRY_FILE, .mode = 0644, .mtime = 1000, .size = size },
                    content);
}

void builder_directory(struct image_builder *builder, const char *path)
{
        builder_add(builder, path,
                    &(struct entry_meta){ .type = ENTRY_DIRECTORY, .mode = 0755, .mtime = 1000 },
                    NULL);
}

void builder_sparse(struct image_builder *builder, const char *path, uint64_t size,
                    const uint64_t *offsets, size_t count, const void *piece, size_t piece_size)
{
        struct tree_inode *file =
                add(builder, path,
                    &(struct entry_meta){
                            .type = ENTRY_FILE, .mode = 0644, .mtime = 1000, .size = size });
        struct error err = ERROR_INIT;

        assert_non_null(file);
        check(squashfs_writer_begin_file(builder->writer, file, &err), &err);
        for (size_t i = 0; i < count; i++)
                check(squashfs_writer_append(builder->writer, piece, piece_size, offsets[i], &err),
                      &err);
        check(squashfs_writer_append(builder->writer, NULL, 0, size, &err), &err);
        check(squashfs_writer_end_file(builder->writer, &err), &err);
}

void builder_finish(struct image_builder *builder)
{
        struct error err = ERROR_INIT;

        check(tree_finish(builder->tree, 1000, &err), &err);
        check(squashfs_writer_finish(builder->writer, builder->tree, &builder->stats, &err), &err);
}

void builder_end(struct image_builder *builder)
{
        squashfs_writer_free(builder->writer);
        tree_free(builder->tree);
        (void)close(builder->fd);
}

void *make_content(size_t size, unsigned int seed)
{
        unsigned char *content = malloc(size + 1);
        uint32_t value = seed * 2654435761u + 1;

        assert_non_null(content);
        for (size_t i = 0; i < size; i++) {
                value = value * 1664525u + 1013904223u;
                content[i] = (unsigned char)(value >> 28);
        }
        return content;
}

int run_quietly(const char *const *argv)
{
        posix_spawn_file_actions_t actions;
        int status;
        pid_t pid;

        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
        status = posix_spawnp(&pid, argv[0], &actions, NULL, (char *const *)argv, environ);
        posix_spawn_file_actions_destroy(&actions);
        if (status != 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
                return -1;
        return WEXITSTATUS(status);
}
