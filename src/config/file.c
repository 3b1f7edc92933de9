#include "config/file.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "env/env.h"

#define BLANKS " \t\r"

static bool has_prefix(const char *text, const char *prefix)
{
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* The keys that the classic tool takes, and AMD's; all others it passes over. */
static bool is_accepted(const char *key)
{
        static const char *const exact[] = { "SSL_CERT_DIR", "SSL_CERT_FILE", "all_proxy",
                                             "no_proxy",     "http_proxy",    "https_proxy" };

        if (has_prefix(key, "ENROOT_"))
                return key[7] && !key[7 + strspn(key + 7, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")];
        if (has_prefix(key, "NVIDIA_") || has_prefix(key, "MELLANOX_") ||
            strcmp(key, "AMD_VISIBLE_DEVICES") == 0)
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
                if (strcmp(key, exact[i]) == 0)
                        return true;
        return false;
}

/* Split a line, which is changed, at blanks or one '='. False when it has no key. */
static bool split_line(char *line, char **ret_key, char **ret_value)
{
        size_t length = strcspn(line, BLANKS "=");
        char *rest = line + length;

        if (!env_name_valid(line, length))
                return false;
        rest += strspn(rest, BLANKS);
        if (*rest == '=')
                rest++;
        rest += strspn(rest, BLANKS);
        line[length] = '\0';
        *ret_key = line;
        *ret_value = rest;
        return true;
}

int file_parse(const char *text, size_t length, const char *name,
               int (*set)(void *context, const char *key, const char *value, struct error *err),
               void *context, struct error *err)
{
        const char *end = text + length;

        for (unsigned int number = 1; text < end; number++) {
                const char *newline = memchr(text, '\n', (size_t)(end - text));
                size_t size = (size_t)((newline ? newline : end) - text);
                auto_free char *line = strndup(text, size);
                char *start, *key, *value;

                if (!line)
                        return error_no_memory(err);
                start = line + strspn(line, BLANKS);
                if (strlen(line) != size)
                        return error_set(err, EINVAL, "%s:%u: a NUL byte", name, number);
                if (*start && *start != '#') {
                        if (!split_line(start, &key, &value))
                                return error_set(err, EINVAL,
                                                 "%s:%u: \"%.60s\" is not KEY VALUE or KEY=VALUE",
                                                 name, number, start);
                        if (is_accepted(key) && set(context, key, value, err) < 0)
                                return error_prefix(err, "%s:%u: %s", name, number, key);
                }
                text += size + (newline != NULL);
        }
        return 0;
}
