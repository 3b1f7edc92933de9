/*
 * A view: what the layers given to it, top first, add up to.
 *
 * Time. Every entry has a number, its moment, which only grows. A layer's own
 * moments are greater than the clock's start; whatever carries an earlier moment
 * came from an upper layer. So nothing has to be swept when a layer ends.
 *
 * A node belongs to the view once it is "used". It is "closed" when this name
 * in lower layers is hidden, and all below it: by a whiteout or by something that
 * is no directory. Closing never has to be undone: in one layer, too, a file that
 * is replaced by a directory has hidden what lower layers have there.
 *
 * Replacing. When a file takes the place of a directory in its own layer, the
 * layer's earlier entries below that directory are void. They are not looked for
 * (the directory may hold a million names of upper layers); they are recognised
 * later by being earlier than the moment at which a directory above was closed.
 * A whiteout closes at the layer's start and so makes nothing of its own layer void.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tree/name_hash.h"
#include "tree/pool.h"
#include "tree/tree.h"

struct layer_clock {
        uint32_t start; /* no entry has this moment */
        uint32_t now;   /* of the current entry */
};

struct node {
        struct tree_node base; /* first, so that one pointer serves for both */
        uint32_t hash;
        uint32_t used;    /* last moment as part of the tree; 0: none that counts */
        uint32_t defined; /* moment of the entry that base.inode stands for; 0: none */
        uint32_t closed;  /* moment from which lower layers are hidden here and below; 0: never */
        uint32_t opaque;  /* the same, below only */
        bool settled;     /* an upper layer's directory: the current layer cannot replace it */
        bool directory;   /* what it is, if used */
        bool wanted;      /* links.c: a hard link waits for what is here */
};

struct view {
        struct pool nodes; /* parents before children; the first is the root */
        struct text_pool names;
        uint32_t *slots; /* open addressing; a node's number plus 1, 0 for free */
        size_t slot_count;
        struct name_hash_key key;
        struct node *root;
};

/* The most names, files that hide others included, in one view. */
#define VIEW_NODES_MAX 50000000

int view_init(struct view *view, struct error *err);
void view_release(struct view *view);

/*
 * Go to a path as an entry of the current layer: what lies on the way becomes a
 * directory, however little of the way is visible.
 *
 * create  add missing nodes; otherwise a path that has none is not found
 *
 * Returns 1 and *ret, 0 when the path is hidden by upper layers (or not found),
 * or -1 with *err.
 */
int view_reach(struct view *view, const char *path, const struct layer_clock *clock, bool create,
               struct node **ret, struct error *err);

/* The same for a path that a whiteout or an opaque marker is about: nothing becomes a directory. */
int view_reach_mark(struct view *view, const char *path, const struct layer_clock *clock,
                    bool create, struct node **ret, struct error *err);

/*
 * What the current layer has at a node that was reached (by view_reach_mark for the
 * whiteout and the opaque marker, which leave the node what it is). "File" is
 * everything but a directory; it is not seen where the node is settled. inode may
 * be NULL for something whose content nobody has asked for yet.
 */
void view_put_file(struct node *node, const struct layer_clock *clock, struct tree_inode *inode);
void view_put_directory(struct node *node, const struct layer_clock *clock);
void view_put_whiteout(struct node *node, const struct layer_clock *clock);

/* False when an upper layer has hidden the lower content already. */
bool view_put_opaque(struct node *node, const struct layer_clock *clock);

/* Whether the current layer has put something at the node that it has not replaced since. */
bool view_is_own(const struct node *node, const struct layer_clock *clock);

/* What the current layer has put at a path so far, or NULL. */
struct node *view_find_own(const struct view *view, const char *path,
                           const struct layer_clock *clock);

/* Whether the current layer hides a path of lower layers. */
bool view_hides_lower(const struct view *view, const char *path, const struct layer_clock *clock);

/* Whether lower layers are hidden at the node. */
bool view_is_hidden(const struct node *node);

/*
 * The node of a path, unused, with nothing on the way closed or opaque. A new node
 * takes the place of a closed one; an opaque one stays, since something may still be
 * wanted there, and what is below must not be wanted any more. (Not so the root, below
 * which nothing of lower layers can be seen once it is opaque.) NULL with *err on
 * failure.
 */
struct node *view_renew(struct view *view, const char *path, struct error *err);
