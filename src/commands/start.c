#include "commands/commands.h"

#include <errno.h>
#include <string.h>

#include "commands/place.h"
#include "runtime/runtime.h"
#include "util/path.h"

/* What the target turned out to be. Owns what start borrows. */
struct choice {
        struct runtime_start start;
        char *rootfs, *overlay_dir, *conf;
        struct place place; /* of a container */
};

static void choice_release(struct choice *choice)
{
        free(choice->rootfs);
        free(choice->overlay_dir);
        free(choice->conf);
        place_release(&choice->place);
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

/* A lazy container is a start of its image whose changes are kept. */
static int choose_lazy(struct choice *choice, struct error *err)
{
        struct place *place = &choice->place;
        auto_close int image_fd = place_open_image(place, err);

        if (image_fd < 0)
                return -1;
        choice->start.image = true;
        choice->start.shown_as = place->path;
        choice->start.overlay.dir = place->layers;
        choice->rootfs = TAKE_PTR(place->image);
        return 0;
}

static int choose_container(const struct command_context *context,
                            const struct start_arguments *arguments, struct choice *choice,
                            struct error *err)
{
        const char *name = arguments->target;
        struct place *place = &choice->place;

        if (place_find(place, context->config, name, err) < 0)
                return err->code != ENOENT || place->lazy
                               ? -1
                               : error_set(err, ENOENT,
                                           "no such container or image file: %s (\"enroot list\" "
                                           "shows the containers in %s)",
                                           name, context->config->data_path);
        if (arguments->overlay)
                return error_set(err, EINVAL,
                                 "--overlay %s: only an image file has an overlay; the container "
                                 "%s is changed itself",
                                 arguments->overlay, name);
        if (place->lazy)
                return choose_lazy(choice, err);
        choice->rootfs = strdup(place->path);
        return choice->rootfs ? 0 : error_no_memory(err);
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
                        .devices = arguments->devices,
                        .command = arguments->command,
                },
                .place = PLACE_INIT,
        };
        int image = place_is_image(arguments->target, err);

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
