/* The option words of fstab, in both directions; private to mount/. */
#pragma once

#include "mount/mount.h"

/*
 * Whether a word can only be an option, so that a field that holds it is the
 * options and the type before it was left out.
 */
bool options_recognise(const char *word);

/*
 * Apply a comma-separated list of options to an entry. Unknown words are left in
 * entry->data. Returns 0, or -1 with *err (EINVAL).
 */
int options_parse(const char *text, struct mount_entry *entry, struct error *err);

/* Append an entry's options, "defaults" when it has none. */
void options_print(const struct mount_entry *entry, struct strbuf *text);
