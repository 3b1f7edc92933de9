/*
 * Hard links whose file is not, or not visibly, in the tree yet.
 *
 * A link binds when it comes, as it does for a program that extracts the layer:
 * to what its own layer has at the target by then. Otherwise it is pending until
 * the layer is complete, binds to what its own layer has put there later, and
 * only then to the lower layers, as far as this one does not hide them.
 *
 * A file of the same layer that was skipped is represented by an inode that has
 * only its moment (in .sink, with .links set once it is asked for); a second pass
 * over the layer fills it.
 */
#include "tree/merge.h"

#include <errno.h>
#include <stdlib.h>

#include "util/cleanup.h"

static int inode_list_append(struct inode_list *list, struct tree_inode *inode, struct error *err)
{
        if (list->count == list->capacity) {
                size_t capacity = list->capacity ? 2 * list->capacity : 16;
                struct tree_inode **items = reallocarray(list->items, capacity, sizeof(*items));

                if (!items)
                        return error_no_memory(err);
                list->items = items;
                list->capacity = capacity;
        }
        list->items[list->count++] = inode;
        return 0;
}

struct pending_link *links_pending(struct tree_inode *inode)
{
        if (inode->meta.type != ENTRY_HARDLINK || !inode->meta.target)
                return NULL;
        return (struct pending_link *)inode; /* .inode is its first member */
}

struct tree_inode *links_follow(struct tree_inode *inode)
{
        struct pending_link *pending = links_pending(inode);

        while (pending && pending->resolved) {
                struct pending_link *next = links_pending(pending->resolved);

                if (!next)
                        return pending->resolved;
                /* Halve the way for the next time: chains may be as long as a layer. */
                if (next->resolved)
                        pending->resolved = next->resolved;
                pending = next;
        }
        return pending ? &pending->inode : inode;
}

static void bind(struct pending_link *pending, struct tree_inode *inode)
{
        struct tree_inode *last = links_follow(inode);

        if (last == &pending->inode)
                pending->problem = LINK_LOOP;
        else
                pending->resolved = last;
}

/* What the current layer has at the target of a link; visible things first. */
static struct node *find_target(const struct tree *tree, const char *target)
{
        struct node *node = view_find_own(&tree->merged, target, &tree->clock);

        return node ? node : view_find_own(&tree->skipped, target, &tree->clock);
}

/* A skipped file without content so far that nobody has asked for. */
static bool is_unclaimed(const struct tree_inode *inode)
{
        return inode->meta.type == ENTRY_HARDLINK && !inode->meta.target && inode->links == 0;
}

/* The inode of a file of the current layer, asked for when it is needed. */
static struct tree_inode *claim(struct tree *tree, struct node *node, bool needed,
                                struct error *err)
{
        struct tree_inode *inode = node->base.inode;

        if (!inode) {
                struct entry_meta unknown = { .type = ENTRY_HARDLINK };

                inode = tree_new_inode(tree, &unknown, err);
                if (!inode)
                        return NULL;
                inode->sink = node->defined;
                node->base.inode = inode;
        }
        if (needed && is_unclaimed(inode)) {
                if (inode_list_append(&tree->missing, inode, err) < 0)
                        return NULL;
                inode->links = 1;
        }
        return inode;
}

struct tree_inode *links_resolve(struct tree *tree, struct entry_meta *meta, bool needed,
                                 struct error *err)
{
        struct node *node = find_target(tree, meta->target);
        struct pending_link *pending;

        if (node && !node->directory)
                return claim(tree, node, needed, err);

        pending = pool_add(&tree->pending);
        if (!pending) {
                error_no_memory(err);
                return NULL;
        }
        pending->inode.meta.type = ENTRY_HARDLINK;
        pending->inode.meta.target = TAKE_PTR(meta->target);
        pending->problem = node ? LINK_TO_DIRECTORY : LINK_MISSING;
        return &pending->inode;
}

/*
 * Give the links that wait for lower layers what this layer has for them. One whose
 * target this layer hides has waited in vain.
 */
static void resolve_waiting(struct tree *tree)
{
        size_t kept = 0;

        for (size_t i = 0; i < tree->waiting.count; i++) {
                struct pending_link *pending = links_pending(tree->waiting.items[i]);
                struct node *place = pending->place;
                bool found = view_is_own(place, &tree->clock);

                if (!found && !view_is_hidden(place)) {
                        tree->waiting.items[kept++] = &pending->inode;
                        continue;
                }
                place->wanted = false;
                if (!found)
                        continue;
                if (place->directory)
                        pending->problem = LINK_TO_DIRECTORY;
                else
                        bind(pending, place->base.inode);
        }
        tree->waiting.count = kept;
}

static int settle_pending(struct tree *tree, struct pending_link *pending, struct error *err)
{
        const char *target = pending->inode.meta.target;
        struct node *node;

        if (pending->problem != LINK_MISSING)
                return 0;
        node = find_target(tree, target);
        if (node && node->directory) {
                pending->problem = LINK_TO_DIRECTORY;
                return 0;
        }
        if (node) {
                struct tree_inode *inode = claim(tree, node, true, err);

                if (!inode)
                        return -1;
                bind(pending, inode);
                return 0;
        }
        if (view_hides_lower(&tree->merged, target, &tree->clock) ||
            view_hides_lower(&tree->skipped, target, &tree->clock))
                return 0;
        pending->place = view_renew(&tree->wanted, target, err);
        if (!pending->place)
                return -1;
        pending->place->wanted = true;
        return inode_list_append(&tree->waiting, &pending->inode, err);
}

int links_settle(struct tree *tree, struct error *err)
{
        resolve_waiting(tree);
        for (; tree->pending_settled < tree->pending.count; tree->pending_settled++)
                if (settle_pending(tree, pool_at(&tree->pending, tree->pending_settled), err) < 0)
                        return -1;
        return 0;
}

/* ---- the second pass over a layer ---- */

bool tree_needs_rescan(const struct tree *tree)
{
        if (tree->missing_done < tree->missing.count)
                return true;
        /* Links to files that came after them are claimed by links_settle only. */
        for (size_t i = tree->pending_settled; i < tree->pending.count; i++) {
                const struct pending_link *pending = pool_at(&tree->pending, i);
                const struct node *node;

                if (pending->problem != LINK_MISSING)
                        continue;
                node = find_target(tree, pending->inode.meta.target);
                if (node && !node->directory &&
                    (!node->base.inode || is_unclaimed(node->base.inode)))
                        return true;
        }
        return false;
}

static int by_moment(const void *a, const void *b)
{
        const struct tree_inode *const *first = a, *const *second = b;

        return (*first)->sink < (*second)->sink ? -1 : (*first)->sink > (*second)->sink;
}

int tree_begin_rescan(struct tree *tree, struct error *err)
{
        if (links_settle(tree, err) < 0)
                return -1;
        if (tree->missing.count > 0)
                qsort(tree->missing.items, tree->missing.count, sizeof(*tree->missing.items),
                      by_moment);
        tree->missing_done = 0;
        tree->rescanning = true;
        tree->clock.now = tree->clock.start;
        return 0;
}

int links_rescan(struct tree *tree, struct entry *entry, struct tree_inode **ret_file,
                 struct error *err)
{
        struct tree_inode *inode;

        if (tree->missing_done == tree->missing.count ||
            tree->missing.items[tree->missing_done]->sink != tree->clock.now)
                return 0;
        if (entry->meta.type == ENTRY_HARDLINK || entry->meta.type == ENTRY_DIRECTORY)
                return error_set(err, EIO, "%s: the layer was another one at first reading",
                                 entry->path);
        inode = tree->missing.items[tree->missing_done++];
        inode->meta = entry_meta_take(&entry->meta);
        inode->sink = 0;
        inode->links = 0;
        if (inode->meta.type == ENTRY_FILE)
                *ret_file = inode;
        return 0;
}

void links_release(struct tree *tree)
{
        for (size_t i = 0; i < tree->pending.count; i++) {
                struct pending_link *pending = pool_at(&tree->pending, i);

                entry_meta_release(&pending->inode.meta);
        }
        pool_release(&tree->pending);
        free(tree->waiting.items);
        free(tree->missing.items);
        tree->waiting = tree->missing = (struct inode_list){ .items = NULL };
        view_release(&tree->skipped);
        view_release(&tree->wanted);
}
