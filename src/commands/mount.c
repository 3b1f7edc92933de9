/* What enroot-mount does: the fstab lines of one pass, below any directory. */
#include "commands/commands.h"

#include <fcntl.h>
#include <string.h>

#include "mount/mount.h"
#include "runtime/runtime.h"
#include "util/io.h"

static int read_fstab(const char *file, struct strbuf *text, struct error *err)
{
        if (strcmp(file, "-") == 0)
                return io_read_fd(STDIN_FILENO, "standard input", MOUNT_FILE_LIMIT, text, err);
        return io_read_file(AT_FDCWD, file, MOUNT_FILE_LIMIT, text, err);
}

int command_mount(const char *root, int pass, char *const *files, struct report *report,
                  struct error *err)
{
        auto_free char *path = realpath(root, NULL);
        auto_close int fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
        struct mount_root mount_root = {
                .fd = fd,
                .path = path,
                .mount_image = runtime_mount_image,
        };

        if (fd < 0)
                return error_errno(err, "--root %s", root);
        if (strcmp(path, "/") == 0) /* all sources are below it, and none belongs to an image */
                mount_root.path = NULL;
        for (; *files; files++) {
                auto_mount_plan struct mount_plan plan = MOUNT_PLAN_INIT;
                auto_strbuf struct strbuf text = STRBUF_INIT;

                if (read_fstab(*files, &text, err) < 0 ||
                    mount_plan_add_fstab(&plan, strbuf_text(&text), text.length, *files, NULL,
                                         err) < 0 ||
                    mount_plan_apply(&plan, &mount_root, pass, pass, report, err) < 0)
                        return -1;
        }
        return 0;
}
