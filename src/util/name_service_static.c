/*
 * For static programs, in the place of name_service.c: the machine's files are read here,
 * and getent(1), which its modules fit, is asked for what is in a directory service.
 */
#include "util/name_service.h"

#include <stdio.h>

#include "util/cleanup.h"

/* Reading the format of passwd(5) needs no module of the name service. */
static const struct passwd *find_user(FILE *file, uid_t uid)
{
        const struct passwd *entry;

        while ((entry = fgetpwent(file)))
                if (entry->pw_uid == uid)
                        return entry;
        return NULL;
}

static const struct group *find_group(FILE *file, gid_t gid)
{
        const struct group *entry;

        while ((entry = fgetgrent(file)))
                if (entry->gr_gid == gid)
                        return entry;
        return NULL;
}

static FILE *ask(const char *database, unsigned int id)
{
        char command[64];

        (void)snprintf(command, sizeof(command), "exec getent %s %u 2>/dev/null", database, id);
        return popen(command, "re");
}

const struct passwd *name_service_user(uid_t uid)
{
        auto_fclose FILE *file = fopen("/etc/passwd", "re");
        const struct passwd *found = file ? find_user(file, uid) : NULL;
        FILE *answer = found ? NULL : ask("passwd", uid);

        if (answer) {
                found = find_user(answer, uid);
                (void)pclose(answer);
        }
        return found;
}

const struct group *name_service_group(gid_t gid)
{
        auto_fclose FILE *file = fopen("/etc/group", "re");
        const struct group *found = file ? find_group(file, gid) : NULL;
        FILE *answer = found ? NULL : ask("group", gid);

        if (answer) {
                found = find_group(answer, gid);
                (void)pclose(answer);
        }
        return found;
}
