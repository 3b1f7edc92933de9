/*
 * The making of single files, wherever they come from.
 */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "tree/tree.h"
#include "util/report.h"

/* What all that is made together has in common. */
struct maker {
        struct report *report;
        bool keep_owners;
        atomic_bool xattrs_refused, owners_refused; /* what the user was told once */
};

/* Write all of it at an offset in the file. */
int make_write(int fd, const void *data, size_t size, uint64_t offset, struct error *err);

/*
 * The mode that a file gets: as chmod -R u+rX makes it, and u+w for directories, because
 * whoever owns the tree must be able to use and to remove it without capabilities.
 */
mode_t make_mode(enum entry_type type, uint16_t mode);

/*
 * Set the attributes of the list that may be: user.* alone, because others need privileges
 * or mean something else on this machine. A file system that takes none is a warning.
 */
int make_set_xattrs(struct maker *maker, int fd, const struct xattr_list *xattrs,
                    struct error *err);

/*
 * Give what was just made its owner, if owners are kept; before its mode, whose set-id bits
 * a change of owner clears. Without a name, fd itself is meant. Ids that the caller cannot
 * give are a warning.
 */
int make_set_owner(struct maker *maker, int fd, const char *name, uint32_t uid, uint32_t gid,
                   struct error *err);

/* Give an open file or directory its mode and time (seconds since the epoch). */
int make_set_mode(int fd, mode_t mode, struct error *err);
int make_set_time(int fd, int64_t mtime, struct error *err);

/* Make a symbolic link, FIFO or socket. meta->target is a link's text. */
int make_special(struct maker *maker, int directory, const char *name,
                 const struct entry_meta *meta, struct error *err);

/* Count what was made for the progress display; report may be NULL. */
void make_count(struct report *report, uint64_t entries, uint64_t bytes);
