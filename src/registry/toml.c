#include "registry/toml.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "util/strbuf.h"

void toml_item_release(struct toml_item *item)
{
        free(item->name);
        free(item->text);
        strlist_release(&item->list);
        *item = (struct toml_item)TOML_ITEM_INIT;
}

static int wrong(const struct toml *toml, const char *what, struct error *err)
{
        return error_set(err, EINVAL, "line %u: %s", toml->line, what);
}

static void skip_blanks(struct toml *toml)
{
        toml->at += strspn(toml->at, " \t");
}

/* Blanks, line breaks and comments. */
static void skip_space(struct toml *toml)
{
        for (;;) {
                toml->at += strspn(toml->at, " \t\r");
                if (*toml->at == '#')
                        toml->at += strcspn(toml->at, "\n");
                if (*toml->at != '\n')
                        return;
                toml->at++;
                toml->line++;
        }
}

/* What follows a value or a header: nothing but a comment. */
static int end_line(struct toml *toml, struct error *err)
{
        skip_blanks(toml);
        if (*toml->at == '#')
                toml->at += strcspn(toml->at, "\n");
        if (*toml->at == '\r')
                toml->at++;
        return *toml->at == '\0' || *toml->at == '\n'
                       ? 0
                       : wrong(toml, "something stands behind the value", err);
}

/* ---- strings ---- */

/* Append a code point as UTF-8. */
static int append_code_point(const struct toml *toml, unsigned long code, struct strbuf *text,
                             struct error *err)
{
        if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
                return wrong(toml, "an escape that is no character", err);
        if (code < 0x80) {
                strbuf_append_char(text, (char)code);
        } else if (code < 0x800) {
                strbuf_append_char(text, (char)(0xc0 | code >> 6));
                strbuf_append_char(text, (char)(0x80 | (code & 0x3f)));
        } else if (code < 0x10000) {
                strbuf_append_char(text, (char)(0xe0 | code >> 12));
                strbuf_append_char(text, (char)(0x80 | (code >> 6 & 0x3f)));
                strbuf_append_char(text, (char)(0x80 | (code & 0x3f)));
        } else {
                strbuf_append_char(text, (char)(0xf0 | code >> 18));
                strbuf_append_char(text, (char)(0x80 | (code >> 12 & 0x3f)));
                strbuf_append_char(text, (char)(0x80 | (code >> 6 & 0x3f)));
                strbuf_append_char(text, (char)(0x80 | (code & 0x3f)));
        }
        return 0;
}

/* An escape sequence; at stands behind the backslash. */
static int parse_escape(struct toml *toml, struct strbuf *text, struct error *err)
{
        static const char letters[] = "btnfr\"\\", meanings[] = "\b\t\n\f\r\"\\";
        char c = *toml->at, hex[9] = "";
        const char *letter = c ? strchr(letters, c) : NULL;
        size_t digits = c == 'u' ? 4 : c == 'U' ? 8 : 0;

        if (letter) {
                toml->at++;
                return strbuf_append_char(text, meanings[letter - letters]);
        }
        if (digits == 0 || strspn(toml->at + 1, "0123456789abcdefABCDEF") < digits)
                return wrong(toml, "an unknown escape sequence", err);
        memcpy(hex, toml->at + 1, digits);
        toml->at += 1 + digits;
        return append_code_point(toml, strtoul(hex, NULL, 16), text, err);
}

/* "basic" or 'literal'; at stands on the quote. */
static int parse_string(struct toml *toml, struct strbuf *text, struct error *err)
{
        char quote = *toml->at;

        if (strncmp(toml->at, "\"\"\"", 3) == 0 || strncmp(toml->at, "'''", 3) == 0)
                return wrong(toml, "strings of several lines are not understood here", err);
        for (toml->at++; *toml->at != quote;) {
                unsigned char c = (unsigned char)*toml->at;

                if ((c < ' ' && c != '\t') || c == 0x7f)
                        return wrong(toml, "a quote is not closed", err);
                toml->at++;
                if (c == '\\' && quote == '"') {
                        if (parse_escape(toml, text, err) < 0)
                                return -1;
                } else {
                        strbuf_append_char(text, (char)c);
                }
        }
        toml->at++;
        return text->failed ? error_no_memory(err) : 0;
}

/* ---- keys ---- */

/* A key, whose parts dots may separate; appended to *name. */
static int parse_key(struct toml *toml, struct strbuf *name, struct error *err)
{
        for (;;) {
                size_t length = 0;

                skip_blanks(toml);
                if (*toml->at == '"' || *toml->at == '\'') {
                        if (parse_string(toml, name, err) < 0)
                                return -1;
                } else {
                        while (isalnum((unsigned char)toml->at[length]) ||
                               toml->at[length] == '_' || toml->at[length] == '-')
                                length++;
                        if (length == 0)
                                return wrong(toml, "a key was expected", err);
                        strbuf_append_mem(name, toml->at, length);
                        toml->at += length;
                }
                skip_blanks(toml);
                if (*toml->at != '.')
                        return name->failed ? error_no_memory(err) : 0;
                toml->at++;
                strbuf_append_char(name, '.');
        }
}

/* [name] or [[name]] */
static int parse_header(struct toml *toml, struct toml_item *item, struct error *err)
{
        auto_strbuf struct strbuf name = STRBUF_INIT;
        bool is_array = toml->at[1] == '[';
        const char *close = is_array ? "]]" : "]";

        toml->at += strlen(close);
        if (parse_key(toml, &name, err) < 0)
                return -1;
        if (strncmp(toml->at, close, strlen(close)) != 0)
                return wrong(toml, "the name of a table is not closed", err);
        toml->at += strlen(close);
        item->kind = is_array ? TOML_ARRAY_TABLE : TOML_TABLE;
        item->name = strbuf_take(&name);
        return item->name ? 0 : error_no_memory(err);
}

/* ---- values ---- */

static int parse_value(struct toml *toml, unsigned int depth, struct toml_item *item,
                       struct error *err);

/* [value, …] over any number of lines. It is TOML_STRINGS when it has nothing but strings. */
static int parse_array(struct toml *toml, unsigned int depth, struct toml_item *item,
                       struct error *err)
{
        item->kind = TOML_STRINGS;
        for (toml->at++;;) {
                auto_toml_item struct toml_item element = TOML_ITEM_INIT;

                skip_space(toml);
                if (*toml->at == ']')
                        break;
                if (parse_value(toml, depth + 1, &element, err) < 0)
                        return -1;
                if (element.kind != TOML_STRING)
                        item->kind = TOML_OTHER;
                else if (strlist_append(&item->list, element.text) < 0)
                        return error_no_memory(err);
                skip_space(toml);
                if (*toml->at == ',')
                        toml->at++;
                else if (*toml->at != ']')
                        return wrong(toml, "an array is not closed", err);
        }
        toml->at++;
        return 0;
}

/* {key = value, …} on one line. */
static int skip_inline_table(struct toml *toml, unsigned int depth, struct error *err)
{
        toml->at++;
        skip_blanks(toml);
        while (*toml->at != '}') {
                auto_strbuf struct strbuf key = STRBUF_INIT;
                auto_toml_item struct toml_item value = TOML_ITEM_INIT;

                if (parse_key(toml, &key, err) < 0)
                        return -1;
                if (*toml->at != '=')
                        return wrong(toml, "'=' was expected", err);
                toml->at++;
                if (parse_value(toml, depth + 1, &value, err) < 0)
                        return -1;
                skip_blanks(toml);
                if (*toml->at == ',')
                        toml->at++;
                else if (*toml->at != '}')
                        return wrong(toml, "an inline table is not closed", err);
                skip_blanks(toml);
        }
        toml->at++;
        return 0;
}

/* true, false, a number or a date */
static int parse_word(struct toml *toml, struct toml_item *item, struct error *err)
{
        size_t length = 0;

        while (isalnum((unsigned char)toml->at[length]) ||
               (toml->at[length] && strchr("+-_.:", toml->at[length])))
                length++;
        if (length == 0)
                return wrong(toml, "a value was expected", err);
        item->flag = length == 4 && memcmp(toml->at, "true", 4) == 0;
        item->kind = item->flag || (length == 5 && memcmp(toml->at, "false", 5) == 0) ? TOML_BOOL
                                                                                      : TOML_OTHER;
        if (item->kind == TOML_OTHER && isalpha((unsigned char)*toml->at) &&
            strncmp(toml->at, "inf", length) != 0 && strncmp(toml->at, "nan", length) != 0)
                return wrong(toml, "a value that is neither quoted nor true or false", err);
        toml->at += length;
        return 0;
}

static int parse_value(struct toml *toml, unsigned int depth, struct toml_item *item,
                       struct error *err)
{
        auto_strbuf struct strbuf text = STRBUF_INIT;

        if (depth > TOML_DEPTH_LIMIT)
                return wrong(toml, "values are nested too deeply", err);
        skip_blanks(toml);
        switch (*toml->at) {
        case '"':
        case '\'':
                if (parse_string(toml, &text, err) < 0)
                        return -1;
                item->kind = TOML_STRING;
                item->text = strbuf_take(&text);
                return item->text ? 0 : error_no_memory(err);
        case '[':
                return parse_array(toml, depth, item, err);
        case '{':
                item->kind = TOML_OTHER;
                return skip_inline_table(toml, depth, err);
        default:
                return parse_word(toml, item, err);
        }
}

static int parse_pair(struct toml *toml, struct toml_item *item, struct error *err)
{
        auto_strbuf struct strbuf name = STRBUF_INIT;

        if (parse_key(toml, &name, err) < 0)
                return -1;
        if (*toml->at != '=')
                return wrong(toml, "'=' was expected", err);
        toml->at++;
        item->name = strbuf_take(&name);
        if (!item->name)
                return error_no_memory(err);
        return parse_value(toml, 0, item, err);
}

int toml_next(struct toml *toml, struct toml_item *ret, struct error *err)
{
        auto_toml_item struct toml_item item = TOML_ITEM_INIT;
        int rc;

        skip_space(toml);
        if (*toml->at == '\0')
                return 0;
        item.line = toml->line;
        rc = *toml->at == '[' ? parse_header(toml, &item, err) : parse_pair(toml, &item, err);
        if (rc < 0 || end_line(toml, err) < 0)
                return -1;
        *ret = TAKE(item, (struct toml_item)TOML_ITEM_INIT);
        return 1;
}
