#include "commands/commands.h"

#include <errno.h>
#include <string.h>

#include "commands/place.h"
#include "commands/start.h"
#include "util/path.h"

/* ---- what the target is ---- */

/* What the target turned out to be. Owns what start borrows. */
struct choice {
        struct runtime_start start;
        char *rootfs;
        struct place place; /* of a container */
};

static void choice_release(struct choice *choice)
{
        free(choice->rootfs);
        place_release(&choice->place);
}

static int choose_image(const char *path, struct choice *choice, struct error *err)
{
        choice->start.image = true;
        choice->rootfs = realpath(path, NULL);
        return choice->rootfs ? 0 : error_errno(err, "%s", path);
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

/* ---- the start ---- */

static int print_plan(const struct command_context *context, const struct runtime_start *start,
                      FILE *out, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        int result = runtime_print_plan(start, context->config, context->report, &text, err);

        (void)fputs(strbuf_text(&text), out);
        return result;
}

/* Where the changes to an image go; what *overlay borrows goes into *ret_dir. */
static int parse_overlay(const struct command_context *context, const char *option,
                         struct runtime_overlay *overlay, char **ret_dir, struct error *err)
{
        if (runtime_overlay_parse(option ? option : context->config->overlay, overlay, err) < 0)
                return error_prefix(err, "%s", option ? "--overlay" : "ENROOT_OVERLAY");
        if (!overlay->dir)
                return 0;
        overlay->dir = *ret_dir = path_absolute(overlay->dir, err);
        return overlay->dir ? 0 : -1;
}

int start_rootfs(const struct command_context *context, const struct start_arguments *arguments,
                 struct runtime_start *start, int *ret_status, struct error *err)
{
        auto_free char *overlay_dir = NULL, *conf = NULL;

        if (start->image && !start->overlay.dir &&
            parse_overlay(context, arguments->overlay, &start->overlay, &overlay_dir, err) < 0)
                return -1;
        if (arguments->conf) {
                conf = realpath(arguments->conf, NULL);
                if (!conf)
                        return error_errno(err, "start configuration %s", arguments->conf);
        }
        start->conf = conf;
        start->rc = arguments->rc;
        start->mounts = arguments->mounts;
        start->env = arguments->env;
        start->devices = arguments->devices;
        start->command = arguments->command;
        start->hold = arguments->hold;
        start->hold_context = arguments->hold_context;
        if (arguments->dry_run)
                return print_plan(context, start, arguments->dry_run, err);
        return runtime_start(start, context->config, context->report, ret_status, err);
}

int command_start(const struct command_context *context, const struct start_arguments *arguments,
                  int *ret_status, struct error *err)
{
        auto_cleanup(choice_release) struct choice choice = { .place = PLACE_INIT };
        int image = place_is_image(arguments->target, err);

        if (image < 0 || (image ? choose_image(arguments->target, &choice, err)
                                : choose_container(context, arguments, &choice, err)) < 0)
                return -1;
        choice.start.rootfs = choice.rootfs;
        return start_rootfs(context, arguments, &choice.start, ret_status, err);
}
