#include "commands/export_output.h"

#include <errno.h>
#include <string.h>

#define TAG_DEFAULT "latest"

static const struct {
        const char *name, *prefix, *suffix;
} formats[] = {
        [EXPORT_SQUASHFS] = { "squashfs", NULL, ".sqsh" },
        [EXPORT_OCI] = { "oci", "oci:", ".oci" },
        [EXPORT_OCI_ARCHIVE] = { "oci-archive", "oci-archive:", ".oci.tar" },
};

void export_output_release(struct export_output *output)
{
        free(output->path);
        output->path = NULL;
}

static int find_format(const char *word, enum export_format *ret, struct error *err)
{
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
                if (strcmp(word, formats[i].name) == 0) {
                        *ret = (enum export_format)i;
                        return 0;
                }
        }
        return error_set(err, EINVAL, "--format %s: squashfs, oci or oci-archive", word);
}

/* The format that the output's prefix names; *output moves behind it. */
static bool take_prefix(const char **output, enum export_format *ret)
{
        for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
                size_t length = formats[i].prefix ? strlen(formats[i].prefix) : 0;

                if (length > 0 && strncmp(*output, formats[i].prefix, length) == 0) {
                        *output += length;
                        *ret = (enum export_format)i;
                        return true;
                }
        }
        return false;
}

/* As in the distribution specification; podman and skopeo take nothing else. */
static int check_tag(const char *tag, struct error *err)
{
        static const char first[] =
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
        size_t length = strlen(tag);

        if (length == 0 || length > IMAGE_TAG_LIMIT || !strchr(first, tag[0]))
                return error_set(err, EINVAL, "--output: \"%.140s\" is no tag", tag);
        for (; *tag; tag++)
                if (!strchr(first, *tag) && *tag != '.' && *tag != '-')
                        return error_set(err, EINVAL,
                                         "--output: a tag has letters, digits and "
                                         "\"_.-\" only");
        return 0;
}

static int split_tag(struct export_output *output, struct error *err)
{
        char *colon = strrchr(output->path, ':');

        if (!colon || strchr(colon, '/'))
                return 0;
        *colon = '\0';
        output->tag = colon + 1;
        return check_tag(output->tag, err);
}

int export_output_parse(struct export_output *ret, const char *output, const char *format,
                        const char *name, struct error *err)
{
        enum export_format prefixed = EXPORT_SQUASHFS;
        bool has_prefix = output && take_prefix(&output, &prefixed);

        *ret = (struct export_output){ .format = prefixed, .tag = TAG_DEFAULT };
        if (format && find_format(format, &ret->format, err) < 0)
                return -1;
        if (has_prefix && prefixed != ret->format)
                return error_set(err, EINVAL, "--format %s is not that of --output %s", format,
                                 formats[prefixed].prefix);
        if (output)
                ret->path = strdup(output);
        else if (asprintf(&ret->path, "%s%s", name, formats[ret->format].suffix) < 0)
                ret->path = NULL;
        if (!ret->path)
                return error_no_memory(err);
        if (has_prefix && split_tag(ret, err) < 0)
                return -1;
        return *ret->path ? 0 : error_set(err, EINVAL, "--output: the path is empty");
}

int export_compression_parse(const char *word, enum layout_compression *ret, struct error *err)
{
        static const char *const names[] = {
                [LAYOUT_GZIP] = "gzip",
                [LAYOUT_ZSTD] = "zstd",
                [LAYOUT_PLAIN] = "none",
        };

        *ret = LAYOUT_GZIP;
        for (size_t i = 0; word && i < ARRAY_SIZE(names); i++) {
                if (strcmp(word, names[i]) == 0) {
                        *ret = (enum layout_compression)i;
                        return 0;
                }
        }
        return word ? error_set(err, EINVAL, "--compress %s: gzip, zstd or none", word) : 0;
}
