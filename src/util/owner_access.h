/*
 * Reading a tree whose owner took some of his own permissions away, as faithful modes
 * and programs in a container do: what cannot be read is given the permission for as long
 * as it takes.
 *
 * A file has it for the moment of its opening. A directory keeps it until
 * owner_access_release, because without it nothing below can be reached; a process that
 * is killed before leaves it with the owner's permissions added. Links are not followed,
 * and what belongs to somebody else stays as it is.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct owner_access {
        int root_fd; /* borrowed; paths are below it */
        struct {
                char *path;
                mode_t mode; /* to be given back */
        } * changed;
        size_t count, capacity;
};

#define OWNER_ACCESS_INIT(root)                                                                    \
        {                                                                                          \
                .root_fd = (root), .changed = NULL                                                 \
        }

/* Open a file or directory below the root for reading. A descriptor, or -1 with errno. */
int owner_access_open_file(struct owner_access *access, const char *path);
int owner_access_open_dir(struct owner_access *access, const char *path);

/* Give directories the permissions back that they had. */
void owner_access_release(struct owner_access *access);
