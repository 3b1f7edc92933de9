/* What the cache holds as a whole: listed, checked, kept within limits. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/lock.h"
#include "store/store_private.h"
#include "util/cancel.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/sha256.h"
#include "util/temp_file.h"

#define REFERENCE_PREFIX "reference-"
#define REFERENCE_LIMIT  (64u << 10) /* bytes of a reference's file */
#define READ_SIZE        (1u << 20)

/* ---- images by reference ---- */

int store_image_name(const char *digest, char name[STORE_IMAGE_NAME_SIZE], struct error *err)
{
        char blob_name[STORE_NAME_SIZE];

        if (store_blob_name(digest, blob_name, err) < 0)
                return -1;
        (void)snprintf(name, STORE_IMAGE_NAME_SIZE, "%s" STORE_IMAGE_SUFFIX, blob_name);
        return 0;
}

int store_get_image(struct store *store, const char *digest, struct error *err)
{
        char name[STORE_IMAGE_NAME_SIZE];
        struct stat st;

        if (store_image_name(digest, name, err) < 0)
                return -1;
        return store_open_used(store, name, &st, err);
}

/* FNV-1a. Two references of the same hash share a file, which tells them apart. */
static uint64_t hash(const char *text)
{
        uint64_t value = UINT64_C(0xcbf29ce484222325);

        for (; *text; text++)
                value = (value ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
        return value;
}

static void reference_name(const char *reference, char *name, size_t size)
{
        (void)snprintf(name, size, REFERENCE_PREFIX "%016" PRIx64, hash(reference));
}

int store_find_image(struct store *store, const char *reference, char ret_digest[IMAGE_DIGEST_SIZE],
                     int *ret_fd, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        char name[64], *line;
        int fd;

        reference_name(reference, name, sizeof(name));
        if (io_read_file(store->dir_fd, name, REFERENCE_LIMIT, &text, err) < 0)
                return err->code == ENOENT
                               ? 0
                               : error_prefix(err, "ENROOT_CACHE_PATH: %s", store->path);
        line = text.data ? strchr(text.data, '\n') : NULL;
        if (!line || strcmp(line + 1, reference) != 0)
                return 0;
        *line = '\0';
        if (!image_digest_valid(text.data))
                return 0;
        fd = store_get_image(store, text.data, err);
        if (fd < 0)
                return err->code == ENOENT ? 0 : -1;
        memcpy(ret_digest, text.data, IMAGE_DIGEST_SIZE);
        *ret_fd = fd;
        return 1;
}

/* Whether a file of the store is that text. */
static bool is_text(const struct store *store, const char *name, const char *text)
{
        auto_strbuf struct strbuf found = STRBUF_INIT;
        struct error ignored = ERROR_INIT;

        return io_read_file(store->dir_fd, name, REFERENCE_LIMIT, &found, &ignored) == 0 &&
               strcmp(strbuf_text(&found), text) == 0;
}

int store_set_image(struct store *store, const char *reference, const char *digest,
                    struct error *err)
{
        auto_discard struct temp_file temp = TEMP_FILE_INIT;
        auto_free char *text = NULL;
        char name[64];

        if (asprintf(&text, "%s\n%s", digest, reference) < 0) {
                text = NULL; /* undefined after a failure */
                return error_no_memory(err);
        }
        reference_name(reference, name, sizeof(name));
        /* Two fsyncs less for every start of an image that its registry has not changed. */
        if (is_text(store, name, text))
                return 0;
        if (temp_file_create(&temp, store->dir_fd, name, 0640, err) < 0)
                return error_prefix(err, "ENROOT_CACHE_PATH: %s/%s", store->path, name);
        if (io_write_full(temp.fd, text, strlen(text)) < 0)
                return error_errno(err, "ENROOT_CACHE_PATH: %s/%s", store->path, name);
        if (temp_file_publish(&temp, name, true, err) < 0)
                return error_prefix(err, "ENROOT_CACHE_PATH: %s/%s", store->path, name);
        return 0;
}

/* ---- listing ---- */

void store_items_release(struct store_items *items)
{
        for (size_t i = 0; i < items->count; i++)
                free(items->items[i].name);
        free(items->items);
        *items = (struct store_items)STORE_ITEMS_INIT;
}

/* What kind of item a file name stands for. Returns false for files of no interest. */
static bool classify(const char *name, struct store_item *item)
{
        const char *rest = store_leftover_digest(name, item->digest);

        if (rest) {
                item->kind = STORE_PARTIAL;
                return strcmp(rest, LOCK_SUFFIX) != 0;
        }
        rest = store_name_digest(name, item->digest);
        if (!rest)
                return false;
        if (*rest == '\0')
                item->kind = STORE_BLOB;
        else if (strcmp(rest, STORE_IMAGE_SUFFIX) == 0)
                item->kind = STORE_IMAGE;
        else if (strcmp(rest, STORE_POINTS_SUFFIX) == 0)
                item->kind = STORE_POINTS;
        else
                return false;
        return true;
}

static int append(struct store_items *items, const struct store_item *item, struct error *err)
{
        struct store_item *grown =
                reallocarray(items->items, items->count + 1, sizeof(*items->items));

        if (!grown)
                return error_no_memory(err);
        items->items = grown;
        grown[items->count] = *item;
        grown[items->count].name = strdup(item->name);
        if (!grown[items->count].name)
                return error_no_memory(err);
        items->count++;
        return 0;
}

static int compare_use(const void *a, const void *b)
{
        const struct store_item *one = a, *two = b;

        if (one->used != two->used)
                return one->used < two->used ? -1 : 1;
        return strcmp(one->name, two->name);
}

int store_scan(struct store *store, struct store_items *ret, struct error *err)
{
        auto_store_items struct store_items items = STORE_ITEMS_INIT;
        auto_closedir DIR *dir = store_open_dir(store);
        struct dirent *entry;

        if (!dir)
                return error_errno(err, "ENROOT_CACHE_PATH: %s", store->path);
        while ((entry = readdir(dir))) {
                struct store_item item = { .name = entry->d_name };
                struct stat st;

                if (!classify(entry->d_name, &item) ||
                    fstatat(store->dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    !S_ISREG(st.st_mode))
                        continue;
                item.bytes = (uint64_t)st.st_blocks * 512;
                item.used = st.st_mtime;
                if (append(&items, &item, err) < 0)
                        return -1;
        }
        if (items.count > 0)
                qsort(items.items, items.count, sizeof(*items.items), compare_use);
        *ret = TAKE(items, (struct store_items)STORE_ITEMS_INIT);
        return 0;
}

/* ---- removal ---- */

static int unlink_item(struct store *store, const struct store_item *item, struct error *err)
{
        if (unlinkat(store->dir_fd, item->name, 0) == 0)
                return 1;
        if (errno == ENOENT)
                return 0;
        return error_errno(err, "ENROOT_CACHE_PATH: %s/%s", store->path, item->name);
}

int store_remove(struct store *store, const struct store_item *item, struct error *err)
{
        auto_lock struct lock lock = LOCK_INIT;
        char blob_name[STORE_NAME_SIZE];
        int locked;

        if (item->kind != STORE_PARTIAL)
                return unlink_item(store, item, err);
        if (store_blob_name(item->digest, blob_name, err) < 0)
                return -1;
        locked = lock_take(&lock, store, blob_name, err);
        return locked <= 0 ? locked : unlink_item(store, item, err);
}

/* Whether the file has the digest: 1, 0, or -1 with *err, whose code is ENOENT without a file. */
static int check_file(int dir_fd, const char *path, const char *name, const char *digest,
                      struct error *err)
{
        auto_close int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        auto_sha256 struct sha256 *sha = NULL;
        auto_free char *buffer = malloc(READ_SIZE);
        char actual[SHA256_HEX_SIZE];
        ssize_t n;

        if (!buffer)
                return error_no_memory(err);
        if (fd < 0)
                return error_errno(err, "%s/%s", path, name);
        sha = sha256_new(err);
        if (!sha)
                return -1;
        while ((n = io_read_full(fd, buffer, READ_SIZE)) > 0) {
                sha256_update(sha, buffer, (size_t)n);
                if (cancel_check(err) < 0)
                        return -1;
        }
        /* A disk that cannot give the bytes back has lost them: EIO is the finding. */
        if (n < 0 && errno != EIO)
                return error_errno(err, "%s/%s", path, name);
        sha256_finish(sha, actual);
        return n == 0 && strcmp(actual, digest + strlen("sha256:")) == 0;
}

int store_check_blob(struct store *store, const struct store_item *item, struct error *err)
{
        return check_file(store->dir_fd, store->path, item->name, item->digest, err);
}

int store_drop_damaged(struct store *store, const char *digest, struct error *err)
{
        char name[STORE_NAME_SIZE];
        int sound;

        if (store_blob_name(digest, name, err) < 0)
                return -1;
        sound = check_file(store->dir_fd, store->path, name, digest, err);
        if (sound == 0) {
                if (unlinkat(store->dir_fd, name, 0) < 0 && errno != ENOENT)
                        return error_errno(err, "ENROOT_CACHE_PATH: %s/%s", store->path, name);
                return 1;
        }
        if (sound > 0 || err->code != ENOENT)
                return sound > 0 ? 0 : -1;
        if (store->site_fd < 0)
                return 0;
        sound = check_file(store->site_fd, "ENROOT_SITE_CACHE_PATH", name, digest, err);
        if (sound == 0)
                return error_set(err, EBADMSG,
                                 "%s is damaged in the cache of the site: tell its keeper, and set "
                                 "ENROOT_SITE_CACHE_PATH= to do without it",
                                 digest);
        return sound < 0 && err->code != ENOENT ? -1 : 0;
}

/* References whose image is gone are of no use. */
static void remove_stale_references(struct store *store)
{
        auto_closedir DIR *dir = store_open_dir(store);
        struct dirent *entry;

        while (dir && (entry = readdir(dir))) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                char name[STORE_IMAGE_NAME_SIZE];
                struct error ignored = ERROR_INIT;

                if (strncmp(entry->d_name, REFERENCE_PREFIX, strlen(REFERENCE_PREFIX)) != 0 ||
                    io_read_file(store->dir_fd, entry->d_name, REFERENCE_LIMIT, &text, &ignored) <
                            0 ||
                    !text.data)
                        continue;
                text.data[strcspn(text.data, "\n")] = '\0';
                if (store_image_name(text.data, name, &ignored) < 0 ||
                    faccessat(store->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                        (void)unlinkat(store->dir_fd, entry->d_name, 0);
        }
}

int store_collect(struct store *store, const struct store_limits *limits,
                  struct store_collected *ret, struct error *err)
{
        auto_store_items struct store_items items = STORE_ITEMS_INIT;
        int64_t now = time(NULL);

        *ret = (struct store_collected){ .removed = 0 };
        lock_sweep(store);
        if (store_scan(store, &items, err) < 0)
                return -1;
        for (size_t i = 0; i < items.count; i++)
                ret->kept_bytes += items.items[i].bytes;
        ret->kept = items.count;
        for (size_t i = 0; i < items.count; i++) {
                const struct store_item *item = &items.items[i];
                bool old = limits->seconds > 0 && now - item->used > limits->seconds;
                bool excess = limits->bytes > 0 && ret->kept_bytes > limits->bytes;
                int removed = old || excess ? store_remove(store, item, err) : 0;

                if (removed < 0)
                        return -1;
                if (removed > 0) {
                        ret->removed++;
                        ret->kept--;
                        ret->removed_bytes += item->bytes;
                        ret->kept_bytes -= item->bytes;
                }
        }
        remove_stale_references(store);
        return 0;
}
