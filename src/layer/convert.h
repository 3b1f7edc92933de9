/* From libarchive's entries to those of tree/. Private to layer/. */
#pragma once

#include "layer/libarchive.h"
#include "tree/tree.h"

/*
 * Fill *entry from a header. Returns 1, 0 for what is left out (device nodes), or
 * -1 with *err; *entry is to be released in every case.
 */
int convert_header(const struct archive_functions *lib, struct archive_entry *header,
                   struct entry *entry, struct error *err);
