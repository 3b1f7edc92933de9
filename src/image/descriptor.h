/* Descriptors of OCI documents (image-spec, descriptor.md); private to image/. */
#pragma once

#include "image/image.h"
#include "util/json.h"

/*
 * Read {"mediaType", "digest", "size"}; anything else in it, "urls" above all, is
 * ignored: content comes from the repository of the reference only (CVE-2020-15157).
 *
 * limit  the largest size accepted, in bytes
 */
int descriptor_parse(const struct json_node *node, uint64_t limit, struct image_descriptor *ret,
                     struct error *err);

/*
 * Read the array of descriptors that an object must have as that member. *ret and
 * *ret_count, zero before, own what was read, also after a failure.
 */
int descriptors_parse(const struct json_node *root, const char *key,
                      struct image_descriptor **ret, size_t *ret_count, struct error *err);

/* Whether a media type is that of an index or of a manifest; parameters (";charset=…") ignored. */
bool media_type_is_index(const char *media_type);
bool media_type_is_manifest(const char *media_type);
