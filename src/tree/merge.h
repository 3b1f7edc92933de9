/*
 * The state of a merge: three views of the same layers (view.h).
 *
 *      merged   what all layers add up to: the tree itself
 *      skipped  what upper layers hide of the current layer; its hard links may
 *               refer to it. Started again for every layer
 *      wanted   only the targets of hard links that were not in the link's own
 *               layer. Lower layers are watched for them even where merged has
 *               no use for what they hold
 *
 * Every entry goes to merged or, if it is hidden there, to skipped; and to the
 * other two as far as they have nodes at its path.
 */
#pragma once

#include "tree/view.h"

/*
 * Stands for the file that a hard link refers to while that is not known. Names
 * share it, as they will share the file.
 */
struct pending_link {
        struct tree_inode inode;     /* .meta.type is ENTRY_HARDLINK, .meta.target its target */
        struct tree_inode *resolved; /* what it was found to be, possibly pending as well */
        struct node *place;          /* in the view wanted, while waiting */
        enum {
                LINK_MISSING, /* unless resolved */
                LINK_TO_DIRECTORY,
                LINK_LOOP,
        } problem;
};

/* Inodes in the order in which they were appended. */
struct inode_list {
        struct tree_inode **items;
        size_t count, capacity;
};

struct tree {
        struct view merged, skipped, wanted;
        struct pool inodes;
        struct pool pending;       /* struct pending_link */
        size_t pending_settled;    /* how many of them belong to layers that are complete */
        struct inode_list waiting; /* pending ones that lower layers may resolve */

        /* Files of this layer that were skipped before a link asked for them, and
         * how many of them the second pass has come to. */
        struct inode_list missing;
        size_t missing_done;

        struct layer_clock clock;
        uint32_t last_moment; /* in the first pass over the current layer */
        bool in_layer, rescanning;
        bool plain; /* names of the current layer are only names */
        uint32_t *layer_starts; /* moments, growing */
        size_t layer_count;

        struct tree_node **children; /* of all directories, after tree_finish */
        uint64_t inode_count;
};

/* The metadata, which *meta gives up. */
struct entry_meta entry_meta_take(struct entry_meta *meta);

/* A new inode with the metadata taken out of *meta, or NULL with *err. */
struct tree_inode *tree_new_inode(struct tree *tree, struct entry_meta *meta, struct error *err);

/* Complete the current layer, if there is one. */
int tree_end_layer(struct tree *tree, struct error *err);

/* ---- links.c ---- */

/*
 * The inode for a hard link of the current layer. A file that was skipped is
 * asked for when needed is set. Takes meta->target. NULL with *err on failure.
 */
struct tree_inode *links_resolve(struct tree *tree, struct entry_meta *meta, bool needed,
                                 struct error *err);

/* All entries of the layer have been seen once: resolve links with them. May be repeated. */
int links_settle(struct tree *tree, struct error *err);

/* The entry of the second pass, if it is a missing one. */
int links_rescan(struct tree *tree, struct entry *entry, struct tree_inode **ret_file,
                 struct error *err);

/* What an inode was resolved to: itself unless it is pending. */
struct tree_inode *links_follow(struct tree_inode *inode);

/* The pending link that an inode stands for, or NULL. */
struct pending_link *links_pending(struct tree_inode *inode);

void links_release(struct tree *tree);
