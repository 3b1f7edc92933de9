/*
 * From the finished merge to the tree: what is void or hidden goes, links are
 * resolved, children are sorted. Everything is a walk over the nodes in the order
 * in which they were made (parents come before children), so depth costs no stack.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree/merge.h"
#include "util/cleanup.h"
#include "util/strbuf.h"

/* ---- which nodes are part of the tree ---- */

static bool in_same_layer(const struct tree *tree, uint32_t earlier, uint32_t later)
{
        size_t low = 0, high = tree->layer_count;

        /* The last layer that starts at or before the later moment. */
        while (high - low > 1) {
                size_t middle = low + (high - low) / 2;

                if (tree->layer_starts[middle] <= later)
                        low = middle;
                else
                        high = middle;
        }
        return tree->layer_starts[low] <= earlier;
}

/* Whether an entry was replaced by its own layer together with a directory above it. */
static bool is_void(const struct tree *tree, uint32_t moment, uint32_t replaced)
{
        return moment < replaced && in_same_layer(tree, moment, replaced);
}

/*
 * The replacement that counts below a node: of the moments at which it and the
 * directories above it were closed, the one of the topmost layer, and the latest
 * of that. (What is above can only have been closed by the same or a lower layer.)
 */
static uint32_t replacement_below(const struct tree *tree, uint32_t above, const struct node *node)
{
        if (node->closed == 0 || is_void(tree, node->closed, above))
                return above;
        return node->closed;
}

/*
 * Decide for every node whether it stays; those that do are "settled" from here
 * on. The field hash, which is not needed any more, carries the replacement down.
 */
static void keep_visible(struct tree *tree)
{
        tree->merged.root->hash = tree->merged.root->closed;
        for (size_t i = 1; i < tree->merged.nodes.count; i++) {
                struct node *node = pool_at(&tree->merged.nodes, i);
                const struct node *parent = (const struct node *)node->base.parent;
                uint32_t replaced = parent->hash;

                if (!parent->settled || !parent->directory) {
                        node->settled = false;
                        continue;
                }
                if (node->defined != 0 && is_void(tree, node->defined, replaced)) {
                        node->defined = 0;
                        node->base.inode = NULL;
                }
                if (!node->settled)
                        node->settled = node->used != 0 && !is_void(tree, node->used, replaced);
                node->hash = replacement_below(tree, replaced, node);
        }
}

/* ---- inodes ---- */

static void append_path(struct strbuf *path, const struct tree_node *node)
{
        const struct tree_node *ancestors[PATH_MAX / 2]; /* names have at least one byte */
        size_t count = 0;

        for (; node->parent; node = node->parent)
                ancestors[count++] = node;
        while (count > 0) {
                strbuf_append(path, ancestors[--count]->name);
                if (count > 0)
                        strbuf_append_char(path, '/');
        }
}

static int unresolved(const struct tree_node *node, const struct pending_link *pending,
                      struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;
        const char *target = pending->inode.meta.target;

        append_path(&path, node);
        switch (pending->problem) {
        case LINK_TO_DIRECTORY:
                return error_set(err, EBADMSG, "hard link %s: its target %s is a directory",
                                 strbuf_text(&path), target);
        case LINK_LOOP:
                return error_set(err, EBADMSG, "hard link %s: its target %s leads back to itself",
                                 strbuf_text(&path), target);
        default:
                return error_set(err, ENOENT, "hard link %s: no layer has its target %s",
                                 strbuf_text(&path), target);
        }
}

/* Give the node its final inode. */
static int finish_inode(struct tree *tree, struct node *node, int64_t default_mtime,
                        struct error *err)
{
        struct tree_inode *inode = node->base.inode;

        if (!inode) {
                struct entry_meta meta = { .type = ENTRY_DIRECTORY,
                                           .mode = 0755,
                                           .mtime = default_mtime };

                inode = tree_new_inode(tree, &meta, err);
                if (!inode)
                        return -1;
        }
        inode = links_follow(inode);
        if (links_pending(inode))
                return unresolved(&node->base, links_pending(inode), err);
        if (inode->links++ == 0)
                tree->inode_count++;
        node->base.inode = inode;
        return 0;
}

/* ---- children ---- */

static int by_name(const void *a, const void *b)
{
        const struct tree_node *const *first = a, *const *second = b;

        return strcmp((*first)->name, (*second)->name);
}

/* Archives often are in order already; a pass to see it is cheaper than qsort. */
static void sort_children(struct tree_node *directory)
{
        for (size_t i = 1; i < directory->child_count; i++) {
                if (by_name(&directory->children[i - 1], &directory->children[i]) > 0) {
                        qsort(directory->children, directory->child_count,
                              sizeof(*directory->children), by_name);
                        return;
                }
        }
}

/* All lists of children are parts of one array. */
static int list_children(struct tree *tree, size_t count, struct error *err)
{
        const struct pool *nodes = &tree->merged.nodes;
        struct tree_node **next;

        tree->children = next = calloc(count > 0 ? count : 1, sizeof(*next));
        if (!next)
                return error_no_memory(err);
        for (size_t i = 0; i < nodes->count; i++) {
                struct node *node = pool_at(nodes, i);
                struct tree_node *parent = node->base.parent;

                if (!node->settled)
                        continue;
                if (node->base.child_count > 0) {
                        node->base.children = next;
                        next += node->base.child_count;
                        node->base.child_count = 0;
                }
                if (parent)
                        parent->children[parent->child_count++] = &node->base;
        }
        for (size_t i = 0; i < nodes->count; i++) {
                struct node *node = pool_at(nodes, i);

                if (node->settled)
                        sort_children(&node->base);
        }
        return 0;
}

int tree_finish(struct tree *tree, int64_t default_mtime, struct error *err)
{
        size_t count = 0;

        if (tree_end_layer(tree, err) < 0)
                return -1;
        free(TAKE_PTR(tree->merged.slots));
        keep_visible(tree);
        for (size_t i = 0; i < tree->merged.nodes.count; i++) {
                struct node *node = pool_at(&tree->merged.nodes, i);

                if (!node->settled)
                        continue;
                if (finish_inode(tree, node, default_mtime, err) < 0)
                        return -1;
                if (node->base.parent) {
                        node->base.parent->child_count++;
                        count++;
                }
        }
        links_release(tree);
        return list_children(tree, count, err);
}

/* ---- the finished tree ---- */

struct tree_node *tree_root(struct tree *tree)
{
        return &tree->merged.root->base;
}

uint64_t tree_inode_count(const struct tree *tree)
{
        return tree->inode_count;
}

/* Compare a name with the first length bytes of text, as strcmp does with whole strings. */
static int compare_name(const char *name, const char *text, size_t length)
{
        int difference = strncmp(name, text, length);

        return difference == 0 && name[length] != '\0' ? 1 : difference;
}

static struct tree_node *find_child(const struct tree_node *directory, const char *name,
                                    size_t length)
{
        size_t low = 0, high = directory->child_count;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = compare_name(directory->children[middle]->name, name, length);

                if (order == 0)
                        return directory->children[middle];
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return NULL;
}

struct tree_node *tree_lookup(struct tree *tree, const char *path)
{
        struct tree_node *node = tree_root(tree);

        while (node && *path) {
                size_t length = strcspn(path, "/");

                node = find_child(node, path, length);
                path += length;
                path += *path == '/';
        }
        return node;
}

int tree_walk(struct tree *tree,
              int (*visit)(void *context, const char *path, struct tree_node *node,
                           struct error *err),
              void *context, struct error *err)
{
        auto_strbuf struct strbuf path = STRBUF_INIT;
        size_t next[PATH_MAX / 2 + 1] = { 0 }, depth = 0; /* names have at least one byte */
        struct tree_node *node = tree_root(tree);

        if (visit(context, "", node, err) < 0)
                return -1;
        while (node) {
                struct tree_node *child;

                if (next[depth] == node->child_count) {
                        const char *slash = strrchr(strbuf_text(&path), '/');

                        strbuf_truncate(&path, slash ? (size_t)(slash - path.data) : 0);
                        node = node->parent;
                        depth -= depth > 0;
                        continue;
                }
                child = node->children[next[depth]++];
                if (path.length > 0)
                        strbuf_append_char(&path, '/');
                strbuf_append(&path, child->name);
                if (path.failed)
                        return error_no_memory(err);
                if (visit(context, path.data, child, err) < 0)
                        return -1;
                node = child;
                next[++depth] = 0;
        }
        return 0;
}
