#include "util/name_service.h"

const struct passwd *name_service_user(uid_t uid)
{
        return getpwuid(uid);
}

const struct group *name_service_group(gid_t gid)
{
        return getgrgid(gid);
}
