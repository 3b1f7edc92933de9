/*
 * libarchive as a table of function pointers, loaded on first use (util/dynlib.h).
 * Private to layer/.
 */
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "util/error.h"

/* X(member, symbol) for every function that is used. */
#define ARCHIVE_FUNCTIONS(X)                                                                       \
        X(read_new, archive_read_new)                                                              \
        X(read_free, archive_read_free)                                                            \
        X(read_support_format_tar, archive_read_support_format_tar)                                \
        X(read_support_format_empty, archive_read_support_format_empty)                            \
        X(read_open, archive_read_open)                                                            \
        X(read_next_header2, archive_read_next_header2)                                            \
        X(read_data_block, archive_read_data_block)                                                \
        X(read_data_skip, archive_read_data_skip)                                                  \
        X(read_set_format_option, archive_read_set_format_option)                                  \
        X(set_error, archive_set_error)                                                            \
        X(error_number, archive_errno)                                                             \
        X(error_string, archive_error_string)                                                      \
        X(format, archive_format)                                                                  \
        X(entry_new, archive_entry_new)                                                            \
        X(entry_free, archive_entry_free)                                                          \
        X(entry_pathname, archive_entry_pathname)                                                  \
        X(entry_hardlink, archive_entry_hardlink)                                                  \
        X(entry_symlink, archive_entry_symlink)                                                    \
        X(entry_filetype, archive_entry_filetype)                                                  \
        X(entry_perm, archive_entry_perm)                                                          \
        X(entry_uid, archive_entry_uid)                                                            \
        X(entry_gid, archive_entry_gid)                                                            \
        X(entry_mtime, archive_entry_mtime)                                                        \
        X(entry_size, archive_entry_size)                                                          \
        X(entry_xattr_reset, archive_entry_xattr_reset)                                            \
        X(entry_xattr_next, archive_entry_xattr_next)                                              \
        X(write_new, archive_write_new)                                                            \
        X(write_free, archive_write_free)                                                          \
        X(write_set_format, archive_write_set_format_pax_restricted)                               \
        X(write_set_format_option, archive_write_set_format_option)                                \
        X(write_set_last_block, archive_write_set_bytes_in_last_block)                             \
        X(write_open, archive_write_open)                                                          \
        X(write_header, archive_write_header)                                                      \
        X(write_data, archive_write_data)                                                          \
        X(write_close, archive_write_close)                                                        \
        X(entry_clear, archive_entry_clear)                                                        \
        X(entry_set_pathname, archive_entry_set_pathname)                                          \
        X(entry_set_hardlink, archive_entry_set_hardlink)                                          \
        X(entry_set_symlink, archive_entry_set_symlink)                                            \
        X(entry_set_filetype, archive_entry_set_filetype)                                          \
        X(entry_set_perm, archive_entry_set_perm)                                                  \
        X(entry_set_uid, archive_entry_set_uid)                                                    \
        X(entry_set_gid, archive_entry_set_gid)                                                    \
        X(entry_set_mtime, archive_entry_set_mtime)                                                \
        X(entry_set_size, archive_entry_set_size)                                                  \
        X(entry_add_xattr, archive_entry_xattr_add_entry)                                          \
        X(entry_add_sparse, archive_entry_sparse_add_entry)

#define ARCHIVE_MEMBER(member, symbol) __typeof__(symbol) *member;
struct archive_functions {
        ARCHIVE_FUNCTIONS(ARCHIVE_MEMBER)
};
#undef ARCHIVE_MEMBER

/* The table, or NULL with *err. */
const struct archive_functions *archive_functions(struct error *err);
