#include "config/expand.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "env/env.h"
#include "util/strbuf.h"

#define NESTING_LIMIT 16u

/* Room for the value of a variable that needs no definition; host names have up to 64 bytes. */
#define BUILTIN_SIZE 72

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"
#define BLANKS          " \t\r\n"

/* An expansion under way. */
struct expansion {
        const char *p; /* what comes next in the value */
        const struct strlist *environment;
        expand_run_fn *run;
        struct error *err;
        struct strbuf out;
        unsigned int depth;
};

static int expand_until(struct expansion *x, char terminator, bool quoted);

static int append(struct expansion *x, const char *text, size_t length)
{
        if (length > CONFIG_VALUE_LIMIT - x->out.length)
                return error_set(x->err, E2BIG, "value longer than %u bytes", CONFIG_VALUE_LIMIT);
        return strbuf_append_mem(&x->out, text, length) < 0 ? error_no_memory(x->err) : 0;
}

static int append_text(struct expansion *x, const char *text)
{
        return append(x, text, strlen(text));
}

/*
 * The end of a quoted string, or of what a bracket opened: p is behind the opening
 * character. NULL when there is none.
 */
static const char *find_close(const char *p, char open, char close)
{
        unsigned int depth = 1;

        for (; *p; p++) {
                if (*p == '\\' && p[1] && close != '\'') {
                        p++;
                } else if (*p == close) {
                        if (--depth == 0)
                                return p;
                } else if (*p == open) {
                        depth++;
                } else if ((*p == '\'' || *p == '"') && open != close) {
                        p = find_close(p + 1, *p, *p);
                        if (!p)
                                return NULL;
                }
        }
        return NULL;
}

/* The variable's value; NULL when it is not defined. builtin is room for one. */
static const char *variable(const struct expansion *x, const char *name, char builtin[BUILTIN_SIZE])
{
        const char *value = env_get(x->environment, name);

        if (value)
                return value;
        /* Bash, which the classic tool reads its files with, has these without being told. */
        if (strcmp(name, "UID") == 0)
                (void)snprintf(builtin, BUILTIN_SIZE, "%u", (unsigned int)getuid());
        else if (strcmp(name, "EUID") == 0)
                (void)snprintf(builtin, BUILTIN_SIZE, "%u", (unsigned int)geteuid());
        else if (strcmp(name, "HOSTNAME") != 0 || gethostname(builtin, BUILTIN_SIZE) < 0)
                return NULL;
        return builtin;
}

static int run_and_append(struct expansion *x, const char *command)
{
        auto_free char *output = x->run(command, x->environment, x->err);

        return output ? append_text(x, output) : -1;
}

/* Leave a form that is not known here to the shell: from start up to x->p. */
static int let_shell_expand(struct expansion *x, const char *start)
{
        auto_free char *command = NULL;

        if (asprintf(&command, "printf %%s \"%.*s\"", (int)(x->p - start), start) < 0) {
                command = NULL;
                return error_no_memory(x->err);
        }
        return run_and_append(x, command);
}

/* ${NAME}, ${NAME:-word} and its like; x->p is at the '$'. */
static int expand_braces(struct expansion *x, bool quoted)
{
        const char *start = x->p, *name = start + 2;
        const char *close = find_close(name, '{', '}');
        size_t length = strspn(name, NAME_CHARACTERS);
        const char *form = name + length, *value;
        bool colon = *form == ':';
        auto_free char *copy = strndup(name, length);
        char builtin[BUILTIN_SIZE];

        if (!copy)
                return error_no_memory(x->err);
        if (!close)
                return error_set(x->err, EINVAL, "\"${\" without \"}\"");
        form += colon;
        x->p = close + 1;
        if (!env_name_valid(name, length) || !strchr(colon ? "-+=" : "-+=}", *form))
                return let_shell_expand(x, start);

        value = variable(x, copy, builtin);
        if (value && colon && !value[0])
                value = NULL;
        if (*form == '+' ? !value : value != NULL)
                return value ? append_text(x, value) : 0;
        if (*form == '}')
                return 0;
        x->p = form + 1;
        return expand_until(x, '}', quoted);
}

/* $(command) and $((arithmetic)); x->p is at the '$'. */
static int expand_parentheses(struct expansion *x)
{
        const char *start = x->p, *inner = start + 2;
        const char *close = find_close(inner, '(', ')');
        auto_free char *command = NULL;

        if (!close)
                return error_set(x->err, EINVAL, "\"$(\" without \")\"");
        x->p = close + 1;
        if (*inner == '(' && close[-1] == ')')
                return let_shell_expand(x, start);
        command = strndup(inner, (size_t)(close - inner));
        return command ? run_and_append(x, command) : error_no_memory(x->err);
}

/* `command`, in which a backslash quotes '`', '\' and '$'; x->p is at the first '`'. */
static int expand_backquotes(struct expansion *x)
{
        auto_strbuf struct strbuf command = STRBUF_INIT;

        for (x->p++; *x->p != '`'; x->p++) {
                if (x->p[0] == '\\' && x->p[1] && strchr("`\\$", x->p[1]))
                        x->p++;
                if (!*x->p)
                        return error_set(x->err, EINVAL, "unbalanced \"`\"");
                strbuf_append_char(&command, *x->p);
        }
        x->p++;
        return command.failed ? error_no_memory(x->err) : run_and_append(x, strbuf_text(&command));
}

static int expand_dollar(struct expansion *x, bool quoted)
{
        size_t length = strspn(x->p + 1, NAME_CHARACTERS);
        auto_free char *name = NULL;
        const char *value;
        char builtin[BUILTIN_SIZE];

        if (x->p[1] == '{')
                return expand_braces(x, quoted);
        if (x->p[1] == '(')
                return expand_parentheses(x);
        if (!env_name_valid(x->p + 1, length))
                return append(x, x->p++, 1);

        name = strndup(x->p + 1, length);
        if (!name)
                return error_no_memory(x->err);
        x->p += 1 + length;
        value = variable(x, name, builtin);
        return value ? append_text(x, value) : 0;
}

static int expand_single_quotes(struct expansion *x)
{
        const char *start = x->p + 1, *close = strchr(start, '\'');

        if (!close)
                return error_set(x->err, EINVAL, "unbalanced \"'\"");
        x->p = close + 1;
        return append(x, start, (size_t)(close - start));
}

/* "\x" is x; between double quotes only for what has a meaning there. */
static int expand_backslash(struct expansion *x, bool quoted)
{
        bool escapes = x->p[1] && (!quoted || strchr("$`\"\\", x->p[1]));

        x->p += escapes;
        return append(x, x->p++, 1);
}

/* Runs of blanks between words become one, and those around the value none, as by echo. */
static int expand_blanks(struct expansion *x)
{
        x->p += strspn(x->p, BLANKS);
        return x->out.length > 0 && *x->p && *x->p != '#' ? append(x, " ", 1) : 0;
}

/* "~" or "~/…" at the start of a word */
static int expand_tilde(struct expansion *x)
{
        const char *home = env_get(x->environment, "HOME");

        if (!home || (x->p[1] && !strchr("/}" BLANKS, x->p[1])))
                return append(x, x->p++, 1);
        x->p++;
        return append_text(x, home);
}

/* One character or one construct. word_start: the first of a word outside of quotes. */
static int expand_one(struct expansion *x, bool quoted, bool word_start)
{
        switch (*x->p) {
        case '\\':
                return expand_backslash(x, quoted);
        case '$':
                return expand_dollar(x, quoted);
        case '`':
                return expand_backquotes(x);
        case '"':
                x->p++;
                return expand_until(x, '"', true);
        case '\'':
                return quoted ? append(x, x->p++, 1) : expand_single_quotes(x);
        case '~':
                return word_start ? expand_tilde(x) : append(x, x->p++, 1);
        default:
                return append(x, x->p++, 1);
        }
}

/*
 * Expand up to a terminator and step over it; '\0' is the end of the value.
 *
 * quoted  between double quotes
 */
static int expand_until(struct expansion *x, char terminator, bool quoted)
{
        bool word_start = !quoted;

        if (++x->depth > NESTING_LIMIT)
                return error_set(x->err, EINVAL, "nested deeper than %u levels", NESTING_LIMIT);
        while (*x->p && *x->p != terminator) {
                bool blank = terminator == '\0' && strchr(BLANKS, *x->p);

                if (terminator == '\0' && word_start && *x->p == '#')
                        break;
                if ((blank ? expand_blanks(x) : expand_one(x, quoted, word_start)) < 0)
                        return -1;
                word_start = blank;
        }
        if (terminator && *x->p != terminator)
                return error_set(x->err, EINVAL, "'%c' is missing", terminator);
        x->p += terminator != '\0';
        x->depth--;
        return 0;
}

char *expand_value(const char *value, const struct strlist *environment, expand_run_fn *run,
                   struct error *err)
{
        struct expansion x = { .p = value, .environment = environment, .run = run, .err = err };
        int result = expand_until(&x, '\0', false);
        char *text = strbuf_take(&x.out);

        if (result < 0) {
                free(text);
                return NULL;
        }
        if (!text)
                error_no_memory(err);
        return text;
}

char *config_expand(const char *value, const struct strlist *environment, struct error *err)
{
        return expand_value(value, environment, expand_run_command, err);
}
