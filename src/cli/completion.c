#include "cli/completion.h"

#include <ctype.h>
#include <string.h>

#include "util/cleanup.h"

static bool is_one_of(const char *word, size_t length, const char *const *list)
{
        for (; *list; list++)
                if (strlen(*list) == length && memcmp(*list, word, length) == 0)
                        return true;
        return false;
}

/* One alternative of "NAME|IMAGE|zsh". */
static void add_alternative(const char *word, size_t length, bool of_option,
                            struct completion_word *ret)
{
        static const char *const files[] = { "FILE", "SCRIPT", "CONFIG", "DIR", "PATH", NULL };
        static const char *const containers[] = { "NAME", NULL };
        static const char *const images[] = { "IMAGE", NULL };

        if (is_one_of(word, length, files)) {
                ret->file = true;
        } else if (!of_option && is_one_of(word, length, containers)) {
                ret->container = true; /* that of an option is a new one */
        } else if (is_one_of(word, length, images)) {
                ret->image = true;
        } else if (length > 0 && islower((unsigned char)*word) &&
                   strlen(ret->choices) + length + 2 < sizeof(ret->choices)) {
                strcat(ret->choices, *ret->choices ? " " : "");
                strncat(ret->choices, word, length);
        }
}

static void parse_words(const char *words, bool of_option, struct completion_word *ret)
{
        *ret = (struct completion_word){ .choices = "" };
        for (;;) {
                size_t length = strcspn(words, "|.[ ");

                add_alternative(words, length, of_option, ret);
                words += length;
                if (*words != '|')
                        break;
                words++;
        }
        ret->repeats = strncmp(words, "...", 3) == 0;
}

void completion_of_verb(const struct verb *verb, struct completion_word *ret)
{
        parse_words(verb->words, false, ret);
}

void completion_of_option(const struct option *option, struct completion_word *ret)
{
        parse_words(option->argument ? option->argument : "", true, ret);
}

void completion_each_word(void (*visit)(const struct verb *verb, const char *word, bool group,
                                        FILE *out),
                          FILE *out)
{
        for (size_t i = 0; i < verb_count; i++) {
                size_t length = strcspn(verbs[i]->name, " ");
                auto_free char *word = strndup(verbs[i]->name, length);
                bool group = verbs[i]->name[length] == ' ', seen = false;

                for (size_t j = 0; word && j < i; j++)
                        seen |= strncmp(verbs[j]->name, verbs[i]->name, length) == 0 &&
                                (verbs[j]->name[length] == ' ' || verbs[j]->name[length] == '\0');
                if (word && !seen)
                        visit(verbs[i], word, group, out);
        }
}

void completion_quote(const char *text, const char *special, const char *quote, FILE *out)
{
        for (; *text; text++) {
                if (*text == '\'')
                        fputs(quote, out);
                else
                        fprintf(out, strchr(special, *text) ? "\\%c" : "%c", *text);
        }
}
