/*
 * 10-aptfix: APT drops privileges to the user _apt for downloads, which cannot work
 * where only one id is mapped.
 */
#include <fcntl.h>
#include <string.h>

#include "hooks/builtin.h"
#include "util/path.h"

#define APT_FILE "/etc/apt/apt.conf.d/enroot"
#define APT_TEXT "APT::Sandbox::User \"root\";\n"

int hook_aptfix(struct hook_context *context, struct error *err)
{
        auto_close int debian = -1;

        if (!context->config->remap_root)
                return 0;
        debian = path_open_in_root(context->root.fd, "/etc/debian_version", O_PATH, 0);
        if (debian < 0)
                return 0;
        if (hook_write_file(context, APT_FILE, APT_TEXT, strlen(APT_TEXT), err) < 0)
                return hook_tolerate_read_only(context, err);
        return 0;
}
