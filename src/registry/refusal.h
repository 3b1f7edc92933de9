/* What an HTTP error status means for somebody who wanted an image. */
#pragma once

#include "registry/transfer.h"

/*
 * Fill *err from the last response: EACCES (401, 403), ENOENT (404), EBUSY (429),
 * EIO (anything else), with the registry's own words where it says any. Always
 * returns -1.
 */
int refusal_explain(struct registry *registry, const struct transfer *transfer, struct error *err);
