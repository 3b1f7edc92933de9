#include "unpack/plan.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "unpack/ref_set.h"
#include "util/cancel.h"

/* ---- paths, for messages ---- */

static void append_path(struct strbuf *path, const struct plan_directory *directory)
{
        const struct plan_directory *chain[PLAN_DEPTH_MAX];
        size_t count = 0;

        for (; directory->parent; directory = directory->parent)
                chain[count++] = directory;
        while (count > 0) {
                strbuf_append(path, chain[--count]->name);
                strbuf_append_char(path, '/');
        }
}

/* A message has room for little more than one long name, and the reason comes after it. */
#define SHOWN_MAX 300

int plan_error(struct error *err, const char *action, const struct plan_directory *directory,
               const char *name)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;

        append_path(&path, directory);
        strbuf_append(&path, name ? name : "");
        if (path.length > SHOWN_MAX)
                return error_prefix(err, "%s /...%s", action,
                                    strbuf_text(&path) + path.length - SHOWN_MAX);
        return error_prefix(err, "%s /%s", action, strbuf_text(&path));
}

/* ---- lists ---- */

/* Make room for one more pointer. */
static int reserve(void *list, size_t count, size_t *capacity)
{
        void ***items = list;
        size_t wanted = *capacity ? *capacity * 2 : 256;
        void **larger;

        if (count < *capacity)
                return 0;
        larger = reallocarray(*items, wanted, sizeof(*larger));
        if (!larger)
                return -1;
        *items = larger;
        *capacity = wanted;
        return 0;
}

/* Give a directory its number. Returns 0, or -1 without memory. */
static int append_directory(struct plan *plan, struct plan_directory *directory)
{
        int status;

        (void)pthread_mutex_lock(&plan->lock);
        status = reserve(&plan->directories, plan->directory_count, &plan->directory_capacity);
        if (status == 0) {
                directory->number = (uint32_t)plan->directory_count;
                plan->directories[plan->directory_count++] = directory;
                (void)pthread_cond_signal(&plan->grown);
        }
        (void)pthread_mutex_unlock(&plan->lock);
        return status;
}

struct plan_directory *plan_add_directory(struct plan *plan, struct plan_directory *parent,
                                          squashfs_ref ref, uint16_t mode, const char *name,
                                          struct error *err)
{
        size_t size = strlen(name) + 1;
        struct plan_directory *directory;

        if (parent && parent->depth + 1 >= PLAN_DEPTH_MAX) {
                error_set(err, EBADMSG, "directories are more than %d levels deep", PLAN_DEPTH_MAX);
                return NULL;
        }
        directory = malloc(sizeof(*directory) + size);
        if (directory) {
                *directory = (struct plan_directory){
                        .parent = parent,
                        .ref = ref,
                        .depth = parent ? parent->depth + 1 : 0,
                        .mode = mode,
                        .fd = -1,
                };
                memcpy(directory->name, name, size);
        }
        if (!directory || append_directory(plan, directory) < 0) {
                free(directory);
                error_no_memory(err);
                return NULL;
        }
        return directory;
}

size_t plan_wait_directories(struct plan *plan, size_t first, struct plan_directory **ret,
                             size_t size)
{
        size_t count;

        (void)pthread_mutex_lock(&plan->lock);
        while (plan->directory_count <= first && !plan->is_complete)
                (void)pthread_cond_wait(&plan->grown, &plan->lock);
        count = plan->directory_count - first;
        if (plan->directory_count <= first)
                count = 0;
        else if (count > size)
                count = size;
        for (size_t i = 0; i < count; i++)
                ret[i] = plan->directories[first + i];
        (void)pthread_mutex_unlock(&plan->lock);
        return count;
}

static void complete(struct plan *plan)
{
        (void)pthread_mutex_lock(&plan->lock);
        plan->is_complete = true;
        (void)pthread_cond_broadcast(&plan->grown);
        (void)pthread_mutex_unlock(&plan->lock);
}

static int add_item(struct plan *plan, struct plan_directory *directory,
                    const struct squashfs_dirent *entry, const struct squashfs_stat *stat,
                    struct error *err)
{
        size_t size = strlen(entry->name) + 1;
        struct plan_item *item = malloc(sizeof(*item) + size);

        if (!item || reserve(&plan->items, plan->item_count, &plan->item_capacity) < 0) {
                free(item);
                return error_no_memory(err);
        }
        *item = (struct plan_item){
                .directory = directory,
                .ref = entry->ref,
                .position = stat->position,
                .size = stat->meta.size,
                .mtime = stat->meta.mtime,
                .uid = stat->meta.uid,
                .gid = stat->meta.gid,
                .type = stat->meta.type,
                .mode = stat->meta.mode,
                .has_xattrs = stat->has_xattrs,
        };
        memcpy(item->name, entry->name, size);
        plan->items[plan->item_count++] = item;
        return 0;
}

void plan_release(struct plan *plan)
{
        for (size_t i = 0; i < plan->directory_count; i++) {
                if (plan->directories[i]->fd >= 0)
                        (void)close(plan->directories[i]->fd);
                free(plan->directories[i]);
        }
        for (size_t i = 0; i < plan->item_count; i++)
                free(plan->items[i]);
        free(plan->directories);
        free(plan->items);
        (void)pthread_cond_destroy(&plan->grown);
        (void)pthread_mutex_destroy(&plan->lock);
        *plan = (struct plan)PLAN_INIT;
}

/* ---- the walk ---- */

struct plan_walk {
        struct plan *plan;
        struct squashfs_image *image;
        struct plan_directory *directory; /* being listed */
        struct ref_set seen;              /* inodes of directories */
};

/* A directory with two names would let a few inodes describe an endless tree. */
static int note_directory(struct plan_walk *walk, const struct plan_directory *directory,
                          struct error *err)
{
        int status = ref_set_add(&walk->seen, directory->ref);

        if (status < 0)
                return error_no_memory(err);
        if (status == 0)
                return error_set(
                        err, EBADMSG,
                        "damaged image: the directory has a second name or contains itself");
        return 0;
}

static int plan_directory(struct plan_walk *walk, const struct squashfs_dirent *entry,
                          const struct squashfs_stat *stat, struct error *err)
{
        const struct plan_directory *directory = plan_add_directory(
                walk->plan, walk->directory, entry->ref, stat->meta.mode, entry->name, err);

        return directory ? note_directory(walk, directory, err) : -1;
}

static int plan_entry(const struct squashfs_dirent *entry, void *context, struct error *err)
{
        struct plan_walk *walk = context;
        struct squashfs_stat stat;
        int status = squashfs_stat(walk->image, entry->ref, &stat, err);

        if (status == 0) {
                switch (stat.meta.type) {
                case ENTRY_DIRECTORY:
                        status = plan_directory(walk, entry, &stat, err);
                        break;
                case ENTRY_CHAR_DEVICE:
                case ENTRY_BLOCK_DEVICE:
                        break; /* made by the runtime where they are wanted */
                default:
                        status = add_item(walk->plan, walk->directory, entry, &stat, err);
                }
        }
        return status < 0 ? plan_error(err, "extract", walk->directory, entry->name) : 0;
}

/*
 * In the order of the content, so that the image is read from front to back and a
 * fragment block serves all its files while it is in memory; by inode within that,
 * which brings hard links together.
 */
static int compare_items(const void *a, const void *b)
{
        const struct plan_item *left = *(struct plan_item *const *)a;
        const struct plan_item *right = *(struct plan_item *const *)b;

        if (left->position != right->position)
                return left->position < right->position ? -1 : 1;
        return (left->ref > right->ref) - (left->ref < right->ref);
}

/* The list of directories is also the queue of those to visit. */
static int walk_directories(struct plan_walk *walk, struct error *err)
{
        struct plan *plan = walk->plan;

        for (size_t i = 0; i < plan->directory_count; i++) {
                walk->directory = plan->directories[i];
                if (cancel_check(err) < 0 ||
                    squashfs_list(walk->image, walk->directory->ref, 0, plan_entry, walk, err) < 0)
                        return -1;
        }
        return 0;
}

int plan_build(struct plan *plan, struct squashfs_image *image, struct error *err)
{
        struct plan_walk walk = { .plan = plan, .image = image, .seen = REF_SET_INIT };
        struct plan_directory *root =
                plan_add_directory(plan, NULL, squashfs_root(image), 0, "", err);
        int status = root ? note_directory(&walk, root, err) : -1;

        if (status == 0)
                status = walk_directories(&walk, err);
        complete(plan);
        ref_set_release(&walk.seen);
        if (status == 0 && plan->item_count > 0)
                qsort(plan->items, plan->item_count, sizeof(*plan->items), compare_items);
        return status;
}
