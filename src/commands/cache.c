/* cache …: what ENROOT_CACHE_PATH holds, listed, checked, removed and kept within limits. */
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "commands/cache.h"
#include "commands/print.h"
#include "commands/record.h"
#include "store/store.h"
#include "util/cancel.h"
#include "util/json_writer.h"
#include "util/quantity.h"

/* The shortest beginning of a digest that names an item, in hex digits. */
#define SHORTEST_PREFIX 6

static const char *const kind_names[] = {
        [STORE_BLOB] = "blob",
        [STORE_IMAGE] = "image",
        [STORE_POINTS] = "points",
        [STORE_PARTIAL] = "partial",
};

/* ---- list ---- */

/* Where an image of the cache came from; NULL when that is not known. malloc'd. */
static char *provenance_of(const struct store *store, const struct store_item *item)
{
        auto_image_record struct image_record record = { .provenance = NULL };
        auto_close int fd = -1;
        struct error ignored = ERROR_INIT;

        if (item->kind != STORE_IMAGE)
                return NULL;
        fd = openat(store_dir_fd(store), item->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || record_read_image(fd, item->name, &record, &ignored) <= 0)
                return NULL;
        return TAKE_PTR(record.provenance);
}

static void format_time(int64_t seconds, char *text, size_t size)
{
        time_t moment = (time_t)seconds;
        struct tm parts;

        if (!localtime_r(&moment, &parts) || strftime(text, size, "%Y-%m-%d %H:%M", &parts) == 0)
                (void)snprintf(text, size, "-");
}

static void print_table(const struct store *store, const struct store_items *items, FILE *out)
{
        fprintf(out, "%-19s  %-7s  %9s  %-16s  %s\n", "DIGEST", "KIND", "SIZE", "USED", "IMAGE");
        for (size_t i = 0; i < items->count; i++) {
                const struct store_item *item = &items->items[i];
                auto_free char *provenance = provenance_of(store, item);
                char size[QUANTITY_SIZE], used[32];

                quantity_format_size(item->bytes, size);
                format_time(item->used, used, sizeof(used));
                fprintf(out, "%.19s  %-7s  %9s  %-16s  %s\n", item->digest, kind_names[item->kind],
                        size, used, provenance ? provenance : "-");
        }
}

static int print_json(const struct store *store, const struct store_items *items, FILE *out,
                      struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        struct json_writer writer = { .text = &text };

        json_write_array(&writer, NULL);
        for (size_t i = 0; i < items->count; i++) {
                const struct store_item *item = &items->items[i];
                auto_free char *provenance = provenance_of(store, item);

                json_write_object(&writer, NULL);
                json_write_text(&writer, "digest", item->digest);
                json_write_text(&writer, "kind", kind_names[item->kind]);
                json_write_number(&writer, "bytes", (int64_t)item->bytes);
                json_write_number(&writer, "used", item->used);
                if (item->kind == STORE_IMAGE)
                        json_write_text(&writer, "provenance", provenance);
                json_write_end(&writer);
        }
        json_write_end(&writer);
        return print_result(&text, out, err);
}

int command_cache_list(const struct command_context *context, bool json, FILE *out,
                       struct error *err)
{
        auto_store struct store *store = store_open(context->config->cache_path, err);
        auto_store_items struct store_items items = STORE_ITEMS_INIT;

        if (!store || store_scan(store, &items, err) < 0)
                return -1;
        if (json)
                return print_json(store, &items, out, err);
        print_table(store, &items, out);
        return 0;
}

/* ---- gc ---- */

/* An option, or the setting where it is not given; NULL or "" for no limit. */
static int parse_limits(const struct config *config, const char *max_size, const char *max_age,
                        struct store_limits *ret, struct error *err)
{
        const char *size = max_size ? max_size : config->cache_max_size;
        const char *age = max_age ? max_age : config->cache_max_age;

        *ret = (struct store_limits){ .bytes = 0 };
        if (*size && quantity_parse(size, "KMGT", &ret->bytes) < 0)
                return error_set(err, EINVAL, "%s %s: not a size (50G, 500M)",
                                 max_size ? "--max-size" : "ENROOT_CACHE_MAX_SIZE", size);
        if (*age && quantity_parse_time(age, &ret->seconds) < 0)
                return error_set(err, EINVAL, "%s %s: not a length of time (12h, 30d, 2w)",
                                 max_age ? "--max-age" : "ENROOT_CACHE_MAX_AGE", age);
        return 0;
}

int command_cache_gc(const struct command_context *context, const char *max_size,
                     const char *max_age, struct error *err)
{
        auto_store struct store *store = NULL;
        char removed[QUANTITY_SIZE], kept[QUANTITY_SIZE];
        struct store_collected collected;
        struct store_limits limits;

        if (parse_limits(context->config, max_size, max_age, &limits, err) < 0)
                return -1;
        if (limits.bytes == 0 && limits.seconds == 0)
                return error_set(err, EINVAL,
                                 "no limit to keep to: give --max-size or --max-age, or set "
                                 "ENROOT_CACHE_MAX_SIZE or ENROOT_CACHE_MAX_AGE (\"enroot cache "
                                 "remove --all\" empties the cache)");
        store = store_open(context->config->cache_path, err);
        if (!store || store_collect(store, &limits, &collected, err) < 0)
                return -1;
        quantity_format_size(collected.removed_bytes, removed);
        quantity_format_size(collected.kept_bytes, kept);
        report_info(context->report, "Removed %zu items (%s), kept %zu (%s)", collected.removed,
                    removed, collected.kept, kept);
        return 0;
}

void cache_keep_limits(const struct command_context *context)
{
        const struct config *config = context->config;
        auto_store struct store *store = NULL;
        struct error err = ERROR_INIT;
        struct store_collected collected;
        struct store_limits limits;

        if (*config->cache_max_size == '\0' && *config->cache_max_age == '\0')
                return;
        if (parse_limits(config, NULL, NULL, &limits, &err) == 0)
                store = store_open(config->cache_path, &err);
        if (!store || store_collect(store, &limits, &collected, &err) < 0)
                report_warn(context->report, "cache: %s", err.message);
}

int cache_drop_damaged(const struct command_context *context, const struct image_record *record,
                       struct error *err)
{
        auto_store struct store *store = NULL;
        struct error why = ERROR_INIT;
        int count = 0;

        if ((err->code != EBADMSG && err->code != EIO) || cancel_signal())
                return 0;
        store = store_open(context->config->cache_path, &why);
        for (size_t i = 0; store && i < record->layer_count; i++) {
                const char *digest = record->layers[i].digest;
                int dropped = store_drop_damaged(store, digest, &why);

                /* They may be what is damaged, and are noted again. */
                count += store_drop_points(store, digest);
                /* The site's damaged blob: the better explanation of the failure. */
                if (dropped < 0 && why.code == EBADMSG)
                        *err = why;
                if (dropped <= 0)
                        continue;
                report_warn(context->report, "layer %s was damaged in the cache: fetching it again",
                            digest);
                count++;
        }
        return count;
}

/* ---- verify ---- */

/* An image has no checksum of its own: it must be one, with its tables in place. */
static int check_image(const struct store *store, const struct store_item *item, struct error *err)
{
        auto_close int fd = openat(store_dir_fd(store), item->name,
                                   O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        auto_image_record struct image_record record = { .provenance = NULL };

        if (fd < 0)
                return error_errno(err, "%s/%s", store_path(store), item->name);
        return record_read_image(fd, item->name, &record, err) > 0;
}

/* 1 when the item is fine, 0 when it was not and is gone, -1 with *err. */
static int verify_item(const struct command_context *context, struct store *store,
                       const struct store_item *item, struct error *err)
{
        struct error why = ERROR_INIT;
        int sound = item->kind == STORE_IMAGE ? check_image(store, item, &why)
                                              : store_check_blob(store, item, &why);

        if (sound > 0 || why.code == ENOENT)
                return 1;
        if (sound < 0 && why.code != EBADMSG && why.code != EIO) {
                *err = why;
                return -1;
        }
        if (store_remove(store, item, err) < 0)
                return -1;
        report_warn(context->report, "%s %s was damaged and is removed: it will be %s again",
                    kind_names[item->kind], item->digest,
                    item->kind == STORE_IMAGE ? "made" : "fetched");
        return 0;
}

/* Parts and points are checked by who uses them. */
static bool is_checkable(const struct store_item *item)
{
        return item->kind == STORE_BLOB || item->kind == STORE_IMAGE;
}

int command_cache_verify(const struct command_context *context, struct error *err)
{
        auto_store struct store *store = store_open(context->config->cache_path, err);
        auto_store_items struct store_items items = STORE_ITEMS_INIT;
        size_t sound = 0, damaged = 0;

        if (!store || store_scan(store, &items, err) < 0)
                return -1;
        for (size_t i = 0; i < items.count; i++) {
                int result = is_checkable(&items.items[i])
                                     ? verify_item(context, store, &items.items[i], err)
                                     : 1;

                if (result < 0)
                        return -1;
                if (result > 0)
                        sound++;
                else
                        damaged++;
        }
        report_info(context->report, "%zu items are sound", sound);
        if (damaged > 0)
                return error_set(err, EBADMSG, "%zu items of the cache were damaged; the disk of "
                                               "%s may be failing",
                                 damaged, store_path(store));
        return 0;
}

/* ---- remove ---- */

/* Whether a word names the item: its digest, or enough of the beginning, "sha256:" or not. */
static bool names(const char *word, const struct store_item *item)
{
        const char *hex = strncmp(word, "sha256:", 7) == 0 ? word + 7 : word;

        return strlen(hex) >= SHORTEST_PREFIX &&
               strncmp(item->digest + 7, hex, strlen(hex)) == 0;
}

/* An error for a word that names nothing, before anything is deleted. */
static int check_word(const struct store_items *items, const char *word, struct error *err)
{
        for (size_t i = 0; i < items->count; i++)
                if (names(word, &items->items[i]))
                        return 0;
        return error_set(err, ENOENT,
                         "%s: nothing in the cache begins so (\"enroot cache list\" shows the "
                         "digests; at least %u digits are needed)",
                         word, SHORTEST_PREFIX);
}

/* Delete what any of the words names. */
static int remove_items(const struct command_context *context, struct store *store,
                        const struct store_items *items, char *const *words, bool all,
                        struct error *err)
{
        for (size_t i = 0; i < items->count; i++) {
                const struct store_item *item = &items->items[i];
                bool named = all;
                int removed;

                for (size_t word = 0; words[word]; word++)
                        named |= names(words[word], item);
                if (!named)
                        continue;
                removed = store_remove(store, item, err);
                if (removed < 0)
                        return -1;
                if (removed == 0)
                        report_warn(context->report, "%s is being fetched: left alone",
                                    item->digest);
        }
        return 0;
}

int command_cache_remove(const struct command_context *context, char *const *digests, bool all,
                         struct error *err)
{
        auto_store struct store *store = NULL;
        auto_store_items struct store_items items = STORE_ITEMS_INIT;

        if (all == (*digests != NULL))
                return error_set(err, EINVAL, "name either digests or --all");
        store = store_open(context->config->cache_path, err);
        if (!store || store_scan(store, &items, err) < 0)
                return -1;
        for (size_t i = 0; digests[i]; i++)
                if (check_word(&items, digests[i], err) < 0)
                        return -1;
        return remove_items(context, store, &items, digests, all, err);
}
