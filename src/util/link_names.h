/*
 * Hard links of a tree that is being listed: for each inode with several names, the first
 * that was met.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct link_name {
        uint64_t inode;
        char *path; /* NULL: the slot is empty */
};

/* Open addressing. The multiplier is random: inode numbers may come from a hostile image. */
struct link_names {
        struct link_name *slots;
        size_t count;
        unsigned int bits; /* 2 to this power slots, or 0 for none */
        uint64_t multiplier;
};

#define LINK_NAMES_INIT                                                                            \
        {                                                                                          \
                .slots = NULL                                                                      \
        }

/*
 * Note a name of an inode. *ret_first is the first one, valid until the release, or NULL
 * when path is that. Returns 0, or -1 without memory.
 */
int link_names_note(struct link_names *names, uint64_t inode, const char *path,
                    const char **ret_first, struct error *err);
void link_names_release(struct link_names *names);
