#include "cli/options.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const struct option *find_letter(const struct option *options, char letter)
{
        for (; options->name; options++)
                if (options->letter == letter)
                        return options;
        return NULL;
}

static const struct option *find_name(const struct option *options, const char *name, size_t length)
{
        for (; options->name; options++)
                if (strlen(options->name) == length && memcmp(options->name, name, length) == 0)
                        return options;
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
                if (!option || (value && !option->argument))
                        return error_set(err, EINVAL, "unknown option: %s", word);
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

void option_table_print(const struct option *options, FILE *out)
{
        char text[128];
        int width = 0;

        for (const struct option *option = options; option->name; option++) {
                int length = print_usage(option, text, sizeof(text));

                width = length > width ? length : width;
        }
        if (width == 0)
                return;
        fprintf(out, "\n Options:\n");
        for (; options->name; options++) {
                (void)print_usage(options, text, sizeof(text));
                fprintf(out, "   %-*s  %s\n", width, text, options->help);
        }
}
