/*
 * Users and groups as this machine's name service knows them (nsswitch.conf(5)).
 *
 * A program that is linked statically has another way to it (name_service_static.c): the
 * modules of a machine's name service fit the C library of that machine only.
 */
#pragma once

#include <grp.h>
#include <pwd.h>

/* NULL for a number without a name. Valid until the next call. */
const struct passwd *name_service_user(uid_t uid);
const struct group *name_service_group(gid_t gid);
