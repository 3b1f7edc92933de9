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

/* What the target turned out to be. Owns what start borrows. */
struct choice {
        struct runtime_start start;
        char *rootfs, *overlay_dir, *conf;
};

static void choice_release(struct choice *choice)
{
        free(choice->rootfs);
        free(choice->overlay_dir);
        free(choice->conf);
}

/* An image file, and where its changes go. */
static int choose_image(const struct command_context *context,
                        const struct start_arguments *arguments, struct choice *choice,
                        struct error *err)
{
        const char *word = arguments->overlay ? arguments->overlay : context->config->overlay;
        struct runtime_overlay *overlay = &choice->start.overlay;

        choice->start.image = true;
        choice->rootfs = realpath(arguments->target, NULL);
        if (!choice->rootfs)
                return error_errno(err, "%s", arguments->target);
        if (runtime_overlay_parse(word, overlay, err) < 0)
                return error_prefix(err, "%s", arguments->overlay ? "--overlay" : "ENROOT_OVERLAY");
        if (overlay->dir) {
                choice->overlay_dir = path_absolute(overlay->dir, err);
                overlay->dir = choice->overlay_dir;
                if (!overlay->dir)
                        return -1;
        }
        return 0;
}

static int choose_container(const struct command_context *context,
                            const struct start_arguments *arguments, struct choice *choice,
                            struct error *err)
{
        const char *name = arguments->target, *data_path = context->config->data_path;
        struct stat st;

        if (container_check_name(name, err) < 0)
                return -1;
        choice->rootfs = path_join(data_path, name);
        if (!choice->rootfs)
                return error_no_memory(err);
        if (stat(choice->rootfs, &st) < 0 || !S_ISDIR(st.st_mode))
                return error_set(err, ENOENT,
                                 "no such container or image file: %s (\"enroot list\" shows the "
                                 "containers in %s)",
                                 name, data_path);
        if (arguments->overlay)
                return error_set(err, EINVAL,
                                 "--overlay %s: only an image file has an overlay; the container "
                                 "%s is changed itself",
                                 arguments->overlay, name);
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
        auto_cleanup(choice_release) struct choice choice = {
                .start = {
                        .rc = arguments->rc,
                        .mounts = arguments->mounts,
                        .env = arguments->env,
                        .command = arguments->command,
                },
        };
        int image = is_image(arguments->target, err);

        if (image < 0 || (image ? choose_image(context, arguments, &choice, err)
                                : choose_container(context, arguments, &choice, err)) < 0)
                return -1;
        choice.start.rootfs = choice.rootfs;
        if (arguments->conf) {
                choice.start.conf = choice.conf = realpath(arguments->conf, NULL);
                if (!choice.conf)
                        return error_errno(err, "start configuration %s", arguments->conf);
        }
        if (arguments->dry_run)
                return print_plan(context, &choice.start, arguments->dry_run, err);
        return runtime_start(&choice.start, context->config, context->report, ret_status, err);
}
