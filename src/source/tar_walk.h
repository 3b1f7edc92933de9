/*
 * Where the members of a tar archive lie, without reading them: for archives that
 * hold layers, which are wanted in another order than they have in the archive.
 *
 * A step decoder without I/O. It says which piece of the archive it wants next
 * (.position, .wanted bytes), and is given it:
 *
 *      struct tar_walk walk = TAR_WALK_INIT;
 *      do { read walk.wanted bytes at walk.position } while (tar_walk_step(…) …);
 *
 * Understands what Docker, Podman, Skopeo, umoci and GNU tar write: ustar, pax (path,
 * linkpath, size) and GNU long names, octal and base-256 numbers. Reading the content of a
 * layer is layer/.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"
#include "util/strbuf.h"

#define TAR_BLOCK_SIZE 512u

/* The largest pax header or long name, in bytes: the most that tar_walk_step wants at once. */
#define TAR_WALK_RECORD_LIMIT (64u << 10)

enum tar_member_type {
        TAR_MEMBER_FILE,
        TAR_MEMBER_HARD_LINK,
        TAR_MEMBER_SYMLINK,
        TAR_MEMBER_OTHER, /* directories, devices; sparse files, which no image tool writes */
};

/* Names are untrusted and not normalised. Valid until the next step. */
struct tar_member {
        enum tar_member_type type;
        const char *name;
        const char *target;    /* of links */
        uint64_t offset, size; /* of the content in the archive, bytes */
};

enum tar_record {
        TAR_RECORD_NONE,
        TAR_RECORD_PAX,
        TAR_RECORD_NAME,
        TAR_RECORD_TARGET,
        TAR_RECORD_IGNORED,
};

struct tar_walk {
        uint64_t position; /* of the piece that is wanted */
        size_t wanted;     /* its size in bytes */

        enum tar_record record; /* what that piece is, unless a header */
        uint64_t record_size;
        struct strbuf name, target; /* of the next member, from records; or of the last header */
        bool has_name, has_target, has_size, has_map;
        uint64_t size;
};

#define TAR_WALK_INIT                                                                              \
        {                                                                                          \
                .wanted = TAR_BLOCK_SIZE                                                           \
        }

void tar_walk_release(struct tar_walk *walk);
#define auto_tar_walk auto_cleanup(tar_walk_release)

/*
 * Take the piece that is wanted. Returns 1 with a member, 2 when more is wanted
 * first, 0 at the end of the archive; -1 with *err: EBADMSG for what is not, or no
 * longer, a tar archive, EFBIG past the limit.
 */
int tar_walk_step(struct tar_walk *walk, const void *piece, struct tar_member *ret,
                  struct error *err);
