#include "cli/options.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const struct option *find_letter(const struct option *options, char letter)
{
        for (; options->name; options++) {
                const struct option *found = NULL;

                if (options->type == OPTION_TABLE)
                        found = find_letter(options->target, letter);
                else if (options->letter == letter)
                        found = options;
                if (found)
                        return found;
        }
        return NULL;
}

static bool has_name(const struct option *option, const char *name, size_t length)
{
        return strlen(option->name) == length && memcmp(option->name, name, length) == 0;
}

static const struct option *find_name(const struct option *options, const char *name, size_t length)
{
        for (; options->name; options++) {
                const struct option *found = NULL;

                if (options->type == OPTION_TABLE)
                        found = find_name(options->target, name, length);
                else if (has_name(options, name, length))
                        found = options;
                if (found)
                        return found;
        }
        return NULL;
}

static int apply(const struct option *option, const char *value, struct error *err)
{
        switch (option->type) {
        case OPTION_FLAG:
                *(bool *)option->target = true;
                break;
        case OPTION_TEXT:
                *(const char **)option->target = value;
                break;
        case OPTION_LIST:
                if (strlist_append(option->target, value) < 0)
                        return error_no_memory(err);
                break;
        case OPTION_HELP:
                return 1;
        case OPTION_TABLE: /* never found: its options are */
                break;
        }
        return 0;
}

int option_table_parse(const struct option *options, int argc, char **argv, int *ret_rest,
                       struct error *err)
{
        int i = 0;

        while (i < argc && argv[i][0] == '-' && argv[i][1] != '\0') {
                const char *word = argv[i++], *value = NULL;
                const struct option *option;
                int result;

                if (strcmp(word, "--") == 0)
                        break;
                if (word[1] == '-') {
                        value = strchr(word, '=');
                        option = find_name(options, word + 2,
                                           value ? (size_t)(value - word) - 2 : strlen(word) - 2);
                        value = value ? value + 1 : NULL;
                } else {
                        option = word[2] == '\0' ? find_letter(options, word[1]) : NULL;
                }
                if (!option)
                        return error_set(err, EINVAL, "unknown option: %s", word);
                if (value && !option->argument)
                        return error_set(err, EINVAL, "option --%s takes no value", option->name);
                if (option->argument && !value && i < argc)
                        value = argv[i++];
                if (option->argument && (!value || *value == '\0'))
                        return error_set(err, EINVAL, "option %s needs a value (%s)", word,
                                         option->argument);
                result = apply(option, value, err);
                if (result != 0)
                        return result;
        }
        *ret_rest = i;
        return 0;
}

/* "-o, --output FILE" */
static int print_usage(const struct option *option, char *text, size_t size)
{
        char letter[5] = "    ";

        if (option->letter)
                (void)snprintf(letter, sizeof(letter), "-%c, ", option->letter);
        return snprintf(text, size, "%s--%s%s%s", letter, option->name, option->argument ? " " : "",
                        option->argument ? option->argument : "");
}

/* The width of the widest option, and so of the column. */
static int width_of(const struct option *options)
{
        char text[128];
        int widest = 0;

        for (; options->name; options++) {
                int width = options->type == OPTION_TABLE
                                    ? width_of(options->target)
                                    : print_usage(options, text, sizeof(text));

                widest = width > widest ? width : widest;
        }
        return widest;
}

static void print_options(const struct option *options, int width, FILE *out)
{
        char text[128];

        for (; options->name; options++) {
                if (options->type == OPTION_TABLE) {
                        print_options(options->target, width, out);
                        continue;
                }
                (void)print_usage(options, text, sizeof(text));
                fprintf(out, "   %-*s  %s\n", width, text, options->help);
        }
}

void option_table_print(const struct option *options, FILE *out)
{
        int width = width_of(options);

        if (width == 0)
                return;
        fprintf(out, "\n Options:\n");
        print_options(options, width, out);
}

void option_table_each(const struct option *options,
                       void (*visit)(const struct option *option, void *context), void *context)
{
        for (; options->name; options++) {
                if (options->type == OPTION_TABLE)
                        option_table_each(options->target, visit, context);
                else
                        visit(options, context);
        }
}
