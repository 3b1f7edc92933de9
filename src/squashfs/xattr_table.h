/*
 * The extended attributes in an image: inodes refer to whole sets of them by number,
 * and equal sets are stored once.
 */
#pragma once

#include <sqfs/compressor.h>
#include <sqfs/super.h>

#include "squashfs/content_hash.h"
#include "squashfs/hash_index.h"
#include "squashfs/output.h"
#include "tree/tree.h"
#include "util/strbuf.h"

/* In an inode: it has no extended attributes. */
#define NO_XATTRS UINT32_MAX

struct xattr_set;

struct xattr_table {
        struct strbuf bytes; /* all sets as they stand in the image, one after the other */
        struct xattr_set *sets;
        uint32_t count, capacity;
        struct hash_index index;
};

#define XATTR_TABLE_INIT { .bytes = STRBUF_INIT }

void xattr_table_release(struct xattr_table *table);

/*
 * The number of a set, which is added if it is new, or NO_XATTRS. Squashfs knows the
 * name spaces user, trusted and security; others are left out. Returns 0, or -1 with *err.
 */
int xattr_table_add(struct xattr_table *table, const struct content_hash_key *key,
                    const struct xattr_list *list, uint32_t *ret, struct error *err);

/* Write the table at the end of the image and enter it in *super. 0, or -1 with *err. */
int xattr_table_write(struct xattr_table *table, struct output *output,
                      sqfs_compressor_t *compressor, sqfs_super_t *super, struct error *err);
