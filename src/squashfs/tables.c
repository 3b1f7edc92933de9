/*
 * What stands behind the data in an image, in this order: inodes, directories,
 * fragments, export table, owners, extended attributes; and the super block in front.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sqfs/block.h>
#include <sqfs/frag_table.h>
#include <sqfs/table.h>

#include "squashfs/inode_tables.h"
#include "squashfs/libraries.h"
#include "squashfs/writer.h"

/* Images are a multiple of this long, so that they can be attached to loop devices. */
#define IMAGE_ALIGNMENT 4096

/* A table of a super block that is not there. */
#define NO_TABLE UINT64_MAX

/* libsquashfs calls this bit NO_DUPLICATES; set, it says that duplicates were removed. */
#define FLAG_DUPLICATES_REMOVED SQFS_FLAG_NO_DUPLICATES

static void cleanup_inode_tables(struct inode_tables *tables)
{
        inode_tables_release(tables);
}

static int init_super(const struct squashfs_writer *writer, sqfs_super_t *super, struct error *err)
{
        const struct squashfs_options *options = &writer->options;
        const struct {
                bool set;
                uint16_t flag;
        } flags[] = {
                { options->plain_inodes, SQFS_FLAG_UNCOMPRESSED_INODES },
                { options->plain_data, SQFS_FLAG_UNCOMPRESSED_DATA },
                { options->plain_fragments, SQFS_FLAG_UNCOMPRESSED_FRAGMENTS },
                { options->plain_xattrs, SQFS_FLAG_UNCOMPRESSED_XATTRS },
                { options->plain_ids, SQFS_FLAG_UNCOMPRESSED_IDS },
                { !options->no_duplicates, FLAG_DUPLICATES_REMOVED },
                { writer->has_compressor_options, SQFS_FLAG_COMPRESSOR_OPTIONS },
                { true, SQFS_FLAG_EXPORTABLE },
        };

        int status = libsquashfs.super_init(super, options->block_size, 0,
                                     (SQFS_COMPRESSOR)options->compressor);

        if (status != 0)
                return output_check(&writer->output, status, "super block", err);
        super->flags = 0;
        for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
                if (flags[i].set)
                        super->flags |= flags[i].flag;
        return 0;
}

static int write_table(struct squashfs_writer *writer, bool plain, const void *data, size_t size,
                       const char *what, sqfs_u64 *ret_start, struct error *err)
{
        int status = libsquashfs.write_table(&writer->output.base,
                                             plain ? writer->plain : writer->compressor, data, size,
                                             ret_start);

        return output_check(&writer->output, status, what, err);
}

static int write_fragment_table(struct squashfs_writer *writer, sqfs_super_t *super,
                                struct error *err)
{
        uint32_t count;
        const struct block_place *places = block_pipeline_fragments(writer->pipeline, &count);
        auto_free sqfs_fragment_t *fragments = NULL;

        super->fragment_entry_count = count;
        super->fragment_table_start = NO_TABLE;
        if (count == 0)
                return 0;
        fragments = calloc(count, sizeof(*fragments));
        if (!fragments)
                return error_no_memory(err);
        for (uint32_t i = 0; i < count; i++) {
                fragments[i].start_offset = htole64(places[i].start);
                fragments[i].size = htole32(places[i].size);
        }
        return write_table(writer, writer->options.plain_fragments, fragments,
                           count * sizeof(*fragments), "fragment table",
                           &super->fragment_table_start, err);
}

/* In place: the references are not needed afterwards. */
static int write_export_table(struct squashfs_writer *writer, struct inode_tables *tables,
                              sqfs_super_t *super, struct error *err)
{
        for (uint32_t i = 0; i < tables->count; i++)
                tables->references[i] = htole64(tables->references[i]);
        return write_table(writer, writer->options.plain_inodes, tables->references,
                           tables->count * sizeof(*tables->references), "export table",
                           &super->export_table_start, err);
}

static int write_id_table(struct squashfs_writer *writer, struct inode_tables *tables,
                          sqfs_super_t *super, struct error *err)
{
        struct id_table *ids = &tables->ids;

        super->id_count = (sqfs_u16)ids->count;
        for (size_t i = 0; i < ids->count; i++)
                ids->ids[i] = htole32(ids->ids[i]);
        /* As in mksquashfs, -noI is for the owners, too. */
        return write_table(writer, writer->options.plain_ids || writer->options.plain_inodes,
                           ids->ids, ids->count * sizeof(*ids->ids), "owner table",
                           &super->id_table_start, err);
}

/*
 * When nothing else is asked for, the image is as old as its newest file: the current
 * time would give other bytes on every run.
 */
static uint32_t super_time(const struct squashfs_options *options, uint32_t newest_mtime)
{
        if (!options->has_mkfs_time || options->mkfs_time < 0)
                return newest_mtime;
        return options->mkfs_time > UINT32_MAX ? UINT32_MAX : (uint32_t)options->mkfs_time;
}

/*
 * Duplicates that were taken back may have left something behind the end, which must
 * not show up in the padding.
 */
static int write_padding(struct output *output, struct error *err)
{
        uint64_t size = output->size;
        uint64_t padded = (size + IMAGE_ALIGNMENT - 1) / IMAGE_ALIGNMENT * IMAGE_ALIGNMENT;
        int status = output->base.truncate(&output->base, size);

        if (status == 0)
                status = output->base.truncate(&output->base, padded);
        return output_check(output, status, "padding", err);
}

int writer_write_tables(struct squashfs_writer *writer, struct tree *tree, struct error *err)
{
        auto_cleanup(cleanup_inode_tables) struct inode_tables tables = INODE_TABLES_INIT;
        struct output *output = &writer->output;
        sqfs_compressor_t *xattr_compressor =
                writer->options.plain_xattrs ? writer->plain : writer->compressor;
        sqfs_super_t super;

        if (init_super(writer, &super, err) < 0 ||
            inode_tables_write(&tables, writer, tree, &super, err) < 0 ||
            write_fragment_table(writer, &super, err) < 0 ||
            write_export_table(writer, &tables, &super, err) < 0 ||
            write_id_table(writer, &tables, &super, err) < 0 ||
            xattr_table_write(&tables.xattrs, output, xattr_compressor, &super, err) < 0)
                return -1;

        super.modification_time = super_time(&writer->options, tables.newest_mtime);
        super.bytes_used = output->size;
        if (write_padding(output, err) < 0)
                return -1;
        writer->stats.image_bytes = output->size;

        /* Last: nothing without it passes for an image. */
        return output_check(output, libsquashfs.super_write(&super, &output->base), "super block",
                            err);
}
