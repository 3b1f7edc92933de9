/*
 * The steps of a start, carried out by runtime/ itself: what works here works there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check/probe.h"
#include "runtime/runtime.h"
#include "squashfs/squashfs.h"
#include "util/cleanup.h"
#include "util/io.h"

#define FILE_NAME "check"
#define FILE_TEXT "the content of a file\n"

/* ---- subordinate ids ---- */

/* Errors of runtime/ end in ": as root, …" where there is a mend: here it has a line of its own. */
static int split_mend(struct probe_answer *answer, struct error *err)
{
        char *mend = strstr(err->message, ": as root, ");

        if (mend) {
                (void)snprintf(answer->mend, sizeof(answer->mend), "%s", mend + 2);
                *mend = '\0';
        }
        return -1;
}

/* How many ids a map of user_namespaces(7) has: the third number of each line. */
static unsigned long count_ids(const char *map)
{
        unsigned long inside, outside, count, sum = 0;
        int length;

        while (sscanf(map, "%lu %lu %lu%n", &inside, &outside, &count, &length) == 3) {
                sum += count;
                map += length;
        }
        return sum;
}

int probe_subids(const struct probe_context *context, const struct probe *probe,
                 struct probe_answer *answer, struct error *err)
{
        auto_strbuf struct strbuf uids = STRBUF_INIT, gids = STRBUF_INIT;

        (void)probe;
        if (runtime_enter_subids(context->config, err) < 0)
                return split_mend(answer, err);
        if (probe_read(context, "/proc/self/uid_map", &uids, err) < 0 ||
            probe_read(context, "/proc/self/gid_map", &gids, err) < 0)
                return -1;
        return probe_found(answer, "%lu user ids, %lu group ids", count_ids(strbuf_text(&uids)),
                           count_ids(strbuf_text(&gids)));
}

/* ---- a container, from nothing to the mounted root ---- */

/* A directory of the configuration, or one in its place where it does not exist yet. */
static const char *existing(const char *path)
{
        return access(path, F_OK) == 0 ? path : "/tmp";
}

/* Enter namespaces and root as a plain start does. The current directory is then the root. */
static int enter(const struct probe_context *context, const char *rootfs, bool image,
                 struct probe_answer *answer, struct error *err)
{
        const struct runtime_start start = { .rootfs = rootfs, .image = image };
        struct config config = *context->config;

        config.runtime_path = existing(config.runtime_path);
        config.subids = config.allow_superuser = false;
        config.unshare_pid = config.unshare_net = config.unshare_ipc = config.unshare_uts = false;
        if (runtime_try(&start, &config, err) < 0)
                return split_mend(answer, err);
        return 0;
}

int probe_container_start(const struct probe_context *context, const struct probe *probe,
                          struct probe_answer *answer, struct error *err)
{
        (void)probe;
        return enter(context, existing(context->config->data_path), false, answer, err);
}

static int add_file(struct squashfs_writer *writer, struct tree *tree, struct error *err)
{
        struct entry entry = {
                .path = strdup(FILE_NAME),
                .meta = { .type = ENTRY_FILE, .mode = 0644, .size = strlen(FILE_TEXT) },
        };
        struct tree_inode *file = NULL;
        int result = -1;

        if (!entry.path)
                return error_no_memory(err);
        if (tree_begin_layer(tree, err) == 0 && tree_add(tree, &entry, &file, err) == 0 &&
            squashfs_writer_begin_file(writer, file, err) == 0 &&
            squashfs_writer_append(writer, FILE_TEXT, strlen(FILE_TEXT), 0, err) == 0 &&
            squashfs_writer_end_file(writer, err) == 0 && tree_finish(tree, 0, err) == 0)
                result = squashfs_writer_finish(writer, tree, NULL, err);
        entry_release(&entry);
        return result;
}

/* An image of one file, in memory. A descriptor, or -1 with *err. */
static int write_image(struct error *err)
{
        auto_close int fd = memfd_create("enroot-check", MFD_CLOEXEC);
        auto_squashfs_writer struct squashfs_writer *writer = NULL;
        auto_tree struct tree *tree = NULL;
        struct squashfs_options options;

        if (fd < 0) {
                error_errno(err, "cannot make a file in memory");
                return -1;
        }
        /* One thread: those of the writer have ended before namespaces are entered. */
        if (squashfs_options_parse("-processors 1", &options, NULL, err) < 0)
                return -1;
        writer = squashfs_writer_new(fd, &options, err);
        tree = writer ? tree_new(err) : NULL;
        if (!tree || add_file(writer, tree, err) < 0)
                return -1;
        return TAKE_FD(fd);
}

/* What the image holds can be read, and something added. */
static int use_image(struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_close int made = -1;

        if (io_read_file(AT_FDCWD, FILE_NAME, 4096, &text, err) < 0)
                return -1;
        if (strcmp(strbuf_text(&text), FILE_TEXT) != 0)
                return error_set(err, EBADMSG, "a file of the image has other content");
        made = open("new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        return made < 0 ? error_errno(err, "cannot write to the layer in memory") : 0;
}

int probe_image_start(const struct probe_context *context, const struct probe *probe,
                      struct probe_answer *answer, struct error *err)
{
        auto_close int fd = write_image(err);
        char path[32];

        (void)probe;
        if (fd < 0)
                return error_prefix(err, "cannot write an image");
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (enter(context, path, true, answer, err) < 0)
                return -1;
        return use_image(err);
}
