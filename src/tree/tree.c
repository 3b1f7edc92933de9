#include "tree/tree.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tree/merge.h"

/* The most entries of all layers together; their moments have to fit 32 bits. */
#define TREE_ENTRIES_MAX 50000000

/* The most layers. Docker stops at 127; what remains waiting is looked at once a layer. */
#define TREE_LAYERS_MAX 1024

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_LENGTH (sizeof(WHITEOUT_PREFIX) - 1)
#define AUFS_PREFIX     ".wh..wh." /* book-keeping of aufs, in old Docker images */
#define OPAQUE_NAME     ".wh..wh..opq"

struct tree *tree_new(struct error *err)
{
        struct tree *tree = calloc(1, sizeof(*tree));

        if (!tree) {
                error_no_memory(err);
                return NULL;
        }
        tree->inodes = (struct pool)POOL_INIT(struct tree_inode);
        tree->pending = (struct pool)POOL_INIT(struct pending_link);
        if (view_init(&tree->merged, err) < 0 || view_init(&tree->skipped, err) < 0 ||
            view_init(&tree->wanted, err) < 0) {
                tree_free(tree);
                return NULL;
        }
        return tree;
}

void tree_free(struct tree *tree)
{
        for (size_t i = 0; i < tree->inodes.count; i++) {
                struct tree_inode *inode = pool_at(&tree->inodes, i);

                entry_meta_release(&inode->meta);
        }
        pool_release(&tree->inodes);
        links_release(tree);
        view_release(&tree->merged);
        free(tree->layer_starts);
        free(tree->children);
        free(tree);
}

struct entry_meta entry_meta_take(struct entry_meta *meta)
{
        struct entry_meta taken = *meta;

        *meta = (struct entry_meta){ .target = NULL };
        return taken;
}

struct tree_inode *tree_new_inode(struct tree *tree, struct entry_meta *meta, struct error *err)
{
        struct tree_inode *inode = pool_add(&tree->inodes);

        if (!inode) {
                error_no_memory(err);
                return NULL;
        }
        inode->meta = entry_meta_take(meta);
        return inode;
}

/* ---- layers ---- */

int tree_end_layer(struct tree *tree, struct error *err)
{
        if (!tree->in_layer)
                return 0;
        if (links_settle(tree, err) < 0)
                return -1;
        if (tree->missing_done < tree->missing.count)
                return error_set(err, EIO,
                                 "a layer with hard links to hidden files ended too "
                                 "early in its second reading");
        if (tree->skipped.nodes.count > 1) {
                view_release(&tree->skipped);
                if (view_init(&tree->skipped, err) < 0)
                        return -1;
        }
        tree->missing.count = tree->missing_done = 0;
        tree->in_layer = tree->rescanning = false;
        return 0;
}

int tree_begin_layer(struct tree *tree, struct error *err)
{
        uint32_t *starts;

        if (tree_end_layer(tree, err) < 0)
                return -1;
        if (tree->layer_count >= TREE_LAYERS_MAX)
                return error_set(err, EFBIG, "more than %d layers", TREE_LAYERS_MAX);
        starts = reallocarray(tree->layer_starts, tree->layer_count + 1, sizeof(*starts));
        if (!starts)
                return error_no_memory(err);
        tree->layer_starts = starts;

        tree->clock.start = tree->clock.now = ++tree->last_moment;
        starts[tree->layer_count++] = tree->clock.start;
        tree->in_layer = true;
        tree->plain = false;
        return 0;
}

int tree_begin_plain_layer(struct tree *tree, struct error *err)
{
        if (tree_begin_layer(tree, err) < 0)
                return -1;
        tree->plain = true;
        return 0;
}

/* ---- what an entry means ---- */

struct change {
        enum {
                CHANGE_FILE, /* anything but a directory */
                CHANGE_DIRECTORY,
                CHANGE_WHITEOUT,
                CHANGE_OPAQUE,
        } kind;
        bool hidden;         /* below or among the book-keeping of aufs: never visible */
        char path[PATH_MAX]; /* what is changed */
};

/*
 * Only normalised paths keep the tree's promise that no name leads out of it, so
 * this does not rely on the source.
 */
static int check_path(const char *path, struct error *err)
{
        size_t length = strlen(path), component;
        const char *rest = path;

        if (length >= PATH_MAX)
                return error_set(err, ENAMETOOLONG, "a path of more than %d bytes: %s",
                                 PATH_MAX - 1, path);
        if (length == 0)
                return 0;
        for (;; rest += component + 1) {
                component = strcspn(rest, "/");
                if (component == 0 || (component == 1 && rest[0] == '.') ||
                    (component == 2 && rest[0] == '.' && rest[1] == '.'))
                        return error_set(err, EINVAL, "\"%s\" is no normalised path", path);
                if (component > NAME_MAX)
                        return error_set(err, ENAMETOOLONG, "a name of more than %d bytes: %s",
                                         NAME_MAX, path);
                if (rest[component] == '\0')
                        return 0;
        }
}

static bool starts_with(const char *text, const char *prefix)
{
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Whether a directory on the way to the last component has a reserved name. */
static bool is_below_reserved(const char *path)
{
        const char *slash;

        for (; (slash = strchr(path, '/')); path = slash + 1)
                if (starts_with(path, WHITEOUT_PREFIX))
                        return true;
        return false;
}

static int check_root(const struct change *change, struct error *err)
{
        if (change->path[0] == '\0' &&
            (change->kind == CHANGE_FILE || change->kind == CHANGE_WHITEOUT))
                return error_set(err, EBADMSG, "the root of the layer is no directory");
        return 0;
}

/* In a plain layer the type says everything. */
static int classify_plain(const struct entry *entry, struct change *ret, struct error *err)
{
        switch (entry->meta.type) {
        case ENTRY_DIRECTORY:
                ret->kind = CHANGE_DIRECTORY;
                break;
        case ENTRY_WHITEOUT:
                ret->kind = CHANGE_WHITEOUT;
                break;
        case ENTRY_OPAQUE:
                ret->kind = CHANGE_OPAQUE;
                break;
        default:
                ret->kind = CHANGE_FILE;
        }
        ret->hidden = false;
        strcpy(ret->path, entry->path);
        return check_root(ret, err);
}

static int classify(const struct entry *entry, struct change *ret, struct error *err)
{
        const char *slash = strrchr(entry->path, '/');
        const char *name = slash ? slash + 1 : entry->path;
        size_t parent_length = slash ? (size_t)(slash - entry->path) : 0;

        ret->kind = entry->meta.type == ENTRY_DIRECTORY ? CHANGE_DIRECTORY : CHANGE_FILE;
        ret->hidden = is_below_reserved(entry->path);
        strcpy(ret->path, entry->path);

        if (strcmp(name, OPAQUE_NAME) == 0) {
                ret->kind = CHANGE_OPAQUE;
                ret->path[parent_length] = '\0';
        } else if (starts_with(name, AUFS_PREFIX)) {
                ret->hidden = true;
        } else if (starts_with(name, WHITEOUT_PREFIX)) {
                const char *target = name + WHITEOUT_LENGTH;

                if (target[0] == '\0' || strcmp(target, ".") == 0 || strcmp(target, "..") == 0)
                        return error_set(err, EBADMSG, "%s: a whiteout that names no file",
                                         entry->path);
                ret->kind = CHANGE_WHITEOUT;
                strcpy(ret->path + (name - entry->path), target);
        }
        return check_root(ret, err);
}

static int check_target(const struct entry *entry, struct error *err)
{
        const char *target = entry->meta.target;

        if (entry->meta.type != ENTRY_HARDLINK && entry->meta.type != ENTRY_SYMLINK)
                return 0;
        if (!target)
                return error_set(err, EINVAL, "%s: a link without a target", entry->path);
        if (entry->meta.type == ENTRY_HARDLINK)
                return check_path(target, err) < 0 ? error_prefix(err, "hard link %s", entry->path)
                                                   : 0;
        /* As symlink(2) has it. */
        if (*target == '\0')
                return error_set(err, EBADMSG, "%s: a symbolic link to nothing", entry->path);
        if (strlen(target) >= PATH_MAX)
                return error_set(err, ENAMETOOLONG,
                                 "a symbolic link with a target of more than %d bytes: %s",
                                 PATH_MAX - 1, entry->path);
        return 0;
}

/* ---- merging ---- */

static int add_file(struct tree *tree, const struct change *change, struct entry *entry,
                    struct tree_inode **ret_file, struct error *err)
{
        struct node *merged = NULL, *skipped = NULL, *wanted = NULL;
        struct tree_inode *inode = NULL;
        bool seen, needed;

        if ((!change->hidden &&
             view_reach(&tree->merged, change->path, &tree->clock, true, &merged, err) < 0) ||
            view_reach(&tree->wanted, change->path, &tree->clock, false, &wanted, err) < 0)
                return -1;
        seen = merged && !merged->settled;
        needed = seen || (wanted && wanted->wanted);
        if (view_reach(&tree->skipped, change->path, &tree->clock, !seen, &skipped, err) < 0)
                return -1;

        if (entry->meta.type == ENTRY_HARDLINK) {
                inode = links_resolve(tree, &entry->meta, needed, err);
                if (!inode)
                        return -1;
        } else if (needed) {
                bool has_content = entry->meta.type == ENTRY_FILE;

                inode = tree_new_inode(tree, &entry->meta, err);
                if (!inode)
                        return -1;
                if (has_content)
                        *ret_file = inode;
        }
        if (merged)
                view_put_file(merged, &tree->clock, inode);
        if (wanted)
                view_put_file(wanted, &tree->clock, inode);
        if (skipped)
                view_put_file(skipped, &tree->clock, inode);
        return 0;
}

/* The topmost layer that has an entry for a directory gives its metadata. */
static int define_directory(struct tree *tree, struct node *node, struct entry *entry,
                            struct error *err)
{
        if (node->defined == 0) {
                struct tree_inode *inode = tree_new_inode(tree, &entry->meta, err);

                if (!inode)
                        return -1;
                node->base.inode = inode;
                node->defined = tree->clock.now;
        } else if (node->defined >= tree->clock.start) {
                struct entry_meta *meta = &node->base.inode->meta;

                entry_meta_release(meta);
                *meta = entry_meta_take(&entry->meta);
        }
        return 0;
}

static int add_directory(struct tree *tree, const struct change *change, struct entry *entry,
                         struct error *err)
{
        struct node *merged = NULL, *skipped = NULL, *wanted = NULL;

        if ((!change->hidden &&
             view_reach(&tree->merged, change->path, &tree->clock, true, &merged, err) < 0) ||
            view_reach(&tree->wanted, change->path, &tree->clock, false, &wanted, err) < 0 ||
            view_reach(&tree->skipped, change->path, &tree->clock, !merged, &skipped, err) < 0)
                return -1;
        if (wanted)
                view_put_directory(wanted, &tree->clock);
        if (skipped)
                view_put_directory(skipped, &tree->clock);
        if (!merged)
                return 0;
        view_put_directory(merged, &tree->clock);
        return define_directory(tree, merged, entry, err);
}

/* Returns whether the mark counts: false when upper layers hide the same already. */
static bool put_mark(struct node *node, const struct layer_clock *clock,
                     const struct change *change)
{
        if (change->kind == CHANGE_OPAQUE)
                return view_put_opaque(node, clock);
        view_put_whiteout(node, clock);
        return true;
}

/* A whiteout or an opaque marker. */
static int add_mark(struct tree *tree, const struct change *change, struct error *err)
{
        struct node *merged = NULL, *skipped = NULL, *wanted = NULL;
        bool counts;

        if ((!change->hidden &&
             view_reach_mark(&tree->merged, change->path, &tree->clock, true, &merged, err) < 0) ||
            view_reach_mark(&tree->wanted, change->path, &tree->clock, false, &wanted, err) < 0)
                return -1;
        counts = merged && put_mark(merged, &tree->clock, change);
        if (view_reach_mark(&tree->skipped, change->path, &tree->clock, !counts, &skipped, err) < 0)
                return -1;
        if (wanted)
                put_mark(wanted, &tree->clock, change);
        if (skipped)
                put_mark(skipped, &tree->clock, change);
        return 0;
}

int tree_add(struct tree *tree, struct entry *entry, struct tree_inode **ret_file,
             struct error *err)
{
        struct change change;

        *ret_file = NULL;
        if (tree->last_moment >= TREE_ENTRIES_MAX)
                return error_set(err, EFBIG, "more than %d files in all layers", TREE_ENTRIES_MAX);
        tree->clock.now++;
        if (tree->rescanning)
                return links_rescan(tree, entry, ret_file, err);
        tree->last_moment = tree->clock.now;

        if (check_path(entry->path, err) < 0 ||
            (tree->plain ? classify_plain : classify)(entry, &change, err) < 0 ||
            check_target(entry, err) < 0)
                return -1;
        if (change.kind == CHANGE_FILE)
                return add_file(tree, &change, entry, ret_file, err);
        if (change.kind == CHANGE_DIRECTORY)
                return add_directory(tree, &change, entry, err);
        return add_mark(tree, &change, err);
}
