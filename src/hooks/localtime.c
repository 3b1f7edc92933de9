/*
 * 10-localtime: the time zone of the host. Where /etc/localtime is a link, the
 * container gets the same link, and the zone's file when the image lacks it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hooks/builtin.h"
#include "util/io.h"
#include "util/path.h"
#include "util/root_file.h"
#include "util/temp_file.h"

#define LOCALTIME       "/etc/localtime"
#define ZONE_FILE_LIMIT (1u << 20)

/*
 * Make a link beside the final name. Returns its name, malloc'd, or NULL with errno.
 * Each start has one of its own: several may find the same container unprepared.
 */
static char *make_temporary_link(int dir_fd, const char *name, const char *target)
{
        for (int i = 0; i < TEMP_NAME_TRIES; i++) {
                auto_free char *candidate = temp_file_random_name(name);

                if (!candidate) {
                        errno = ENOMEM;
                        return NULL;
                }
                if (symlinkat(target, dir_fd, candidate) == 0)
                        return TAKE_PTR(candidate);
                if (errno != EEXIST)
                        break;
        }
        return NULL;
}

/* Make /etc/localtime of the rootfs, itself not followed, a link with that target. */
static int set_link(int root_fd, const char *target, struct error *err)
{
        char name[NAME_MAX + 1], old[PATH_MAX];
        auto_close int parent = path_open_parent(root_fd, LOCALTIME, true, name);
        auto_free char *temporary = NULL;
        ssize_t length;

        if (parent < 0)
                return error_errno(err, LOCALTIME);
        length = readlinkat(parent, name, old, sizeof(old) - 1);
        if (length >= 0) {
                old[length] = '\0';
                if (strcmp(old, target) == 0)
                        return 0;
        }
        temporary = make_temporary_link(parent, name, target);
        if (!temporary)
                return error_errno(err, LOCALTIME);
        if (renameat(parent, temporary, parent, name) < 0) {
                error_errno(err, LOCALTIME);
                (void)unlinkat(parent, temporary, 0);
                return -1;
        }
        return 0;
}

static int set_zone(int root_fd, const char *zone, struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;
        auto_close int present = path_open_in_root(root_fd, zone, O_PATH, 0);

        if (present >= 0)
                return 0;
        if (io_read_file(AT_FDCWD, zone, ZONE_FILE_LIMIT, &text, err) < 0)
                return -1;
        return root_file_replace(root_fd, zone, strbuf_text(&text), text.length, 0644, err);
}

int hook_localtime(struct hook_context *context, struct error *err)
{
        auto_free char *zone = NULL;
        char target[PATH_MAX];
        ssize_t length = readlink(LOCALTIME, target, sizeof(target) - 1);

        if (length < 0)
                return 0;
        target[length] = '\0';
        zone = realpath(LOCALTIME, NULL);
        if (!zone)
                return 0; /* the host's own link leads nowhere */
        if (set_link(context->root.fd, target, err) < 0 ||
            set_zone(context->root.fd, zone, err) < 0)
                return hook_tolerate_read_only(context, err);
        return 0;
}
