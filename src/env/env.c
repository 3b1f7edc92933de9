#include "env/env.h"

#include <errno.h>
#include <string.h>

#include "util/strbuf.h"

#define NAME_START "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define NAME_REST  NAME_START "0123456789"

/* The length of the variable's name at the start of text, which need not end with a NUL. */
static size_t name_length(const char *text, size_t length)
{
        size_t n = 0;

        while (n < length && text[n] && strchr(n == 0 ? NAME_START : NAME_REST, text[n]))
                n++;
        return n;
}

bool env_name_valid(const char *text, size_t length)
{
        return length > 0 && name_length(text, length) == length;
}

static bool defines(const char *item, const char *name, size_t length)
{
        return strncmp(item, name, length) == 0 && item[length] == '=';
}

/* The index of the definition that counts, the last one; count when there is none. */
static size_t find(const struct strlist *env, const char *name, size_t length)
{
        for (size_t i = env->count; i-- > 0;)
                if (defines(env->items[i], name, length))
                        return i;
        return env->count;
}

static const char *value_of(const struct strlist *env, const char *name, size_t length)
{
        size_t i = find(env, name, length);

        return i < env->count ? env->items[i] + length + 1 : NULL;
}

const char *env_get(const struct strlist *env, const char *name)
{
        return value_of(env, name, strlen(name));
}

/* Put "KEY=VALUE" memory into the list, which takes it even on failure. */
static int put_item(struct strlist *env, char *item, size_t name_size)
{
        size_t i = find(env, item, name_size);

        if (i == env->count)
                return strlist_append_owned(env, item);
        free(env->items[i]);
        env->items[i] = item;
        return 0;
}

const char *env_setting(const struct strlist *host, const struct strlist *container,
                        const char *name)
{
        const char *value = env_get(host, name);

        if (!value || !*value)
                value = env_get(container, name);
        return value && *value ? value : NULL;
}

int env_set(struct strlist *env, const char *name, const char *value)
{
        auto_strbuf struct strbuf item = STRBUF_INIT;
        char *text;

        strbuf_append(&item, name);
        strbuf_append_char(&item, '=');
        strbuf_append(&item, value);
        text = strbuf_take(&item);
        return text ? put_item(env, text, strlen(name)) : -1;
}

int env_unset(struct strlist *env, const char *name)
{
        size_t length = strlen(name);

        for (size_t i = env->count; i-- > 0;)
                if (defines(env->items[i], name, length))
                        strlist_remove(env, i);
        return 0;
}

char *env_substitute(const char *text, size_t length, const struct strlist *env)
{
        auto_strbuf struct strbuf result = STRBUF_INIT;
        const char *end = text + length;

        while (text < end) {
                const char *dollar = memchr(text, '$', (size_t)(end - text));
                const char *name;
                size_t size;

                if (!dollar)
                        dollar = end;
                strbuf_append_mem(&result, text, (size_t)(dollar - text));
                text = dollar;
                if (text == end)
                        break;

                name = text + 2;
                size = end - text > 3 && text[1] == '{' ? name_length(name, (size_t)(end - name))
                                                        : 0;
                if (size > 0 && name + size < end && name[size] == '}') {
                        const char *value = value_of(env, name, size);

                        strbuf_append(&result, value ? value : "");
                        text = name + size + 1;
                } else {
                        strbuf_append_char(&result, *text++);
                }
        }
        return strbuf_take(&result);
}

/* Keys that the program gives a meaning of its own, which nothing in a container may set. */
static bool is_reserved(const char *name, size_t length)
{
        return length >= 7 && memcmp(name, "ENROOT_", 7) == 0;
}

static bool is_blank(char c)
{
        return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Take one pair of quotes off a value; blanks may follow the closing one. */
static void strip_quotes(const char **value, const char **end)
{
        const char *last = *end;

        while (last > *value && is_blank(last[-1]))
                last--;
        if (last - *value >= 2 && (**value == '"' || **value == '\'') && last[-1] == **value) {
                ++*value;
                *end = last - 1;
        }
}

static int add_line(struct strlist *env, const char *line, size_t length,
                    const struct strlist *substitutes, struct error *err)
{
        const char *end = line + length, *value;
        auto_strbuf struct strbuf item = STRBUF_INIT;
        auto_free char *substituted = NULL;
        size_t name_size;
        char *text;

        while (line < end && is_blank(*line))
                line++;
        name_size = name_length(line, (size_t)(end - line));
        if (name_size == 0 || line + name_size == end || line[name_size] != '=' ||
            is_reserved(line, name_size) || memchr(line, '\0', (size_t)(end - line)))
                return 0;

        value = line + name_size + 1;
        strip_quotes(&value, &end);
        substituted = substitutes ? env_substitute(value, (size_t)(end - value), substitutes)
                                  : strndup(value, (size_t)(end - value));
        if (!substituted)
                return error_no_memory(err);

        strbuf_append_mem(&item, line, name_size + 1);
        strbuf_append(&item, substituted);
        text = strbuf_take(&item);
        if (!text || put_item(env, text, name_size) < 0)
                return error_no_memory(err);
        if (env->count > ENV_VARIABLE_LIMIT)
                return error_set(err, E2BIG, "more than %u variables", ENV_VARIABLE_LIMIT);
        return 0;
}

int env_add_text(struct strlist *env, const char *text, size_t length,
                 const struct strlist *substitutes, struct error *err)
{
        const char *end = text + length;

        while (text < end) {
                const char *newline = memchr(text, '\n', (size_t)(end - text));
                const char *line_end = newline ? newline : end;

                if (add_line(env, text, (size_t)(line_end - text), substitutes, err) < 0)
                        return -1;
                text = newline ? newline + 1 : end;
        }
        return 0;
}

int env_add_word(struct strlist *env, const char *word, const struct strlist *host,
                 struct error *err)
{
        size_t length = strlen(word), name_size = name_length(word, length);
        auto_free char *name = strndup(word, name_size);
        const char *value;

        if (name_size == 0 || (word[name_size] && word[name_size] != '='))
                return error_set(err, EINVAL,
                                 "%.200s: must be KEY=VALUE, or KEY to take the "
                                 "value from the environment",
                                 word);
        if (!name)
                return error_no_memory(err);
        if (is_reserved(word, name_size))
                return 0;
        value = word[name_size] ? word + name_size + 1 : env_get(host, name);
        return env_set(env, name, value ? value : "") < 0 ? error_no_memory(err) : 0;
}
