#include "commands/container.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "util/path.h"

int container_check_name(const char *name, struct error *err)
{
        if (*name == '\0')
                return error_set(err, EINVAL, "the name of the container is empty");
        if (strchr(name, '/'))
                return error_set(err, EINVAL,
                                 "invalid container name: %s (a name cannot contain \"/\")", name);
        /* Names with a dot in front are those of unfinished containers, which list leaves out. */
        if (*name == '.')
                return error_set(err, EINVAL,
                                 "invalid container name: %s (a name cannot start with \".\")",
                                 name);
        if (strlen(name) > NAME_MAX)
                return error_set(err, ENAMETOOLONG, "invalid container name: %s (too long)", name);
        return 0;
}

int container_open_data_path(const char *data_path, struct error *err)
{
        int fd;

        if (path_make_private_dirs(data_path, 0700, err) < 0)
                return error_append(err, "; set ENROOT_DATA_PATH to a directory of yours");
        fd = open(data_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, "ENROOT_DATA_PATH %s", data_path);
        return fd;
}
