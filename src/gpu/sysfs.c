#include "gpu/sysfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"

char *sysfs_path(struct error *err, const char *fmt, ...)
{
        char *path;
        va_list args;
        int length;

        va_start(args, fmt);
        length = vasprintf(&path, fmt, args);
        va_end(args);
        if (length >= 0)
                return path;
        error_no_memory(err);
        return NULL;
}

int sysfs_list(const char *dir, const char *prefix, struct strlist *names, struct error *err)
{
        auto_closedir DIR *stream = opendir(dir);
        const struct dirent *entry;

        while (stream && (entry = readdir(stream)) != NULL)
                if (entry->d_name[0] != '.' &&
                    strncmp(entry->d_name, prefix, strlen(prefix)) == 0 &&
                    strlist_append(names, entry->d_name) < 0)
                        return error_no_memory(err);
        strlist_sort(names);
        return 0;
}

void sysfs_read(const char *path, struct strbuf *value)
{
        struct error ignored = ERROR_INIT;

        strbuf_reset(value);
        if (io_read_file(AT_FDCWD, path, SYSFS_FILE_LIMIT, value, &ignored) < 0)
                strbuf_reset(value);
        while (value->length > 0 && strchr(" \t\n", value->data[value->length - 1]))
                strbuf_truncate(value, value->length - 1);
}

char *sysfs_value(const char *text, const char *key)
{
        size_t length = strlen(key);

        for (;; text++) {
                if (strncmp(text, key, length) == 0 && (text[length] == '=' || text[length] == ' '))
                        return strndup(text + length + 1, strcspn(text + length + 1, "\n"));
                text = strchr(text, '\n');
                if (!text)
                        return NULL;
        }
}
