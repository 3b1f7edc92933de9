#include "commands/commands.h"

#include <errno.h>
#include <sys/stat.h>

#include "commands/container.h"

int command_list(const struct command_context *context, FILE *out, struct error *err)
{
        const char *data_path = context->config->data_path;
        auto_strlist struct strlist names = STRLIST_INIT;
        auto_closedir DIR *dir = opendir(data_path);
        struct dirent *entry;

        if (!dir)
                return errno == ENOENT ? 0 : error_errno(err, "ENROOT_DATA_PATH %s", data_path);
        while ((errno = 0, entry = readdir(dir))) {
                struct stat st;

                if (entry->d_name[0] == '.' || fstatat(dirfd(dir), entry->d_name, &st, 0) < 0 ||
                    !S_ISDIR(st.st_mode))
                        continue;
                if (strlist_append(&names, entry->d_name) < 0)
                        return error_no_memory(err);
        }
        if (errno)
                return error_errno(err, "ENROOT_DATA_PATH %s", data_path);

        strlist_sort(&names);
        for (size_t i = 0; i < names.count; i++)
                fprintf(out, "%s\n", names.items[i]);
        return 0;
}
