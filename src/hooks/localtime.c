/*
 * 10-localtime: the time zone of the host. Where /etc/localtime is a link, the
 * container gets the same link, and the zone's file when the image lacks it.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks/builtin.h"
#include "util/io.h"

#define LOCALTIME       "/etc/localtime"
#define ZONE_FILE_LIMIT (1u << 20)

static int plan_zone(struct hook_context *context, struct hook_plan *plan, const char *zone,
                     struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (root_view_exists(context->view, zone))
                return 0;
        if (io_read_file(AT_FDCWD, zone, ZONE_FILE_LIMIT, &text, err) < 0)
                return -1;
        if (change_list_add_file(&plan->changes, zone, NULL, 0, strbuf_text(&text), text.length) <
            0)
                return error_no_memory(err);
        return 0;
}

int hook_localtime(struct hook_context *context, struct hook_plan *plan, struct error *err)
{
        auto_free char *zone = NULL, *present = NULL;
        char target[PATH_MAX];
        ssize_t length = readlink(LOCALTIME, target, sizeof(target) - 1);
        struct change link = {
                .kind = CHANGE_LINK,
                .path = (char *)LOCALTIME,
                .text = target,
        };

        if (length < 0)
                return 0;
        target[length] = '\0';
        link.length = (size_t)length;
        zone = realpath(LOCALTIME, NULL);
        if (!zone)
                return 0; /* the host's own link leads nowhere */
        present = context->view->readlink(context->view, LOCALTIME);
        if ((!present || strcmp(present, target) != 0) &&
            change_list_add(&plan->changes, &link) < 0)
                return error_no_memory(err);
        return plan_zone(context, plan, zone, err);
}
