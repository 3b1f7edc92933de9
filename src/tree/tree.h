/*
 * tree/: the one currency between pipeline stages, and the merge of layers.
 *
 * An entry is one record of a source (a tar layer, an image, a directory). A tree
 * is what a set of layers adds up to, held in memory without file content.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

enum entry_type {
        ENTRY_FILE,
        ENTRY_DIRECTORY,
        ENTRY_SYMLINK,
        ENTRY_HARDLINK, /* another name for the file at target */
        ENTRY_FIFO,
        ENTRY_SOCKET,
        ENTRY_CHAR_DEVICE,
        ENTRY_BLOCK_DEVICE,
        ENTRY_WHITEOUT, /* of a plain layer: hides what lower layers have at the path */
        ENTRY_OPAQUE,   /* the same: hides what they have in the directory at the path */
};

struct xattr {
        char *name; /* with its prefix: "user.comment" */
        void *value;
        size_t size;
};

struct xattr_list {
        struct xattr *items; /* sorted by name, no name twice */
        size_t count;
};

/* Everything that a file has besides its name and content. */
struct entry_meta {
        enum entry_type type; /* never a hard link or a mark inside a tree */
        uint16_t mode;        /* permission, set-id and sticky bits: 07777 */
        uint32_t uid, gid;
        int64_t mtime; /* seconds since the epoch */
        uint64_t size; /* of a file's content, bytes */
        dev_t rdev;    /* of device nodes */
        char *target;  /* of links: a symlink's text; a hard link's path, normalised */
        struct xattr_list xattrs;
};

/*
 * All strings are malloc'd and belong to the entry, whoever made it: an entry of
 * an archive, or one that the program adds on its own as if a layer held it.
 */
struct entry {
        char *path; /* normalised (util/path.h): "usr/bin/env", "" for the root */
        struct entry_meta meta;
};

/* Release what the struct owns and leave it empty. */
void entry_release(struct entry *entry);
void entry_meta_release(struct entry_meta *meta);

/* S_IFREG and so on, of stat(2); a hard link counts as a file. */
mode_t entry_type_bits(enum entry_type type);

/* Insert a copy in order, replacing the value of an existing name. 0, or -1 without memory. */
int xattr_list_set(struct xattr_list *list, const char *name, const void *value, size_t size);

/*
 * Whether an attribute of a file belongs to an image: those of the kinds that squashfs
 * stores, less the notes that overlayfs makes on its layers (it would obey them when the
 * image becomes one) and the labels of the machine that built the image.
 */
bool xattr_is_kept(const char *name);

/* The attribute of that name, or NULL. */
const struct xattr *xattr_list_find(const struct xattr_list *list, const char *name);

/*
 * A tree of merged layers.
 *
 * Layers are added top first. The first definition of a path wins; whiteouts
 * (".wh.NAME") and opaque directories (".wh..wh..opq") of a layer hide what
 * lower layers have there (OCI image specification, layer.md), wherever in their
 * layer they stand. They only hide: as with umoci, the directory that one stands in
 * does not come to be by it, and where the layer has a file there, the file stays.
 * Within one layer a later entry replaces an earlier one; for a directory over a
 * directory that concerns the metadata only. A link is never followed: any other entry
 * whose parent is not a directory in the same layer makes that parent a directory. A directory
 * takes its metadata from the topmost layer that has an entry for it, as long as nothing in between
 * hides it.
 *
 * A hard link refers to what its own layer has at the target when it comes, else
 * to what the layer puts there later, else to what the lower layers have there,
 * unless the layer hides it. To what the path holds in upper layers it never does.
 *
 * Other names that start with ".wh..wh." are the book-keeping of aufs in old
 * Docker images: never visible, but hard links may refer to them.
 */
struct tree;

/*
 * The content of a name; several names (hard links) may share one inode. The
 * sink that stores the data keeps its own reference in .data.
 */
struct tree_inode {
        struct entry_meta meta;
        uint32_t links; /* names that share it */
        void *data;     /* the sink's, for files; not freed by the tree */
        uint64_t sink;  /* scratch for the sink, 0 at first */
};

struct tree_node {
        char *name; /* "" for the root */
        struct tree_node *parent;
        struct tree_inode *inode;    /* NULL only while merging */
        struct tree_node **children; /* after tree_finish: sorted by byte value */
        size_t child_count;
};

struct tree *tree_new(struct error *err);
void tree_free(struct tree *tree);

static inline void cleanup_tree(struct tree **tree)
{
        if (*tree)
                tree_free(*tree);
}
#define auto_tree __attribute__((cleanup(cleanup_tree)))

/* Start the next layer down. The first call starts the top layer. */
int tree_begin_layer(struct tree *tree, struct error *err);

/*
 * The same for a layer that comes from a directory or an image, where a name like
 * ".wh.NAME" is one like any other and whiteouts are entries of their own types.
 */
int tree_begin_plain_layer(struct tree *tree, struct error *err);

/*
 * Merge one entry of the current layer. What the tree needs it moves out of
 * *entry, leaving NULL (the caller still calls entry_release).
 *
 * ret_file  the inode whose content must now be stored by the sink, when the
 *           entry is a regular file that is visible (or needed by a hard link of
 *           an upper layer); otherwise NULL, and the content can be skipped
 *
 * Returns 0, or -1 with *err: EBADMSG for what no layer may hold (a whiteout of
 * "..", a root that is a file), EFBIG and ENAMETOOLONG past the limits.
 */
int tree_add(struct tree *tree, struct entry *entry, struct tree_inode **ret_file,
             struct error *err);

/*
 * Whether hard links of the current layer refer to files of the same layer that
 * were skipped because upper layers hide their own name. If so, call
 * tree_begin_rescan and give all entries of the layer to tree_add once more; only
 * the missing files are asked for.
 */
bool tree_needs_rescan(const struct tree *tree);
int tree_begin_rescan(struct tree *tree, struct error *err);

/*
 * Complete the tree after the last layer: drop whiteouts, give undefined parent
 * directories mode 0755, root's ownership and default_mtime, sort children.
 * A visible hard link whose target no layer has is an error (ENOENT) that names
 * both; one to a directory or to itself, too (EBADMSG).
 */
int tree_finish(struct tree *tree, int64_t default_mtime, struct error *err);

/* After tree_finish. */
struct tree_node *tree_root(struct tree *tree);
uint64_t tree_inode_count(const struct tree *tree);

/* The node at a normalised path, or NULL. Links are not followed. After tree_finish. */
struct tree_node *tree_lookup(struct tree *tree, const char *path);

/*
 * Call visit for every node, parents before their children and those in order. path is
 * valid during the call. visit returns 0 to go on, or -1 with *err. After tree_finish.
 */
int tree_walk(struct tree *tree,
              int (*visit)(void *context, const char *path, struct tree_node *node,
                           struct error *err),
              void *context, struct error *err);

/* ---- directories as layers ---- */

struct owner_access;

struct scan_options {
        bool overlay;     /* the upper layer of an overlay: its whiteouts and marks count */
        bool keep_owners; /* else every owner becomes 0:0 */

        /* Whether to leave out a path, with what is below it; NULL leaves out nothing. */
        bool (*leave_out)(const char *path, const struct entry_meta *meta);
        struct owner_access *access; /* for what its owner cannot read */
};

/*
 * Merge what a directory holds into the tree, as a plain layer without file content. Other
 * file systems are not entered; attributes are kept as an import
 * keeps them, as far as the caller can read them. Returns 0, or -1 with *err naming the path.
 */
int tree_scan(struct tree *tree, int dir_fd, const struct scan_options *options,
              struct error *err);
