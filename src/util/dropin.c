#include "util/dropin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "util/io.h"
#include "util/path.h"

static bool has_suffix(const char *name, const char *suffix)
{
        size_t length = strlen(name), suffix_length = strlen(suffix);

        return length > suffix_length && strcmp(name + length - suffix_length, suffix) == 0;
}

static bool is_regular_file(int dir_fd, const char *name)
{
        struct stat st;

        return fstatat(dir_fd, name, &st, 0) == 0 && S_ISREG(st.st_mode);
}

int dropin_list(const char *dir, const char *suffix, struct strlist *names, struct error *err)
{
        auto_closedir DIR *stream = opendir(dir);
        struct dirent *entry;

        if (!stream)
                return errno == ENOENT || errno == ENOTDIR ? 0 : error_errno(err, "%s", dir);
        while ((errno = 0, entry = readdir(stream)))
                if (entry->d_name[0] != '.' && has_suffix(entry->d_name, suffix) &&
                    is_regular_file(dirfd(stream), entry->d_name) &&
                    strlist_append(names, entry->d_name) < 0)
                        return error_no_memory(err);
        if (errno)
                return error_errno(err, "%s", dir);
        strlist_sort(names);
        return 0;
}

int dropin_for_each(const char *dir, const char *suffix, size_t limit,
                    int (*visit)(void *context, const char *path, const char *text, size_t length,
                                 struct error *err),
                    void *context, struct error *err)
{
        auto_strlist struct strlist names = STRLIST_INIT;

        if (dropin_list(dir, suffix, &names, err) < 0)
                return -1;
        for (size_t i = 0; i < names.count; i++) {
                auto_strbuf struct strbuf text = STRBUF_INIT;
                auto_free char *path = path_join(dir, names.items[i]);

                if (!path)
                        return error_no_memory(err);
                if (io_read_file(AT_FDCWD, path, limit, &text, err) < 0 ||
                    visit(context, path, strbuf_text(&text), text.length, err) < 0)
                        return -1;
        }
        return 0;
}
