/* Images: everything that can be asked of one, for as many inodes as a small one may claim. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"
#include "squashfs/squashfs.h"
#include "util/cleanup.h"
#include "util/io.h"

/* What bounds a run: a few bytes can describe a tree without end, and files as large. */
#define ENTRIES_MAX 500
#define DEPTH_MAX   20
#define BYTES_MAX   (4 << 20)

struct walk {
        struct squashfs_image *image;
        squashfs_ref directory;
        unsigned int entries, depth;
        size_t bytes;
        uint64_t resume; /* a position in the middle of the directory */
};

static char buffer[64 << 10];

static void read_file(struct walk *walk, squashfs_ref ref, uint64_t size)
{
        const uint64_t offsets[] = { 0, 4095, size / 2, size - 1, size, UINT64_MAX };
        struct error err = ERROR_INIT;

        for (size_t i = 0; i < ARRAY_SIZE(offsets) && walk->bytes < BYTES_MAX; i++) {
                ssize_t count =
                        squashfs_read(walk->image, ref, buffer, sizeof(buffer), offsets[i], &err);

                if (count > 0 && (uint64_t)count > size - offsets[i])
                        abort();
                walk->bytes += sizeof(buffer);
        }
}

static int stop_at_once(const struct squashfs_dirent *entry, void *context, struct error *err)
{
        (void)entry;
        (void)context;
        (void)err;
        return 1;
}

static int visit(const struct squashfs_dirent *entry, void *context, struct error *err);

static void walk_directory(struct walk *walk, squashfs_ref ref)
{
        struct walk inside = *walk;
        struct error err = ERROR_INIT;

        if (walk->depth >= DEPTH_MAX)
                return;
        inside.directory = ref;
        inside.depth++;
        (void)squashfs_list(walk->image, ref, 0, visit, &inside, &err);
        (void)squashfs_list(walk->image, ref, inside.resume, stop_at_once, NULL, &err);
        (void)squashfs_list(walk->image, ref, inside.resume ^ 0x10000f00000007, stop_at_once, NULL,
                            &err);
        walk->entries = inside.entries;
        walk->bytes = inside.bytes;
}

static void use_inode(struct walk *walk, squashfs_ref ref)
{
        auto_cleanup(entry_meta_release) struct entry_meta meta = { .target = NULL };
        auto_free char *text = NULL;
        struct squashfs_stat stat;
        struct error err = ERROR_INIT;

        if (squashfs_stat(walk->image, ref, &stat, &err) < 0)
                return;
        (void)squashfs_xattrs(walk->image, ref, &meta.xattrs, &err);
        if (stat.meta.type == ENTRY_FILE)
                read_file(walk, ref, stat.meta.size);
        else if (stat.meta.type == ENTRY_DIRECTORY)
                walk_directory(walk, ref);
        else
                text = squashfs_readlink(walk->image, ref, &err);
}

static int visit(const struct squashfs_dirent *entry, void *context, struct error *err)
{
        struct walk *walk = context;
        squashfs_ref found;

        if (strchr(entry->name, '/') || strcmp(entry->name, "..") == 0 || !*entry->name)
                abort();
        walk->resume = entry->next;
        (void)squashfs_lookup(walk->image, walk->directory, entry->name, &found, err);
        use_inode(walk, entry->ref);
        return ++walk->entries >= ENTRIES_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        auto_squashfs_image struct squashfs_image *image = NULL;
        struct error err = ERROR_INIT;
        auto_close int fd = memfd_create("image", MFD_CLOEXEC);
        struct walk walk = { .depth = 0 };

        if (fd < 0 || io_write_full(fd, data, size) < 0)
                abort();
        (void)squashfs_probe(fd, &err);
        image = squashfs_open(fd, "image", &err);
        if (!image)
                return 0;
        walk.image = image;
        use_inode(&walk, squashfs_root(image));
        return 0;
}
