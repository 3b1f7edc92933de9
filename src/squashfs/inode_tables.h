/* The inode and directory tables of an image. */
#pragma once

#include <sqfs/super.h>

#include "squashfs/id_table.h"
#include "squashfs/writer.h"
#include "squashfs/xattr_table.h"

struct inode_tables {
        struct id_table ids;       /* of all inodes */
        struct xattr_table xattrs; /* the same */
        uint64_t *references;      /* place of each inode, by its number less 1 */
        uint32_t count;
        uint32_t newest_mtime; /* seconds */
};

#define INODE_TABLES_INIT { .ids = ID_TABLE_INIT, .xattrs = XATTR_TABLE_INIT }

void inode_tables_release(struct inode_tables *tables);

/*
 * Number the inodes of the tree, write the two tables at the end of the image and enter
 * them in *super; count into writer->stats. Returns 0, or -1 with *err.
 */
int inode_tables_write(struct inode_tables *tables, struct squashfs_writer *writer,
                       struct tree *tree, sqfs_super_t *super, struct error *err);
