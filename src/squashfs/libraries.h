/*
 * Libraries that are loaded when an image is opened, written or served (util/dynlib.h).
 * A start of a container needs none of them, and reading an image that is compressed
 * with zstd only libzstd: libsquashfs brings those of all its compressors along.
 * Private to squashfs/. Static programs have them linked: libraries_static.c.
 */
#pragma once

#define FUSE_USE_VERSION 35

#include <fuse_lowlevel.h>
#ifdef HAVE_LZO
#include <lzo/lzo1x.h>
#endif
#include <sqfs/compressor.h>
#include <sqfs/dir_writer.h>
#include <sqfs/meta_writer.h>
#include <sqfs/super.h>
#include <sqfs/table.h>
#include <zstd.h>

#include "util/dynlib.h"

/* X(member, symbol) for every function that is used. */
#define LIBFUSE_FUNCTIONS(X)                                                                       \
        X(add_direntry, fuse_add_direntry)                                                         \
        X(add_direntry_plus, fuse_add_direntry_plus)                                               \
        X(reply_attr, fuse_reply_attr)                                                             \
        X(reply_buf, fuse_reply_buf)                                                               \
        X(reply_data, fuse_reply_data)                                                             \
        X(reply_entry, fuse_reply_entry)                                                           \
        X(reply_err, fuse_reply_err)                                                               \
        X(reply_iov, fuse_reply_iov)                                                               \
        X(reply_readlink, fuse_reply_readlink)                                                     \
        X(reply_statfs, fuse_reply_statfs)                                                         \
        X(reply_xattr, fuse_reply_xattr)                                                           \
        X(req_userdata, fuse_req_userdata)                                                         \
        X(session_destroy, fuse_session_destroy)                                                   \
        X(session_exited, fuse_session_exited)                                                     \
        X(session_mount, fuse_session_mount)                                                       \
        X(session_new, fuse_session_new)                                                           \
        X(session_process_buf, fuse_session_process_buf)                                           \
        X(session_receive_buf, fuse_session_receive_buf)                                           \
        X(set_log_func, fuse_set_log_func)

#define LIBSQUASHFS_FUNCTIONS(X)                                                                   \
        X(compressor_config_init, sqfs_compressor_config_init)                                     \
        X(compressor_create, sqfs_compressor_create)                                               \
        X(dir_writer_add_entry, sqfs_dir_writer_add_entry)                                         \
        X(dir_writer_begin, sqfs_dir_writer_begin)                                                 \
        X(dir_writer_create, sqfs_dir_writer_create)                                               \
        X(dir_writer_create_inode, sqfs_dir_writer_create_inode)                                   \
        X(dir_writer_end, sqfs_dir_writer_end)                                                     \
        X(dir_writer_get_dir_reference, sqfs_dir_writer_get_dir_reference)                         \
        X(dir_writer_get_size, sqfs_dir_writer_get_size)                                           \
        X(meta_write_write_to_file, sqfs_meta_write_write_to_file)                                 \
        X(meta_writer_append, sqfs_meta_writer_append)                                             \
        X(meta_writer_create, sqfs_meta_writer_create)                                             \
        X(meta_writer_flush, sqfs_meta_writer_flush)                                               \
        X(meta_writer_get_position, sqfs_meta_writer_get_position)                                 \
        X(meta_writer_write_inode, sqfs_meta_writer_write_inode)                                   \
        X(super_init, sqfs_super_init)                                                             \
        X(super_write, sqfs_super_write)                                                           \
        X(write_table, sqfs_write_table)

#define LIBZSTD_FUNCTIONS(X)                                                                       \
        X(create_dctx, ZSTD_createDCtx)                                                            \
        X(free_dctx, ZSTD_freeDCtx)                                                                \
        X(decompress, ZSTD_decompressDCtx)                                                         \
        X(is_error, ZSTD_isError)

#define LIBLZO_FUNCTIONS(X)                                                                        \
        X(decompress_safe, lzo1x_decompress_safe)                                                  \
        X(compress_1, lzo1x_1_compress)                                                            \
        X(compress_999, lzo1x_999_compress_level)

struct libfuse {
        LIBFUSE_FUNCTIONS(DYNLIB_MEMBER)
};

struct libsquashfs {
        LIBSQUASHFS_FUNCTIONS(DYNLIB_MEMBER)
};

struct libzstd {
        LIBZSTD_FUNCTIONS(DYNLIB_MEMBER)
};

extern struct libfuse libfuse;
extern struct libsquashfs libsquashfs;
extern struct libzstd libzstd;

#ifdef HAVE_LZO
struct liblzo {
        LIBLZO_FUNCTIONS(DYNLIB_MEMBER)
};

extern struct liblzo liblzo;
#endif

/* Fill a table; to be called before it is used. Return 0, or -1 with *err. */
int libfuse_need(struct error *err);
int libsquashfs_need(struct error *err);
int libzstd_need(struct error *err);
int liblzo_need(struct error *err);
