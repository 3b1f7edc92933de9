#include "check/kernel_config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "codec/codec.h"
#include "util/cleanup.h"

static int read_config(const char *path, struct strbuf *text, struct error *err)
{
        auto_stream struct stream *stream = NULL;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        char chunk[16384];
        ssize_t n;

        if (fd < 0)
                return error_errno(err, "%s", path);
        stream = stream_from_fd(fd, err);
        stream = stream ? codec_open(stream, err) : NULL;
        if (!stream)
                return error_prefix(err, "%s", path);
        while ((n = stream_read_full(stream, chunk, sizeof(chunk), err)) > 0) {
                if (strbuf_append_mem(text, chunk, (size_t)n) < 0)
                        return error_no_memory(err);
                if (text->length > KERNEL_CONFIG_LIMIT)
                        return error_set(err, EFBIG, "%s: larger than %u bytes", path,
                                         KERNEL_CONFIG_LIMIT);
        }
        return n < 0 ? error_prefix(err, "%s", path) : 0;
}

void kernel_config_load(const char *root, const char *release, struct kernel_config *ret)
{
        static const struct {
                const char *before, *after; /* of the release */
                bool released;
        } paths[] = {
                { "/proc/config.gz", "", false },
                { "/boot/config-", "", true },
                { "/usr/src/linux-", "/.config", true },
                { "/usr/src/linux/.config", "", false },
                { "/lib/modules/", "/build/.config", true },
        };

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                struct error ignored = ERROR_INIT;

                (void)snprintf(ret->path, sizeof(ret->path), "%s%s%s%s", root, paths[i].before,
                               paths[i].released ? release : "", paths[i].after);
                strbuf_reset(&ret->text);
                /* A container runtime may hide one behind /dev/null. */
                if (read_config(ret->path, &ret->text, &ignored) == 0 && ret->text.length > 0)
                        return;
        }
        ret->path[0] = '\0';
        strbuf_reset(&ret->text);
}

void kernel_config_release(struct kernel_config *config)
{
        strbuf_release(&config->text);
}

enum kernel_option kernel_config_option(const struct kernel_config *config, const char *name)
{
        const char *line = strbuf_text(&config->text);
        size_t length = strlen(name);

        while (*line) {
                if (strncmp(line, name, length) == 0 && line[length] == '=') {
                        if (line[length + 1] == 'y')
                                return KERNEL_OPTION_ON;
                        if (line[length + 1] == 'm')
                                return KERNEL_OPTION_MODULE;
                }
                line += strcspn(line, "\n");
                line += *line == '\n';
        }
        return KERNEL_OPTION_OFF;
}
