/*
 * The runtime directory: a file system in memory that only this start sees, for the
 * layers of an image start and for what hook programs read and write. It goes with the
 * old root, and so is invisible in the container.
 */
#include "runtime/container.h"
#include "util/path.h"

int runtime_directory_make(const struct config *config, struct error *err)
{
        if (path_make_private_dirs(config->runtime_path, 0700, err) < 0)
                return error_append(err, "; set ENROOT_RUNTIME_PATH to a directory of yours");
        return 0;
}

int runtime_directory_mount(const struct config *config, struct error *err)
{
        return mount_at("tmpfs", config->runtime_path, "tmpfs", 0, "mode=700", err);
}
