/*
 * The part of a large blob that an earlier, interrupted run has fetched:
 * ".sha256-HEX.partial". It grows in order, so its length says all about it, and is
 * owned by whoever holds the blob's lock. Nothing but the writer of that blob looks at
 * it; it is checked with the whole blob, and removed when it is old.
 */
#pragma once

#include <stdint.h>

#include "store/store_private.h"
#include "util/temp_file.h"

/* Smaller blobs are fetched again, in bytes. */
#define PARTIAL_SIZE (1u << 20)

/* How long a part is kept after the last byte that came, in seconds. */
#define PARTIAL_AGE (7 * 24 * 3600)

#define PARTIAL_SUFFIX ".partial"

/*
 * Open the part of the blob with that file name, or begin one: *temp then is the file,
 * to be published or discarded as any other, and *ret_have its length, at most size.
 */
int partial_open(const struct store *store, const char *blob_name, uint64_t size, mode_t mode,
                 struct temp_file *temp, uint64_t *ret_have, struct error *err);

/* Close the part, of which length bytes count, and leave it for the next run. */
void partial_keep(struct temp_file *temp, uint64_t length);

/* Whether the file of a part, which nobody has locked, is to stay. */
bool partial_is_recent(const struct store *store, const char *name);
