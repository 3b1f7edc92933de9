/* A line of fstab in pieces → an entry of the plan; private to mount/. */
#pragma once

#include "mount/mount.h"

/*
 * Replace \ooo (octal, not 000) in place, as getmntent(3) does; other backslashes
 * stay.
 */
void field_unescape(char *field);

/*
 * Append an entry made of one to six unescaped fields: source, target, type, options,
 * dump frequency, pass. What was left out is filled in. The fields are used up.
 *
 * from_cwd  a relative source is one of the current directory, which start leaves
 *           before it mounts; otherwise it stays relative
 *
 * Returns 0, or -1 with *err (EINVAL, E2BIG).
 */
int plan_add_fields(struct mount_plan *plan, struct strlist *fields, bool from_cwd,
                    const char *origin, struct error *err);
