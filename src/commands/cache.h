/* The cache as other commands see it. Private to commands/. */
#pragma once

#include "commands/commands.h"
#include "image/image.h"

/*
 * After a failure (*err) that damaged content explains: delete the layers of an image that
 * are damaged in the cache, with a warning for each, and the points of all. Returns how many
 * there were; 0 and *err as it was when there were none, or the failure was of another kind.
 */
int cache_drop_damaged(const struct command_context *context, const struct image_record *record,
                       struct error *err);

/* Keep to ENROOT_CACHE_MAX_SIZE and _MAX_AGE, if there are any. A failure is a warning. */
void cache_keep_limits(const struct command_context *context);
