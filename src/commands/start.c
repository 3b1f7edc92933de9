#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "commands/container.h"
#include "runtime/runtime.h"
#include "squashfs/squashfs.h"
#include "util/path.h"

/* Whether the target is an image file: 1, 0, or -1 with *err for a file that is something else. */
static int is_image(const char *target, struct error *err)
{
        auto_close int fd = -1;
        struct stat st;
        int image;

        if (stat(target, &st) < 0)
                return strchr(target, '/') ? error_errno(err, "image file %s", target) : 0;
        if (!S_ISREG(st.st_mode))
                return 0;
        fd = open(target, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(err, "%s", target);
        image = squashfs_probe(fd, err);
        if (image < 0)
                return error_prefix(err, "%s", target);
        /* A file that happens to have a container's name does not hide the container. */
        if (!image && strchr(target, '/'))
                return error_set(err, EINVAL, "%s is not a squashfs image", target);
        return image;
}

static int choose_overlay(const struct command_context *context,
                          const struct start_arguments *arguments, struct runtime_overlay *ret,
                          struct error *err)
{
        const char *word = arguments->overlay ? arguments->overlay : context->config->overlay;

        if (runtime_overlay_parse(word, ret, err) < 0)
                return error_prefix(err, "%s", arguments->overlay ? "--overlay" : "ENROOT_OVERLAY");
        return 0;
}

static int print_plan(const struct command_context *context, const struct runtime_start *start,
                      FILE *out, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        int result = runtime_print_plan(start, context->config, context->report, &text, err);

        (void)fputs(strbuf_text(&text), out);
        return result;
}

int command_start(const struct command_context *context, const struct start_arguments *arguments,
                  int *ret_status, struct error *err)
{
        const char *target = arguments->target, *data_path = context->config->data_path;
        struct runtime_start start = {
                .rc = arguments->rc,
                .mounts = arguments->mounts,
                .env = arguments->env,
                .command = arguments->command,
        };
        auto_free char *rootfs = NULL, *overlay_dir = NULL;
        struct stat st;
        int image = is_image(target, err);

        if (image < 0)
                return -1;
        if (image) {
                rootfs = realpath(target, NULL);
                if (!rootfs)
                        return error_errno(err, "%s", target);
                start.image = true;
                if (choose_overlay(context, arguments, &start.overlay, err) < 0)
                        return -1;
                if (start.overlay.dir) {
                        overlay_dir = path_absolute(start.overlay.dir, err);
                        if (!overlay_dir)
                                return -1;
                        start.overlay.dir = overlay_dir;
                }
        } else if (arguments->overlay) {
                return error_set(err, EINVAL,
                                 "--overlay %s: only an image file has an overlay; the container "
                                 "%s is changed itself",
                                 arguments->overlay, target);
        } else {
                if (container_check_name(target, err) < 0)
                        return -1;
                rootfs = path_join(data_path, target);
                if (!rootfs)
                        return error_no_memory(err);
                if (stat(rootfs, &st) < 0 || !S_ISDIR(st.st_mode))
                        return error_set(err, ENOENT,
                                         "no such container or image file: %s (\"enroot list\" "
                                         "shows the containers in %s)",
                                         target, data_path);
        }
        start.rootfs = rootfs;
        if (arguments->dry_run)
                return print_plan(context, &start, arguments->dry_run, err);
        return runtime_start(&start, context->config, context->report, ret_status, err);
}
