/* The name of the image file that an import makes by default. */
#include <errno.h>
#include <string.h>

#include "source/stored.h"

/* Suffixes that say how a file is packed, outermost first. */
static const char *const suffixes[] = {
        ".gz", ".zst", ".xz", ".bz2", ".lz4", ".tgz", ".tzst", ".txz", ".tbz2", ".tar",
};

static void no_name(const char *uri, struct error *err)
{
        error_set(err, EINVAL, "%s tells no name; give one with --output (load: --name)", uri);
}

/* The last component of a path, in *ret_length bytes; NULL when that is no name. */
static const char *last_component(const char *path, size_t *ret_length)
{
        size_t end = strlen(path), start;

        while (end > 0 && path[end - 1] == '/')
                end--;
        start = end;
        while (start > 0 && path[start - 1] != '/')
                start--;
        *ret_length = end - start;
        if (end == start || strcmp(path + start, ".") == 0 || strcmp(path + start, "..") == 0 ||
            strcmp(path, "-") == 0)
                return NULL;
        return path + start;
}

static size_t without_suffixes(const char *name, size_t length)
{
        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
                size_t size = strlen(suffixes[i]);

                if (length > size && memcmp(name + length - size, suffixes[i], size) == 0)
                        length -= size;
        }
        return length;
}

char *source_name_by_file(const char *scheme, const char *uri, struct error *err)
{
        auto_location struct location location = { .scheme = NULL };
        auto_strbuf struct strbuf result = STRBUF_INIT;
        const char *name;
        char *text;
        size_t length;

        if (location_parse(scheme, uri, &location, err) < 0) {
                error_prefix(err, "%s", uri);
                return NULL;
        }
        name = last_component(location.path, &length);
        if (!name && !location.name) {
                no_name(uri, err);
                return NULL;
        }
        if (name)
                strbuf_append_mem(&result, name, without_suffixes(name, length));
        if (location.name)
                strbuf_printf(&result, "%s%s", name ? "+" : "", location.name);
        strbuf_append(&result, ".sqsh");
        text = strbuf_take(&result);
        if (!text)
                error_no_memory(err);
        for (char *p = text; p && *p; p++)
                if (*p == '/' || *p == ':')
                        *p = '+';
        return text;
}

char *source_name_by_reference(const char *scheme, const char *uri, struct error *err)
{
        auto_image_reference struct image_reference ref = { .user = NULL };
        auto_strbuf struct strbuf docker = STRBUF_INIT;
        char *text;

        if (strbuf_printf(&docker, "docker://%s", uri + strlen(scheme)) < 0) {
                error_no_memory(err);
                return NULL;
        }
        if (image_reference_parse(docker.data, &ref, err) < 0)
                return NULL;
        text = image_reference_file_name(&ref);
        if (!text)
                error_no_memory(err);
        return text;
}

char *source_name_by_url(const char *uri, struct error *err)
{
        const char *path = strstr(uri, "://") + strlen("://");
        auto_free char *clean = NULL;
        const char *name;
        char *text;
        size_t length;

        path += strcspn(path, "/?#");
        clean = strndup(path, strcspn(path, "?#"));
        name = clean ? last_component(clean, &length) : NULL;
        if (clean && !name) {
                no_name(uri, err);
                return NULL;
        }
        text = name ? strndup(name, length) : NULL;
        if (!text)
                error_no_memory(err);
        return text;
}
